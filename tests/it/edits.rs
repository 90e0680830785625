//! Sources that are edited while their stage runs. A stage reads them as they were when it started, and
//! its result is stored under the key of that.

use crate::space::Space;

/// A stage that runs this, then reads `in.txt`, `d` and the files that match `*.csv`.
fn space(meanwhile: &str) -> Space {
    let space = Space::new(&format!(
        "  s:\n    cmd: '{meanwhile}; cat in.txt d/* *.csv > s.txt'\n    deps: [in.txt, d, '*.csv']\n    outs: [s.txt]\n"
    ));
    for (name, text) in [("in.txt", "first\n"), ("d/one", "one\n"), ("a.csv", "a\n")] {
        space.write(name, text);
    }
    space
}

#[test]
fn an_input_edited_while_its_stage_runs_costs_nothing_and_makes_the_result_stale() {
    let edits = [
        ("echo other > $HOME/in.txt", "in.txt"),
        // Same size, and the old modification time.
        (
            "touch -r $HOME/in.txt $HOME/old; echo FIRST > $HOME/in.txt; touch -r $HOME/old $HOME/in.txt",
            "in.txt",
        ),
        ("echo two > $HOME/d/two", "d"),
        ("mkdir $HOME/d/.empty", "d"),
        ("chmod +x $HOME/d/one", "d"),
        ("echo b > $HOME/b.csv", "b.csv"),
        ("mv $HOME/a.csv $HOME/b.csv", "b.csv"),
    ];
    for (edit, path) in edits {
        let space = space(&format!(
            "if ! test -e $HOME/done; then touch $HOME/done; {edit}; fi"
        ));
        let said = space.restage(&["reproduce"]).exits(0);
        let said = said.says(&format!("`{path}` changed while it ran"));
        assert_eq!(
            space.read("s.txt"),
            "first\none\na\n",
            "{edit}: {}",
            said.err
        );
        assert_eq!(space.ran(&[]), ["s"], "{edit}");
        assert_eq!(space.ran(&[]), [""; 0], "{edit}");
    }
}

#[test]
fn a_result_outlives_an_edit_that_is_taken_back_later() {
    let space = space("mv $HOME/in.txt $HOME/in.old");
    let _ = space.restage(&["reproduce"]).exits(0);
    std::fs::rename(space.path("in.old"), space.path("in.txt")).expect("the input");
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.read("s.txt"), "first\none\na\n");
}

#[test]
fn an_edit_that_is_reverted_is_not_seen_by_the_running_stage() {
    let space = space(
        "echo other > $HOME/in.txt; echo two > $HOME/d/two; echo b > $HOME/b.csv; cat in.txt d/* *.csv > seen; cp seen $HOME; rm seen $HOME/d/two $HOME/b.csv; echo first > $HOME/in.txt",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("seen"), "first\none\na\n");
    assert_eq!(space.read("s.txt"), "first\none\na\n");
    assert_eq!(space.ran(&[]), [""; 0], "the inputs are those of the key");
}

#[test]
fn an_edit_that_a_second_attempt_would_read_ends_the_stage_even_if_it_is_reverted() {
    // The first attempt edits and fails; the second would read the edit and revert it.
    for (edit, back) in [
        ("echo other > $HOME/in.txt", "echo first > $HOME/in.txt"),
        ("echo two > $HOME/d/two", "rm $HOME/d/two"),
        ("echo b > $HOME/b.csv", "rm $HOME/b.csv"),
    ] {
        let space = Space::new(&format!(
            "  s:\n    cmd: 'if ! test -e $RESTAGE_SCRATCH/second; then touch $RESTAGE_SCRATCH/second; {edit}; exit 1; fi; cat in.txt d/* *.csv > s.txt; {back}'\n    deps: [in.txt, d, '*.csv']\n    retries: 1\n    outs: [s.txt]\n"
        ));
        for (name, text) in [("in.txt", "first\n"), ("d/one", "one\n"), ("a.csv", "a\n")] {
            space.write(name, text);
        }
        let said = space.restage(&["reproduce"]).exits(1);
        let _ = said.says("which changed while it ran");
        assert!(!space.exists("s.txt"), "{edit}");
    }
}
