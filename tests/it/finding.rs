//! Which pipeline file is meant, and which paths, by someone who stands in a folder of the workspace.

use crate::space::{Said, Space};

const TWO: &str = "  a: {cmd: 'echo 1 > a.txt', outs: [a.txt]}\n\
                   \x20 b: {cmd: 'cp a.txt sub/b.txt', deps: [a.txt], outs: [sub/b.txt]}\n";

fn inside(space: &Space, folder: &str, args: &[&str]) -> Said {
    let mut command = space.command(args);
    command
        .current_dir(space.path(folder))
        .output()
        .unwrap()
        .into()
}

#[test]
fn the_pipeline_in_the_nearest_folder_above_is_used_and_named() {
    let space = Space::new(TWO);
    std::fs::create_dir_all(space.path("sub/deep")).unwrap();
    let said = inside(&space, "sub/deep", &["reproduce"]).exits(0);
    let said = said.says("using `../../pipeline.yaml`\n");
    assert_eq!(said.err.matches("using").count(), 1);
    assert!(space.exists("sub/b.txt") && space.exists(".restage"));
    assert!(!space.exists("sub/deep/.restage"));
    let said = inside(&space, "sub/deep", &["reproduce"]).exits(0);
    assert!(said.err.contains("2 fresh"), "{}", said.err);
    space.restage(&["-C", "sub", "status", "--check"]).exits(0);
    for verb in ["gc", "fsck"] {
        inside(&space, "sub", &[verb])
            .exits(0)
            .says("using `../pipeline.yaml`");
    }
    space.write("sub/deep/pipeline.yaml", "schema: 1\nname: t\nstages: {}\n");
    let said = inside(&space, "sub/deep", &["status"]);
    assert!(!said.err.contains("using"), "{}", said.err);
    space.write("pipeline.yaml", "schema: 2\n");
    inside(&space, "sub", &["status"])
        .exits(2)
        .says("--> ../pipeline.yaml:1");
}

#[test]
fn paths_are_from_where_the_user_stands_or_from_the_pipelines_folder() {
    let space = Space::new(TWO);
    std::fs::create_dir(space.path("sub")).unwrap();
    for (target, ran) in [
        ("b.txt", "2 ran"),
        ("../a.txt", "1 fresh"),
        ("sub/b.txt", "2 fresh"),
    ] {
        let said = inside(&space, "sub", &["reproduce", target]).exits(0);
        assert!(said.err.contains(ran), "{target}: {}", said.err);
    }
    // The same words from elsewhere are another request.
    space.restage(&["reproduce", "b.txt"]).exits(2);
    for path in ["b.txt", "../a.txt", "sub/b.txt"] {
        let said = inside(&space, "sub", &["trace", path]).exits(0);
        assert!(said.out.contains("a.txt"), "{path}: {}", said.out);
    }
    inside(&space, "sub", &["why", "b.txt"]).exits(0);
    inside(&space, "sub", &["why", "b"]).exits(0);
}

#[test]
fn beyond_a_repository_a_workspace_or_the_home_folder_nothing_is_looked_for() {
    for root in [".git", ".restage"] {
        let space = Space::new(TWO);
        std::fs::create_dir_all(space.path("sub").join(root)).unwrap();
        inside(&space, "sub", &["status"])
            .exits(2)
            .says("there is no `pipeline.yaml`");
    }
    let space = Space::new(TWO);
    std::fs::create_dir(space.path("sub")).unwrap();
    let home = space.path("sub").canonicalize().unwrap();
    let mut command = space.command(&["status"]);
    let said: Said = command
        .current_dir(&home)
        .env("HOME", &home)
        .output()
        .unwrap()
        .into();
    said.exits(2).says("there is no `pipeline.yaml`");
}

#[test]
fn each_pipeline_file_of_a_folder_has_a_lock_file_of_its_own() {
    let space = Space::new(TWO);
    std::fs::create_dir(space.path("sub")).unwrap();
    let other = "schema: 1\nname: t\nstages: {c: {cmd: 'echo 3 > c.txt', outs: [c.txt]}}\n";
    space.write("other.yaml", other);
    space.write("other.lock", "another program's");
    for _ in 0..2 {
        space.restage(&["reproduce"]).exits(0);
        space
            .restage(&["reproduce", "--file", "other.yaml"])
            .exits(0);
    }
    let lock = space.read("pipeline.lock");
    assert!(
        lock.contains("\"a\":") && !lock.contains("\"c\":"),
        "{lock}"
    );
    let lock = space.read("other.yaml.lock");
    assert!(
        lock.contains("\"c\":") && !lock.contains("\"a\":"),
        "{lock}"
    );
    assert_eq!(space.read("other.lock"), "another program's");
    // Results that either names are kept.
    std::fs::remove_file(space.path("c.txt")).unwrap();
    space.restage(&["gc", "--keep-runs", "0"]).exits(0);
    let said = space
        .restage(&["reproduce", "--file", "other.yaml"])
        .exits(0);
    assert!(said.err.contains("1 restored"), "{}", said.err);
    for out in ["other.yaml", "other.yaml.lock"] {
        space.write("other.yaml", &other.replace("c.txt]", &format!("{out}]")));
        space
            .command(&["-C", "sub", "status", "--file", "../other.yaml"])
            .output()
            .unwrap();
        space
            .restage(&["status", "--file", "./other.yaml"])
            .exits(2)
            .says("cannot write");
    }
}
