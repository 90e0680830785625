//! What is the user's stays: files that links of a stage lead to, a home that is named as a store,
//! git's idea of what is theirs.

use std::process::Command;

use crate::space::Space;

const ONE: &str = "  a: {cmd: 'echo 1 > a.txt', outs: [a.txt]}\n";

#[test]
fn a_stage_that_links_its_scratch_folder_elsewhere_loses_nothing_there() {
    let users = tempfile::tempdir().unwrap();
    let folder = users.path().display();
    std::fs::create_dir(users.path().join("sub")).unwrap();
    std::fs::write(users.path().join("sub/old"), "x").unwrap();
    let space = Space::new(&format!(
        "  s: {{cmd: 'rmdir $RESTAGE_SCRATCH; ln -s {folder} $RESTAGE_SCRATCH; ln -s {folder} l; \
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

fn git(space: &Space, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=n",
        "-c",
        "user.email=e",
        "-c",
        "init.defaultBranch=main",
    ]);
    let done = git.arg("-C").arg(space.root()).args(args).output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn git_leaves_the_store_alone() {
    let space = Space::new(ONE);
    git(&space, &["init", "-q"]);
    assert_eq!(space.ran(&[]), ["a"]);
    assert!(!git(&space, &["status", "--short"]).contains(".restage"));
    git(&space, &["add", "-A"]);
    git(&space, &["clean", "-fdq"]);
    assert!(space.exists(".restage/objects"));
    // A store of an older restage, too.
    std::fs::remove_file(space.path(".restage/.gitignore")).unwrap();
    space.reproduce(&["--force"]).exits(0);
    assert!(!git(&space, &["status", "--short"]).contains(".restage"));
}

#[test]
fn a_leftover_with_an_odd_name_costs_no_result() {
    let space = Space::new(
        "  a: {cmd: 'd=$(printf \"t\\351\"); mkdir $d; touch $d/f $d/g; echo 1 > a.txt', outs: [a.txt]}\n",
    );
    assert_eq!(space.ran(&[]), ["a"]);
}
