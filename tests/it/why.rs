//! `why` between two results of a stage.

use serde_json::Value;

use crate::space::Space;

/// A stage with stored results for b = 2, 3 and 4; the last one is current.
fn three_results() -> Space {
    let space = Space::new(
        "  s: {cmd: 'echo x > s.txt; cat in > t.txt', params: [a, b], deps: [in], outs: [s.txt, t.txt]}\n",
    );
    for (b, input) in [("b=2", "1"), ("b=3", "1"), ("b=4", "2")] {
        space.write("in", input);
        assert_eq!(space.ran(&["-S", b]), ["s"]);
    }
    space
}

fn json(space: &Space, args: &[&str]) -> Value {
    let said = space
        .restage(&[&["--json", "why", "s"], args].concat())
        .exits(0);
    serde_json::from_str(&said.out).expect("one line of JSON")
}

#[test]
fn a_fresh_stage_is_compared_with_its_previous_result() {
    let space = three_results();
    let said = space.restage(&["why", "s", "-S", "b=4"]).exits(0).out;
    let (_, since) = said.split_once("\nsince its result of ").expect(&said);
    let lines: Vec<&str> = since.lines().skip(1).take(3).collect();
    assert_eq!(lines[0], "  param b: 3 -> 4");
    assert!(lines[1].starts_with("  dep in: "), "{said}");
    assert_eq!(lines[2], "  different bytes in 1 of 2 outs: t.txt");
    let since = &json(&space, &["-S", "b=4"])["since"];
    assert_eq!(since["changes"][0]["label"], "param b");
    assert_eq!(
        (&since["changes"][0]["old"], &since["changes"][0]["new"]),
        (&"3".into(), &"4".into())
    );
    assert_eq!(since["other_outs"], serde_json::json!(["t.txt"]));
}

#[test]
fn a_stale_stage_is_compared_with_its_last_result_and_with_any_that_is_named() {
    let space = three_results();
    let said = space.restage(&["why", "s", "-S", "b=9"]).exits(0).out;
    assert!(
        said.starts_with("s is stale:\n  param b: 4 -> 9\n  since its result of "),
        "{said}"
    );
    space.write("in", "1");
    let first = json(&space, &["-S", "b=2"])["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let said = space
        .restage(&["why", "s", "-S", "b=9", "--since", &first[..8]])
        .exits(0)
        .out;
    let (_, since) = said.split_once("\nsince its result of ").expect(&said);
    assert_eq!(since.lines().nth(1), Some("  param b: 2 -> 9"), "{said}");
    let since = &json(&space, &["-S", "b=9", "--since", "9999-01-01"])["since"];
    assert_eq!(since["changes"][0]["old"], "4");
}

#[test]
fn an_unknown_result_is_answered_with_the_known_ones() {
    let space = three_results();
    let said = space
        .restage(&["why", "s", "--since", "xyz"])
        .exits(2)
        .says("whose key begins with `xyz`");
    assert_eq!(
        said.err
            .lines()
            .filter(|line| line.contains("  20"))
            .count(),
        3,
        "{}",
        said.err
    );
    space
        .restage(&["why", "s", "--since", "2000-01-01"])
        .exits(2)
        .says("from before 2000-01-01");
    space
        .restage(&["why", "s", "--since", ""])
        .exits(2)
        .says("give more of the key");
}

#[test]
fn a_stage_that_ran_once_is_compared_with_nothing() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt', outs: [s.txt]}\n");
    assert!(json(&space, &[])["since"].is_null());
    assert_eq!(space.ran(&[]), ["s"]);
    assert!(json(&space, &[])["since"].is_null());
    let said = space.restage(&["why", "s"]).exits(0).out;
    assert!(!said.contains("since"), "{said}");
}

#[test]
fn what_controls_a_terminal_is_shown_and_not_sent_to_it() {
    let space = Space::new(
        r#"
  s: {cmd: "echo a\e[2Jb > s.txt", outs: [s.txt]}
claims:
  c: {says: "a\e[2Jb", holds: 'cell("t.csv", 1, "x") > 0.5'}
"#,
    );
    space.write("t.csv", "x\n1\n");
    for args in [["why", "s"], ["claims", "--md"]] {
        let said = space.restage(&args).exits(0);
        assert!(said.out.contains(r"a\u{1b}[2Jb"), "{}", said.out);
    }
}
