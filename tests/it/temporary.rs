//! Temporary outs: given up when all that read them have a result, made again when one must run.

use std::fs;

use crate::space::Space;

/// Each run of `align` leaves a line in a file outside of the workspace.
const STAGES: &str = r#"
  align:
    cmd: cat reads.txt > aligned.txt; mkdir parts; cp reads.txt parts/one; echo 1 > parts/two
    deps: [reads.txt]
    outs: [{path: aligned.txt, temporary: true}, {path: parts, temporary: true}]
  count: {cmd: "wc -l < aligned.txt > count.txt; echo ${a} >> count.txt", deps: [aligned.txt], outs: [count.txt]}
  part: {cmd: "cat parts/two > part.txt; echo ${b} >> part.txt", deps: [parts/two], outs: [part.txt]}
"#;

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write(
        "reads.txt",
        "a long text that only the temporary outs hold\n",
    );
    assert_eq!(space.ran(&["-j1"]), ["align", "count", "part"]);
    space
}

/// Whether the store has the text of `aligned.txt`.
fn is_stored(space: &Space) -> bool {
    fn any(folder: &std::path::Path) -> bool {
        fs::read_dir(folder).expect("a folder").any(|entry| {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => any(&path),
                false => {
                    fs::read_to_string(&path).is_ok_and(|text| text.starts_with("a long text"))
                }
            }
        })
    }
    any(&space.path(".restage/objects"))
}

#[test]
fn what_all_have_read_is_given_up_and_everything_is_up_to_date() {
    let space = space();
    assert!(!is_stored(&space));
    assert!(!space.path("aligned.txt").exists());
    assert_eq!(space.ran(&[]), [""; 0]);
    let said = space.restage(&["status"]).exits(0);
    assert!(
        said.out
            .contains("fresh    align  not kept: `aligned.txt`, `parts`"),
        "{}",
        said.out
    );
    let said = space.restage(&["why", "align"]).exits(0);
    assert!(
        said.out.contains("`aligned.txt` was not kept"),
        "{}",
        said.out
    );
    space.restage(&["status", "--check"]).exits(0);
    space.restage(&["fsck"]).exits(0);
    space.restage(&["gc"]).exits(0);
    assert_eq!(space.ran(&[]), [""; 0]);
    // A call with nothing to do need not plan.
    std::thread::sleep(std::time::Duration::from_millis(60));
    space.restage(&["reproduce"]).exits(0).says("3 fresh");
    assert_eq!(
        space
            .path(".restage/noop")
            .read_dir()
            .expect("snapshots")
            .count(),
        1
    );
}

#[test]
fn it_is_made_again_only_for_a_reader_that_runs() {
    let space = space();
    let said = space.restage(&["reproduce", "-n", "-S", "a=7"]).exits(0);
    assert!(
        said.out
            .contains("align: run, `aligned.txt` was not kept, and is read again"),
        "{}",
        said.out
    );
    assert_eq!(space.ran(&["-j1", "-S", "a=7"]), ["align", "count"]);
    assert!(!is_stored(&space));
    // The list of a folder's files stays, so that a part of it still has its digest.
    assert_eq!(
        space.ran(&["-j1", "-S", "a=7", "-S", "b=7"]),
        ["align", "part"]
    );
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn what_is_yet_to_be_read_is_kept() {
    let space = Space::new(&STAGES.replace("cat parts/two", "false; cat parts/two"));
    space.write("reads.txt", "a long text\n");
    space.restage(&["reproduce", "-k"]).exits(1);
    assert!(is_stored(&space));
    space.stages(STAGES);
    assert_eq!(space.ran(&["-j1"]), ["part"]);
    assert!(!is_stored(&space));
    // Asked for by name, without its readers.
    let space = Space::new(STAGES);
    space.write("reads.txt", "a long text\n");
    assert_eq!(space.ran(&["align", "count"]), ["align", "count"]);
    assert!(is_stored(&space));
}

#[test]
fn a_stage_that_then_writes_something_else_changes_all_that_read_it() {
    let stages = r#"
  align: {cmd: date +%s%N > aligned.txt, outs: [{path: aligned.txt, temporary: true}]}
  count: {cmd: "cat aligned.txt > count.txt; echo ${a} >> count.txt", deps: [aligned.txt], outs: [count.txt]}
  part: {cmd: "cat aligned.txt > part.txt; echo ${b} >> part.txt", deps: [aligned.txt], outs: [part.txt]}
  last: {cmd: cat part.txt > last.txt, deps: [part.txt], outs: [last.txt]}
"#;
    let space = Space::new(stages);
    assert_eq!(space.ran(&["-j1"]).len(), 4);
    let mut ran = space.ran(&["-j1", "-S", "a=7"]);
    ran.sort();
    assert_eq!(ran, ["align", "count", "last", "part"]);
    assert_eq!(
        space.read("last.txt").lines().next(),
        space.read("count.txt").lines().next()
    );
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn what_another_result_holds_too_stays() {
    let space = Space::new(
        "  one: {cmd: echo same > one.txt, outs: [{path: one.txt, temporary: true}]}\n  \
         two: {cmd: cat one.txt > two.txt, deps: [one.txt], outs: [two.txt]}\n",
    );
    space.ran(&[]);
    fs::remove_file(space.path("two.txt")).expect("an out");
    space.restage(&["reproduce"]).exits(0).says("1 restored");
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn nobody_misses_in_the_workspace_what_is_never_put_there() {
    let space = space();
    fs::remove_file(space.path("part.txt")).expect("an out");
    let out = space.restage(&["fsck"]).exits(0).out;
    let missing = "missing since the last `restage reproduce`: `part.txt`\n";
    assert!(out.contains(missing), "{out}");
    let said = space.restage(&["trace", "aligned.txt"]).exits(3);
    let never = "temporary, never put here: `align` wrote";
    assert!(said.out.contains(never), "{}", said.out);
    assert!(!said.err.contains("restores it"), "{}", said.err);
}

#[test]
fn a_claim_a_comparison_or_a_page_that_reads_it_is_told_that_it_is_never_here() {
    let space = Space::new(
        "  a: {cmd: \"echo x,1 > a.csv\", outs: [{path: a.csv, temporary: true}]}\n  \
         b: {cmd: cp a.csv b.csv, deps: [a.csv], outs: [b.csv]}\n\
         claims: {one: {says: it is, paper: 1, ours: 'cell(\"a.csv\", 1, \"x\")', tolerance: {abs: 1}}}\n\
         compare: [{files: a.csv}]\n\
         report: {title: it, sections: [{title: it, show: [{table: a.csv}]}]}\n",
    );
    space.ran(&[]);
    space.write("old/a.csv", "x\n1\n");
    let never = "which is never put here: remove `temporary: true`";
    let calls: [&[&str]; 3] = [&["claims"], &["compare", "--against", "old"], &["report"]];
    for call in calls {
        space.restage(call).exits(2).says(never);
    }
}

#[test]
fn without_temporary_it_is_made_again_and_kept() {
    let space = space();
    let said = space.restage(&["verify", "count"]).exits(2);
    said.says("it reads `aligned.txt`, which is temporary and was not kept");
    space.restage(&["verify", "align"]).exits(0);
    space.stages(&STAGES.replace(", temporary: true", ""));
    assert_eq!(space.ran(&["-j1"]), ["align"]);
    assert!(is_stored(&space) && space.path("aligned.txt").exists());
    space.restage(&["verify", "count"]).exits(0);
    // And back again.
    space.stages(STAGES);
    assert_eq!(space.ran(&[]), [""; 0]);
    assert!(!is_stored(&space));
}

#[test]
fn what_no_stage_reads_can_not_be_temporary() {
    let space = Space::new("  one: {cmd: echo 1 > x, outs: [{path: x, temporary: true}]}\n");
    let said = space.restage(&["status"]).exits(2);
    said.says("error: `x` of stage `one` is temporary, and no stage reads it");
}

#[test]
fn a_lost_object_that_was_not_given_up_is_still_damage() {
    let space = Space::new(&STAGES.replace("cat parts/two", "false; cat parts/two"));
    space.write("reads.txt", "a long text\n");
    space.restage(&["reproduce", "-k"]).exits(1);
    fs::remove_dir_all(space.path(".restage/objects")).expect("objects");
    fs::create_dir(space.path(".restage/objects")).expect("a folder");
    space.restage(&["fsck"]).exits(3);
    let said = space.restage(&["status", "align"]).exits(0);
    assert!(said.out.contains("the store has lost"), "{}", said.out);
}

#[test]
fn killed_while_bytes_are_given_up_nothing_is_missing_that_was_promised() {
    let call = |plan: &str| {
        let space = Space::new(STAGES);
        space.write(
            "reads.txt",
            "a long text that only the temporary outs hold\n",
        );
        let mut command = space.command(&["reproduce", "-j1"]);
        let output = command.env("RESTAGE_FAULTS", plan).output();
        (space, output.expect("restage starts"))
    };
    let (space, _) = call("log:points.log");
    let points = space.read("points.log").lines().count();
    let mut died = 0;
    // Bytes go at the end, when the last reader has its record.
    for n in (points.saturating_sub(40)..points).step_by(3) {
        let (space, output) = call(&format!("die:{n}"));
        died += usize::from(!output.status.success());
        space.restage(&["fsck"]).exits(0);
        space.restage(&["reproduce"]).exits(0);
        let said = space.restage(&["status", "--check"]);
        assert_eq!(said.code, Some(0), "point {n}: {}", said.out);
        assert_eq!(space.read("count.txt"), "1\n1\n", "point {n}");
        space.restage(&["gc"]).exits(0);
        assert!(!is_stored(&space), "point {n}");
    }
    assert!(died > 8, "{died} of the last points of {points}");
}

/// `sort` could run, but reads what only `align` can make.
const GATED: &str = r#"
  align:
    cmd: cat reads.txt > aligned.txt
    deps: [reads.txt]
    requires: {files: [licence.lic]}
    outs: [{path: aligned.txt, temporary: true}]
  sort: {cmd: sort aligned.txt > sorted.txt, deps: [aligned.txt], outs: [{path: sorted.txt, temporary: true}]}
  factor: {cmd: "echo ${a} > factor.txt", outs: [factor.txt]}
  count: {cmd: "wc -l < sorted.txt > count.txt; echo ${a} >> count.txt", deps: [sorted.txt], outs: [count.txt]}
  scale: {cmd: "cat factor.txt aligned.txt > scale.txt", deps: [aligned.txt, factor.txt], outs: [scale.txt]}
  part: {cmd: "head -c9 sorted.txt aligned.txt > part.txt", deps: [sorted.txt, aligned.txt], outs: [part.txt]}
"#;

#[test]
fn where_it_can_not_be_made_again_only_who_must_read_it_is_kept_from_running() {
    let space = Space::new(GATED);
    space.write("reads.txt", "b\na\n");
    space.write("licence.lic", "");
    assert_eq!(space.ran(&["-j1"]).len(), 6);
    fs::remove_file(space.path("licence.lic")).expect("a file");
    space.restage(&["reproduce"]).exits(0).says("6 fresh");
    fs::remove_file(space.path("part.txt")).expect("an out");
    // `count` must run, which the plan knows; `scale` must, too, which is known once `factor` has run.
    let said = space.restage(&["reproduce", "-n", "-S", "a=7"]).exits(0);
    let why = "count: blocked, reads `sorted.txt`, a temporary out of `sort` that was not kept, and \
               `align` can't run here: there is no `licence.lic`";
    assert!(said.out.contains(why), "{}", said.out);
    assert!(said.out.contains("factor: run"), "{}", said.out);
    let said = space.restage(&["reproduce", "-S", "a=7"]).exits(1);
    let said = said.says("1 ran, 1 restored, 2 fresh, 2 failed");
    said.says("error: stage `scale` reads `aligned.txt`, a temporary out of `align`");
    assert_eq!(space.read("count.txt"), "2\n1\n");
    space.restage(&["status", "--check", "part"]).exits(0);
    space.write("licence.lic", "");
    let mut ran = space.ran(&["-S", "a=7"]);
    ran.sort();
    assert_eq!(ran, ["align", "count", "scale", "sort"]);
}

#[test]
fn verify_of_all_leaves_out_who_reads_what_was_not_kept_and_verifies_the_others() {
    let space = space();
    let said = space.restage(&["verify"]).exits(0);
    let said = said.says(
        "not verified: count, part: what they read, `aligned.txt` and its like, is temporary",
    );
    assert!(said.out.contains("identical  align"), "{}", said.out);
    assert!(!said.out.contains("count"), "{}", said.out);
    let _ = space.restage(&["verify", "count"]).exits(2);
}
