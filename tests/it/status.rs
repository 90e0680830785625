//! `status` as a check in CI: its exit code, its lines, and that it changes nothing.

use serde_json::Value;

use crate::space::Space;

const TWO: &str = r"
  one: {cmd: 'echo ${a} > one.txt', outs: [one.txt]}
  two: {cmd: 'cat one.txt > two.txt', deps: [one.txt], outs: [two.txt]}
";

fn states(space: &Space, args: &[&str], code: i32) -> Vec<(String, String)> {
    let said = space
        .restage(&[&["--json", "status"], args].concat())
        .exits(code);
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| value[name].as_str().expect(name).to_owned();
        assert_eq!(text("profile"), "default");
        assert_eq!(value["key"].is_null(), text("state") == "waits");
        assert_eq!(
            value["reasons"].as_array().expect("a list").is_empty(),
            ["fresh", "waits"].contains(&text("state").as_str())
        );
        (text("stage"), text("state"))
    };
    said.out.lines().map(line).collect()
}

fn of(one: &str, two: &str) -> Vec<(String, String)> {
    [("one", one), ("two", two)]
        .map(|(s, state)| (s.to_owned(), state.to_owned()))
        .into()
}

#[test]
fn a_check_exits_with_3_unless_every_stage_is_fresh_and_in_place() {
    let space = Space::new(TWO);
    assert_eq!(states(&space, &["--check"], 3), of("stale", "waits"));
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(states(&space, &["--check"], 0), of("fresh", "fresh"));
    assert_eq!(
        states(&space, &["--check", "-S", "a=5"], 3),
        of("stale", "waits")
    );
    std::fs::remove_file(space.path("two.txt")).unwrap();
    assert_eq!(states(&space, &["--check"], 3), of("fresh", "restore"));
    space.write("two.txt", "edited");
    assert_eq!(states(&space, &["--check"], 3), of("fresh", "restore"));
}

#[test]
fn without_check_a_stale_stage_is_not_a_failure() {
    assert_eq!(states(&Space::new(TWO), &[], 0), of("stale", "waits"));
}

#[test]
fn a_check_of_a_target_looks_only_at_what_it_needs() {
    let space = Space::new(TWO);
    assert_eq!(space.ran(&["one"]), ["one"]);
    space.restage(&["status", "--check", "one"]).exits(0);
    space.restage(&["status", "--check", "two"]).exits(3);
    space
        .restage(&["status", "--check", "twoo"])
        .exits(2)
        .says("did you mean `two`?");
}

#[test]
fn a_broken_pipeline_is_told_apart_from_a_stale_one() {
    let space = Space::new("  one: {cnd: 'true', outs: [x]}\n");
    let said = space.restage(&["--json", "status", "--check"]).exits(2);
    assert_eq!(said.out, "");
}

#[test]
fn looking_changes_no_file() {
    let space = Space::new(TWO);
    assert_eq!(space.ran(&[]).len(), 2);
    std::fs::remove_file(space.path("two.txt")).unwrap();
    let before = space.files();
    space.restage(&["status", "--check"]).exits(3);
    assert_eq!(space.files(), before);
}
