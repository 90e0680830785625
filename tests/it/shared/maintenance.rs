//! What one workspace does to a shared store: by gc and fsck, by hand edits, and by permissions.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{STAGES, Shared, names};
use crate::damages::overwrite;
use crate::space::{Said, wait_until};

#[test]
fn an_out_that_is_edited_in_place_in_one_clone_is_never_served_to_another() {
    type Edit = fn(&Path);
    let edits: [Edit; 2] = [
        |path| {
            fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("a mode");
            fs::write(path, "DATA\n").expect("an edit");
        },
        |path| overwrite(path, b"DATA\n"),
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let shared = Shared::new();
        let (a, b, c) = (
            shared.clone(STAGES),
            shared.clone(STAGES),
            shared.clone(STAGES),
        );
        shared.reproduce(&a).exits(0);
        shared.reproduce(&b).exits(0);
        edit(&a.path("one.txt"));
        // A clone that has nothing yet, and one that has a hard link to the damaged file: the
        // latter trusts the times of objects that it knows, so only `fsck` sees a hidden edit.
        let known = if at == 0 { Some(&b) } else { None };
        for space in [&c].into_iter().chain(known) {
            // The first call may find the damage only when it uses the object.
            let first = shared.reproduce(space);
            if first.code != Some(0) {
                assert_eq!(first.code, Some(4), "{}", first.err);
                assert!(first.err.contains("is damaged"), "{}", first.err);
                shared.reproduce(space).exits(0);
            }
            assert_eq!(space.read("one.txt"), "data\n");
            assert_eq!(space.read("results/two.csv"), "data\ndata\n");
        }
        shared.call(&c, &["gc"]).exits(0);
        shared.call(&c, &["fsck"]).exits(0);
    }
}

#[test]
fn gc_in_one_clone_keeps_what_another_needs() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    for text in ["1\n", "2\n", "3\n", "4\n"] {
        b.write("in.txt", text);
        shared.reproduce(&b).exits(0);
    }
    // Only its lock names them: its files are gone, and its pipeline would now use others.
    fs::remove_dir_all(a.path("d")).expect("an out");
    fs::remove_file(a.path("results/two.csv")).expect("an out");
    fs::remove_dir_all(a.path(".restage")).expect("its folder");
    a.write("in.txt", "edited\n");
    let said = shared.call(&b, &["gc", "--keep-runs", "0"]).exits(0);
    assert!(!said.out.contains("gone"), "{}", said.out);
    assert_eq!(shared.records(), 4, "{}", said.out);
    let before = shared.runs().len();
    a.write("in.txt", "data\n");
    let said = shared.reproduce(&a).exits(0);
    assert_eq!(said.with_outcome("restored"), ["one", "two"]);
    assert_eq!(shared.runs().len(), before);
    shared.call(&a, &["fsck"]).exits(0);
    shared.call(&b, &["fsck"]).exits(0);
}

#[test]
fn gc_forgets_a_clone_that_is_gone_and_says_so() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    b.write("in.txt", "other\n");
    shared.reproduce(&b).exits(0);
    let root = a.root().display().to_string();
    drop(a);
    let said = shared.call(&b, &["gc", "-n", "--keep-runs", "1"]).exits(0);
    assert!(
        said.out
            .contains("is gone: its results would no longer be kept")
    );
    assert_eq!(names(&shared.store.join("workspaces")).len(), 2);
    let said = shared.call(&b, &["gc", "--keep-runs", "1"]).exits(0);
    let line = format!("workspace `{root}` is gone: its results are no longer kept\n");
    assert!(said.out.contains(&line), "{}", said.out);
    assert_eq!(names(&shared.store.join("workspaces")).len(), 1);
    assert_eq!(shared.records(), 2);
    shared.call(&b, &["status", "--check"]).exits(0);
}

#[test]
fn gc_keeps_everything_for_a_workspace_that_it_cannot_see() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    for text in ["1\n", "2\n", "3\n"] {
        a.write("in.txt", text);
        shared.reproduce(&a).exits(0);
    }
    // As if it had run on another machine: the note names the host, and its name is the digest of
    // that.
    let workspaces = shared.store.join("workspaces");
    let entry = workspaces.join(&names(&workspaces)[0]);
    let text = format!("elsewhere\n{}/not/here", a.root().display());
    fs::write(entry.join("workspace"), &text).expect("a note");
    let digest = blake3::hash(text.as_bytes()).to_hex();
    fs::rename(&entry, workspaces.join(digest.as_str())).expect("an entry");
    drop(a);

    b.write("in.txt", "other\n");
    shared.reproduce(&b).exits(0);
    let said = shared.call(&b, &["gc", "--keep-runs", "1"]).exits(0);
    assert!(said.out.contains("on elsewhere can't be seen from here"));
    assert_eq!(shared.records(), 8, "{}", said.out);
    let all = ["gc", "--keep-runs", "1", "--forget-unseen"];
    shared.call(&b, &all).exits(0);
    assert_eq!(shared.records(), 2);
    shared.call(&b, &["fsck"]).exits(0);
}

#[test]
fn gc_changes_nothing_if_it_cannot_know_what_another_clone_needs() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    b.write("in.txt", "other\n");
    shared.reproduce(&b).exits(0);
    a.write("pipeline.lock", "<<<<<<< ours\n");
    let path = a.path("pipeline.lock").display().to_string();
    let said = shared.call(&b, &["gc", "--keep-runs", "0"]).exits(4);
    assert!(said.err.contains(&path), "{}", said.err);
    assert_eq!(shared.records(), 4);
}

#[test]
fn gc_waits_for_no_one_and_runs_of_other_clones_wait_for_it() {
    let shared = Shared::new();
    let stages = STAGES.replace("mkdir d", "sleep 0.5; mkdir d");
    let (a, b) = (shared.clone(&stages), shared.clone(STAGES));
    let mut child = shared.spawn(&a);
    wait_until("the stage runs", || !shared.runs().is_empty());
    let said = shared.call(&b, &["gc"]).exits(4);
    said.says("another restage has").says("nothing was changed");
    assert!(child.wait().expect("an end").success());
    shared.call(&b, &["gc"]).exits(0);
}

#[test]
fn a_shared_store_that_may_not_be_written_to_is_refused_before_anything_runs() {
    const NOBODY: u32 = 65534;
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    let root = rustix::process::geteuid().is_root();
    let mut command = shared.command(&b, &["reproduce"]);
    if root {
        // Root may write everywhere, so call as another user.
        for path in [b.root(), shared.dir.path()] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
        }
        for path in [b.root().to_owned(), b.path("pipeline.yaml")] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("an owner");
        }
        command.uid(NOBODY).gid(NOBODY);
        let starts = Command::new(env!("CARGO_BIN_EXE_restage"))
            .arg("--version")
            .uid(NOBODY)
            .output();
        if !starts.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: nobody else can start restage here");
            return;
        }
    } else {
        for folder in ["records", "objects", "."] {
            let path = shared.store.join(folder);
            fs::set_permissions(path, PermissionsExt::from_mode(0o555)).expect("a mode");
        }
    }
    let said = Said::from(command.output().expect("restage starts")).exits(4);
    said.says("the shared store")
        .says("can't be used")
        .says("permission denied")
        .says("nothing was changed");
    assert_eq!(shared.runs(), ["one", "two"]);
    for folder in [".", "objects", "records"] {
        let path = shared.store.join(folder);
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
    }
    shared.call(&a, &["status", "--check"]).exits(0);
}
