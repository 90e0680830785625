//! A pattern's matches depend on what the user has put there, not on what else ran here before.

use crate::space::Space;

const SUM: &str = "  sum: {cmd: 'cat res/*.csv > sum', deps: [{path: 'res/*.csv', optional: true}], outs: [sum]}\n";

fn parts(items: &str) -> String {
    format!(
        "  part: {{foreach: {items}, cmd: 'echo ${{key}} > res/${{key}}.csv', outs: ['res/${{key}}.csv']}}\n{SUM}"
    )
}

/// The same files without restage's own, as in a clone of a repository that has all but `without`.
fn clone(space: &Space, without: &[&str]) -> Space {
    let clone = Space::empty();
    for (name, bytes) in space.files() {
        if !without.contains(&name.as_str()) {
            clone.write(&name, &String::from_utf8(bytes).unwrap());
        }
    }
    clone
}

/// What the sum is of once the stages are up to date, and again from a plan of its own.
#[track_caller]
fn sum(space: &Space, args: &[&str]) -> String {
    let again = [&["-f", "sum"][..], args].concat();
    space.ran(args);
    let sum = space.read("sum");
    space.ran(&again);
    assert_eq!(space.read("sum"), sum);
    sum
}

#[test]
fn outs_of_another_profile_are_no_sources() {
    let text = "schema: 1\nname: t\nparams: {items: [a, b]}\nprofiles: {p: {}, q: {items: [a, b, c]}}\n\
                default_profile: p\nstages:\n";
    let text = text.to_owned() + &parts("'${items}'");
    let space = Space::empty();
    space.write("pipeline.yaml", &text);
    space.ran(&["-p", "q"]);
    assert_eq!(sum(&space, &["-p", "p"]), "a\nb\n");
    assert_eq!(sum(&space, &["-p", "q"]), "a\nb\nc\n");
    assert_eq!(sum(&clone(&space, &[]), &["-p", "p"]), "a\nb\n");
    // Only content tells whose a file is.
    space.write("res/c.csv", "mine\n");
    assert_eq!(sum(&space, &["-p", "p"]), "a\nb\nmine\n");
    assert_eq!(sum(&clone(&space, &["sum"]), &["-p", "p"]), "a\nb\nmine\n");
}

#[test]
fn a_clone_that_has_a_part_of_another_profiles_folder_passes_over_it_too() {
    let space = Space::empty();
    let text = format!(
        "schema: 1\nname: t\nprofiles: {{p: {{}}, q: {{}}}}\ndefault_profile: p\nstages:\n  \
         w: {{cmd: 'mkdir -p res/${{profile}}; cd res/${{profile}}; echo 1 > x.csv; echo 2 > y.csv', outs: ['res/${{profile}}']}}\n  \
         v: {{cmd: 'echo 3 > res/${{profile}}.csv', outs: [{{path: 'res/${{profile}}.csv', volatile: true}}]}}\n{}",
        SUM.replace("res/*.csv", "res/**")
            .replace("cat res/**", "find res -type f | sort")
    );
    space.write("pipeline.yaml", &text);
    space.ran(&["-p", "q"]);
    let own = "res/p.csv\nres/p/x.csv\nres/p/y.csv\n";
    assert_eq!(sum(&space, &[]), own);
    assert_eq!(sum(&clone(&space, &["res/q/y.csv"]), &[]), own);
}

#[test]
fn an_item_that_is_gone_is_no_source_where_its_record_is_unknown() {
    let space = Space::new(&parts("[a, b, c]"));
    space.ran(&[]);
    space.stages(&parts("[a, b]"));
    // Before a run has seen that it is gone, and after.
    let early = clone(&space, &[]);
    assert_eq!(sum(&early, &[]), "a\nb\n");
    assert_eq!(sum(&space, &[]), "a\nb\n");
    for known in [&early, &space] {
        let lock = known.read("pipeline.lock");
        assert!(
            lock.contains("left_over:\n  \"default/part@c\":\n    \"res/c.csv\": "),
            "{lock}"
        );
        let there = clone(known, &[]);
        assert_eq!(sum(&there, &[]), "a\nb\n");
        assert_eq!(there.read("pipeline.lock"), lock);
        there.write("res/c.csv", "mine\n");
        assert_eq!(sum(&there, &[]), "a\nb\nmine\n");
        assert!(!there.read("pipeline.lock").contains("left_over"));
    }
    space.restage(&["clean"]).exits(0);
    space.ran(&["-f", "sum"]);
    assert!(!space.read("pipeline.lock").contains("left_over"));
}

#[test]
fn files_of_a_folder_that_is_now_made_file_by_file_are_left_over() {
    let space = Space::new(&format!(
        "  part: {{cmd: 'mkdir res; for k in a b c; do echo $k > res/$k.csv; done', outs: [res]}}\n{}",
        SUM.replace("{path: 'res/*.csv', optional: true}", "res")
    ));
    space.ran(&[]);
    space.stages(&parts("[a, b]"));
    assert_eq!(sum(&space, &[]), "a\nb\n");
    assert_eq!(sum(&clone(&space, &[]), &[]), "a\nb\n");
    let said = space.restage(&["clean"]).exits(0);
    assert_eq!(said.out, "removed `res` of default/part (1 file)\n");
    assert!(space.exists("res/b.csv") && !space.exists("res/c.csv"));
}

#[test]
fn outs_of_another_pipeline_file_are_no_sources_and_stay() {
    let space = Space::new(&parts("[a, b]"));
    let other =
        "schema: 1\nname: o\nstages:\n  o: {cmd: 'echo o > res/o.csv', outs: [res/o.csv]}\n";
    space.write("other.yaml", other);
    space.ran(&["--file", "other.yaml"]);
    assert_eq!(sum(&space, &[]), "a\nb\n");
    assert_eq!(sum(&clone(&space, &[]), &[]), "a\nb\n");
    space.restage(&["clean"]).exits(0);
    assert!(space.exists("res/o.csv"));
    std::fs::remove_file(space.path("other.yaml.lock")).unwrap();
    assert_eq!(sum(&space, &[]), "a\nb\n");
}

#[test]
fn what_the_pipeline_reads_by_name_is_neither_named_nor_cleaned() {
    let makers: String = ["a", "b", "c", "d", "e"]
        .map(|out| format!("  {out}: {{cmd: 'echo x > {out}.csv', outs: [{out}.csv]}}\n"))
        .concat();
    let space = Space::new(&makers);
    space.ran(&[]);
    let reader = "  r: {cmd: cat a.csv > r, deps: [a.csv], outs: [r]}\n";
    space.stages(&format!(
        "{reader}claims:\n  n: {{says: s, ours: 'cell(\"b.csv\", 1, \"x\")', paper: 1, tolerance: {{abs: 1}}}}\n\
         report: {{title: t, sections: [{{title: s, show: [{{table: c.csv}}]}}]}}\n\
         compare: [{{files: d.csv}}]\n"
    ));
    let said = space.restage(&["status"]).exits(0);
    said.says("no stage declares `e.csv` of default/e any more\n");
    let said = space.restage(&["clean"]).exits(0);
    assert_eq!(said.out, "removed `e.csv` of default/e (1 file)\n");
    for kept in ["a.csv", "b.csv", "c.csv", "d.csv"] {
        assert!(space.exists(kept), "{kept}");
    }
}

#[test]
fn a_file_in_another_stages_folder_that_a_pattern_seems_to_match_is_named() {
    let space = Space::new(
        "  a: {cmd: 'mkdir r; echo 1 > r/t.csv', outs: [r]}\n  \
         b: {cmd: 'cat */*.csv > n', deps: ['*/*.csv'], outs: [n]}\n",
    );
    space.write("m/z.csv", "0\n");
    space.ran(&[]);
    assert_eq!(space.read("n"), "0\n");
    let named =
        "`*/*.csv` in `deps` of stage `b` does not match `r/t.csv`: no pattern looks into `r`";
    for command in ["status", "reproduce"] {
        space.write("m/z.csv", &format!("{command}\n"));
        space.restage(&[command]).exits(0).says(named);
    }
    space.write(".restageignore", "/r\n");
    let said = space.restage(&["status"]).exits(0);
    assert!(!said.err.contains("does not match"), "{}", said.err);
}
