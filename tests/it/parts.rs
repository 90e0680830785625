//! Deps on a part of a folder that another stage writes.

use crate::space::Space;

/// `fetch` writes a folder; `prep` reads a file of it, `all` a folder in it.
const PARTS: &str = r"
  fetch:
    cmd: |
      mkdir -p raw/deep
      echo 1 > raw/train.csv
      echo ${a} > raw/test.csv
      echo ${b} > raw/deep/x
      ln -s train.csv raw/latest.csv
    outs: [raw]
  prep: {cmd: cp raw/latest.csv out.csv, deps: [raw/latest.csv], outs: [out.csv]}
  all: {cmd: cat raw/deep/x > all.csv, deps: [raw/deep], outs: [all.csv]}
";

#[test]
fn a_stage_runs_again_only_for_the_part_that_it_reads() {
    let space = Space::new(PARTS);
    assert_eq!(space.ran(&["-j1"]), ["fetch", "prep", "all"]);
    assert_eq!(space.ran(&["-S", "a=7"]), ["fetch"]);
    assert_eq!(space.read("raw/test.csv"), "7\n");
    assert_eq!(space.ran(&["-S", "b=7"]), ["fetch", "all"]);
    assert_eq!(space.read("out.csv"), "1\n");
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn a_part_is_traced_to_the_run_that_wrote_the_folder() {
    let space = Space::new(PARTS);
    assert_eq!(space.ran(&["-j1"]).len(), 3);
    let said = space.restage(&["trace", "out.csv"]).exits(0);
    assert!(said.out.contains("fetch"), "{}", said.out);
}

/// `prep` reads a file that `fetch` does not write.
const LACKING: &str = r"
  fetch: {cmd: mkdir raw && echo 1 > raw/training.csv, outs: [raw]}
  prep: {cmd: cp raw/train.csv out.csv, deps: [raw/train.csv], outs: [out.csv]}
  after: {cmd: cp out.csv after.csv, deps: [out.csv], outs: [after.csv]}
  other: {cmd: cp raw/training.csv other.csv, deps: [raw/training.csv], outs: [other.csv]}
";

#[test]
fn a_part_that_was_not_written_fails_its_reader_alone() {
    let space = Space::new(LACKING);
    let said = space.reproduce(&["-k"]).exits(1);
    assert_eq!(said.with_outcome("failed"), ["prep"]);
    assert_eq!(said.with_outcome("blocked"), ["after"]);
    assert_eq!(space.read("other.csv"), "1\n");
    // The writer is up to date now, so the plan knows.
    space.restage(&["reproduce"]).exits(1).says(
        "error: stage `prep` reads `raw/train.csv`, which `fetch` did not write in `raw`\n\
         hint: `raw` has `training.csv`; fix the name in `deps`, or what `fetch` writes\n",
    );
    let said = space.restage(&["status"]).exits(0);
    assert!(
        said.out.contains("`fetch` did not write in `raw`"),
        "{}",
        said.out
    );
    space.stages(&LACKING.replace("raw/train.csv", "raw/training.csv"));
    assert_eq!(space.ran(&[]), ["prep", "after"]);
}

#[test]
fn a_part_of_an_out_that_is_a_file_is_not_there() {
    let stages = LACKING.replace("mkdir raw && echo 1 > raw/training.csv", "echo 1 > raw");
    let said = Space::new(&stages).restage(&["reproduce"]).exits(1);
    said.says("hint: `raw` is not a folder, or is empty");
}
