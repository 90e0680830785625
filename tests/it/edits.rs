//! Inputs that are edited while their stage runs: no result is stored under a key that doesn't
//! match it.

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
fn an_input_edited_while_its_stage_runs_is_not_cached() {
    let edits = [
        ("echo other > $HOME/in.txt", "in.txt"),
        // Same size, and the old modification time.
        (
            "touch -r $HOME/in.txt $HOME/old; echo FIRST > $HOME/in.txt; touch -r $HOME/old $HOME/in.txt",
            "in.txt",
        ),
        ("mv $HOME/in.txt $HOME/in.old", "in.txt"),
        ("echo two > $HOME/d/two", "d"),
        ("mkdir $HOME/d/empty", "d"),
        ("chmod +x $HOME/d/one", "d"),
        ("echo b > $HOME/b.csv", "*.csv or b.csv"),
        ("rm $HOME/a.csv", "*.csv"),
        ("mv $HOME/a.csv $HOME/b.csv", "b.csv"),
    ];
    for (edit, path) in edits {
        let space = space(edit);
        let said = space.restage(&["reproduce"]).exits(1);
        let named = path.split(" or ").any(|path| {
            said.err
                .contains(&format!("read `{path}`, which changed while it ran"))
        });
        assert!(named, "{edit}: {}", said.err);
        assert!(said.err.contains("nothing was recorded"), "{}", said.err);
        assert!(!space.exists("s.txt"), "{edit}");
        let records = std::fs::read_dir(space.path(".restage/records")).expect("a folder");
        assert_eq!(records.count(), 0, "{edit}");
    }
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
