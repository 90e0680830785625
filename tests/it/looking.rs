//! The commands that look: they make nothing, and need no right to write.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::space::Space;

const TWO: &str = "  a: {cmd: 'echo 1 > a.txt; echo said', outs: [a.txt]}\n\
                   \x20 b: {cmd: 'cp a.txt b.txt', deps: [a.txt], outs: [b.txt]}\n";

const LOOKS: [&[&str]; 8] = [
    &["status"],
    &["status", "--check"],
    &["why", "a"],
    &["logs", "a"],
    &["trace", "b.txt"],
    &["dag"],
    &["reproduce", "-n"],
    &["reproduce", "-n", "--force"],
];

/// What is below a folder, with what `stat` says of it; a stat cache may be renewed.
fn all(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let (path, stat) = (entry.path(), entry.metadata().unwrap());
            let times = (stat.mode(), stat.mtime(), stat.mtime_nsec());
            if stat.is_dir() {
                folders.push(path.clone());
                found.push(format!("{}", path.display()));
            } else if !path.ends_with("stat-cache") {
                found.push(format!("{} {times:?}", path.display()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn looking_makes_and_changes_nothing() {
    let space = Space::new(TWO);
    let before = all(space.root());
    for look in LOOKS {
        let _may_have_nothing_to_show = space.restage(look);
        let store = space.path("shared/store");
        let _likewise = space
            .command(look)
            .env("RESTAGE_STORE", store)
            .output()
            .unwrap();
    }
    assert_eq!(all(space.root()), before);
    assert_eq!(space.ran(&[]), ["a", "b"]);
    // Of a store whose restage died, too.
    space.write(".restage/tmp/.x.restage-1-1/file", "half");
    let before = all(space.root());
    for look in LOOKS {
        space.restage(look).exits(0);
    }
    assert_eq!(all(space.root()), before);
}

/// Runs it as somebody who may not write; `None` if this machine has no such user.
fn as_reader(space: &Space, args: &[&str]) -> Option<std::process::Output> {
    if !rustix::process::geteuid().is_root() {
        return Some(space.command(args).output().unwrap());
    }
    // Where it was built, others may not look.
    let program = space.path("restage");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_restage"), &program).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(&program).args(args).current_dir(space.root());
    match command.env("HOME", "/tmp").output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: no setpriv: {error}");
            None
        }
    }
}

/// Sets the modes of everything in the folder.
fn set_modes(root: &Path, folder: u32, file: impl Fn(u32) -> u32 + Copy) {
    for entry in fs::read_dir(root).unwrap().flatten() {
        let (path, stat) = (entry.path(), fs::symlink_metadata(entry.path()).unwrap());
        if stat.is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            set_modes(&path, folder, file);
        } else {
            let mode = fs::Permissions::from_mode(file(stat.mode()));
            fs::set_permissions(&path, mode).unwrap();
        }
    }
    fs::set_permissions(root, fs::Permissions::from_mode(folder)).unwrap();
}

#[test]
fn whoever_may_only_read_can_look() {
    let space = Space::new(TWO);
    assert_eq!(space.ran(&[]), ["a", "b"]);
    // A damaged object can't be set aside then.
    let object = |shard: fs::DirEntry| fs::read_dir(shard.path()).unwrap().flatten().next();
    let objects = fs::read_dir(space.path(".restage/objects"))
        .unwrap()
        .flatten();
    let object = objects.filter_map(object).next().unwrap().path();
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&object, "?\n").unwrap();
    if rustix::process::geteuid().is_root() {
        fs::copy(env!("CARGO_BIN_EXE_restage"), space.path("restage")).unwrap();
    }
    set_modes(space.root(), 0o555, |mode| mode & 0o555 | 0o444);
    let before = all(space.root());
    for look in LOOKS {
        let Some(done) = as_reader(&space, look) else {
            return;
        };
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{look:?}: {said}");
    }
    assert_eq!(all(space.root()), before);
    let ran = as_reader(&space, &["reproduce", "--force"]).unwrap();
    assert_eq!(ran.status.code(), Some(4), "it writes");
    set_modes(space.root(), 0o755, |mode| mode | 0o200);
}
