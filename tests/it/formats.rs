//! Workspaces that earlier versions left: they are read as docs/compatibility.md says.
//!
//! `tests/formats/v1` is what 0.1.0 wrote. If a test here fails, a format has changed: give it a new
//! number and a reader for the old one, add a folder of the new format, and keep this one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::space::Space;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/v1")
}

/// Copies a folder; what is stored is read-only, as restage made it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
            if from.components().any(|part| part.as_os_str() == "objects") {
                let mode = fs::metadata(&target).unwrap().permissions().mode();
                fs::set_permissions(&target, fs::Permissions::from_mode(mode & 0o555)).unwrap();
            }
        }
    }
}

/// The kept workspace, with its store or without.
fn workspace(with_store: bool) -> Space {
    let space = Space::empty();
    for name in ["pipeline.yaml", "pipeline.lock", "input.txt"] {
        fs::copy(kept().join(name), space.path(name)).unwrap();
    }
    if with_store {
        copy(&kept().join("store"), &space.path(".restage"));
    }
    space
}

/// The records below a folder by their file, without what differs between runs.
fn records(store: &Path) -> BTreeMap<String, Value> {
    let entries = fs::read_dir(store.join("records")).unwrap().flatten();
    let record = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let mut record: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let fields = record.as_object_mut().unwrap();
        for name in ["started", "seconds", "peak_memory", "host", "isolation"] {
            fields.remove(name);
        }
        record
    };
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, record(entry.path()))
        })
        .collect()
}

#[test]
fn results_in_a_store_of_version_1_are_restored_and_traced_without_a_run() {
    let space = workspace(true);
    for profile in ["quick", "full"] {
        let said = space.reproduce(&["-p", profile]).exits(0);
        assert_eq!(said.with_outcome("ran"), [""; 0], "{profile}");
    }
    assert_eq!(space.read("count.txt"), "18\n");
    space.restage(&["status", "-p", "full", "--check"]).exits(0);
    let traced = space.restage(&["trace", "count.txt"]).exits(0);
    assert!(
        traced
            .out
            .contains("written by `count`, exactly as recorded"),
        "{}",
        traced.out
    );
    space.restage(&["why", "folder", "-p", "full"]).exits(0);
    space.restage(&["fsck"]).exits(0).says("");
}

#[test]
fn what_is_written_now_has_the_formats_of_version_1() {
    let space = workspace(false);
    fs::remove_file(space.path("pipeline.lock")).unwrap();
    for profile in ["quick", "full"] {
        space.reproduce(&["-p", profile]).exits(0);
    }
    let lock = fs::read_to_string(kept().join("pipeline.lock")).unwrap();
    assert_eq!(space.read("pipeline.lock"), lock);
    let format = fs::read_to_string(kept().join("store/format")).unwrap();
    assert_eq!(space.read(".restage/format"), format);
    assert_eq!(
        records(&space.path(".restage")),
        records(&kept().join("store"))
    );
}

#[test]
fn a_newer_store_is_refused_and_a_newer_lock_file_moved_aside() {
    let space = workspace(true);
    space.write(".restage/format", "1000\n");
    space.reproduce(&[]).exits(4);
    assert_eq!(space.read(".restage/format"), "1000\n");
    let space = workspace(true);
    let lock = space
        .read("pipeline.lock")
        .replace("schema: 2", "schema: 1000");
    space.write("pipeline.lock", &lock);
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("ran"), [""; 0]);
    assert_eq!(space.read(".restage/pipeline.lock.damaged"), lock);
}
