//! What is the user's stays: files that links of a stage lead to, a home that is named as a store,
//! git's idea of what is theirs.

use crate::space::Space;

const ONE: &str = "  a: {cmd: 'echo 1 > a.txt', outs: [a.txt]}\n";

#[test]
fn a_stage_that_links_its_scratch_folder_elsewhere_loses_nothing_there() {
    let users = tempfile::tempdir().unwrap();
    let folder = users.path().display();
    std::fs::create_dir(users.path().join("sub")).unwrap();
    std::fs::write(users.path().join("sub/old"), "x").unwrap();
    let space = Space::new(&format!(
        // In a place of its own a stage can't: the folder is a mount point there.
        "  s: {{isolation: none, cmd: 'rmdir $RESTAGE_SCRATCH; ln -s {folder} $RESTAGE_SCRATCH; ln -s {folder} l; \
         echo w > w.txt', outs: [w.txt]}}\n"
    ));
    assert_eq!(space.ran(&[]), ["s"]);
    space.restage(&["gc", "--keep-runs", "0"]).exits(0);
    assert!(users.path().join("sub/old").exists());
    assert_eq!(
        std::fs::read_dir(space.path(".restage/scratch"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_home_folder_is_no_store() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("tmp")).unwrap();
    std::fs::write(home.path().join("tmp/thesis.tex"), "x").unwrap();
    let space = Space::new(ONE);
    for verb in [&["status"][..], &["reproduce"], &["gc"], &["fsck"]] {
        let run = space
            .command(verb)
            .env("RESTAGE_STORE", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success(), "{verb:?}");
        assert!(
            said.contains("is not a store: it has `tmp`"),
            "{verb:?}: {said}"
        );
        assert!(said.contains("nothing was changed"), "{verb:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    assert!(home.path().join("tmp/thesis.tex").exists());
}

#[test]
fn git_leaves_the_store_alone() {
    let space = Space::new(ONE);
    space.git(&["init", "-q"]).exits(0);
    assert_eq!(space.ran(&[]), ["a"]);
    assert!(
        !space
            .git(&["status", "--short"])
            .exits(0)
            .out
            .contains(".restage")
    );
    space.git(&["add", "-A"]).exits(0);
    space.git(&["clean", "-fdq"]).exits(0);
    assert!(space.exists(".restage/objects"));
    // A store of an older restage, too.
    std::fs::remove_file(space.path(".restage/.gitignore")).unwrap();
    space.reproduce(&["--force"]).exits(0);
    assert!(
        !space
            .git(&["status", "--short"])
            .exits(0)
            .out
            .contains(".restage")
    );
}

#[test]
fn a_leftover_with_an_odd_name_costs_no_result() {
    let space = Space::new(
        "  a: {cmd: 'd=$(printf \"t\\351\"); mkdir $d; touch $d/f $d/g; echo 1 > a.txt', outs: [a.txt]}\n",
    );
    assert_eq!(space.ran(&[]), ["a"]);
}

/// A repository whose workspace lies in a folder of it, and results of `a` for some parameters: each
/// is named by a commit that something else names.
fn branches(space: &Space) {
    let run = |number: u32| {
        let text = format!(
            "schema: 1\nname: t\nparams: {{x: {number}}}\nstages:\n  a: {{cmd: 'echo ${{x}} > a.txt', outs: [a.txt]}}\n"
        );
        space.write("paper/pipeline.yaml", &text);
        space.restage(&["-C", "paper", "reproduce", "-q"]).exits(0);
    };
    let commit = |number: u32| {
        run(number);
        space.git(&["add", "-A"]).exits(0);
        space.git(&["commit", "-qm", &number.to_string()]).exits(0);
    };
    space.write(".gitignore", "a.txt\n");
    space.git(&["init", "-q"]).exits(0);
    commit(1);
    space.git(&["checkout", "-qb", "other"]).exits(0);
    commit(2);
    space.git(&["tag", "-am", "t", "paper-v1"]).exits(0);
    space.git(&["reset", "-q", "--hard", "HEAD~"]).exits(0);
    commit(3);
    space
        .git(&["update-ref", "refs/remotes/origin/theirs", "HEAD"])
        .exits(0);
    space.git(&["reset", "-q", "--hard", "HEAD~"]).exits(0);
    run(4);
    space.git(&["stash", "-q"]).exits(0);
    run(5);
    space.git(&["stash", "-q"]).exits(0);
    commit(6);
    space
        .git(&["worktree", "add", "-q", "--detach", "elsewhere"])
        .exits(0);
    space.git(&["reset", "-q", "--hard", "HEAD~"]).exits(0);
    for number in 7..12 {
        run(number);
    }
}

fn restored(space: &Space, number: u32) -> bool {
    let set = format!("x={number}");
    let said = space
        .restage(&["-C", "paper", "--json", "reproduce", "-S", &set])
        .exits(0);
    said.with_outcome("ran").is_empty()
}

#[test]
fn gc_keeps_what_any_branch_tag_stash_or_worktree_of_git_names() {
    let space = Space::empty();
    branches(&space);
    space
        .restage(&["-C", "paper", "gc", "--keep-runs", "1"])
        .exits(0);
    for number in 1..=6 {
        assert!(restored(&space, number), "{number}");
    }
    // Nothing names these.
    assert!(!restored(&space, 8));
}

#[test]
fn gc_keeps_every_result_if_git_gives_no_answer() {
    let space = Space::empty();
    branches(&space);
    let gc = ["-C", "paper", "gc", "--keep-runs", "1"];
    let without = space.command(&gc).env("PATH", "/nowhere").output().unwrap();
    std::fs::write(space.path(".git/config"), "[broken").unwrap();
    for said in [without, space.command(&gc).output().unwrap()] {
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{text}");
        assert!(text.contains("so every result is kept"), "{text}");
    }
    assert!(restored(&space, 8));
}
