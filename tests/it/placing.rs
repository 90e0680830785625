//! How outs get from the store into the workspace.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::space::Space;

const PIPELINE: &str = r"
  make:
    cmd: mkdir folder && echo a > plain && echo b > copied && echo c > linked && echo d > folder/x
    outs: [plain, {path: copied, place: copy}, {path: linked, place: link}, {path: folder, place: link}]
";

fn is_link(path: &Path) -> bool {
    fs::metadata(path).unwrap().permissions().mode() & 0o222 == 0
}

#[test]
fn an_out_is_a_file_to_edit_unless_it_is_a_link() {
    let space = Space::new(PIPELINE);
    assert_eq!(space.ran(&[]), ["make"]);
    let placed = |name: &str| is_link(&space.path(name));
    let all = ["plain", "copied", "linked", "folder/x"];
    assert_eq!(all.map(placed), [false, false, true, true]);
    for name in ["plain", "copied"] {
        assert_eq!(fs::metadata(space.path(name)).unwrap().nlink(), 1, "{name}");
    }
    // Restored, they are what they were.
    for name in all {
        fs::remove_file(space.path(name)).unwrap();
    }
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(all.map(placed), [false, false, true, true]);
}

#[test]
fn an_edited_copy_does_not_reach_the_store() {
    let space = Space::new(PIPELINE);
    assert_eq!(space.ran(&[]), ["make"]);
    space.write("plain", "edited\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.read("plain"), "a\n");
}

#[test]
fn another_place_changes_no_key_and_counts_when_the_out_is_put_there_again() {
    let space = Space::new(PIPELINE);
    let key = |space: &Space| {
        let status = space.restage(&["status", "--json"]);
        let stage: serde_json::Value = serde_json::from_str(status.out.trim()).unwrap();
        assert_eq!(stage["stage"], "make");
        stage["key"].clone()
    };
    assert_eq!(space.ran(&[]), ["make"]);
    let before = key(&space);
    let swapped = PIPELINE.replace("place: link", "place: swap");
    let swapped = swapped.replace("place: copy", "place: link");
    space.stages(&swapped.replace("place: swap", "place: copy"));
    assert_eq!(key(&space), before);
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("fresh"), ["make"]);
    assert!(is_link(&space.path("linked")), "it is left alone");

    for name in ["copied", "linked", "folder/x"] {
        fs::remove_file(space.path(name)).unwrap();
    }
    assert_eq!(space.ran(&[]), [""; 0]);
    let placed = |name: &str| is_link(&space.path(name));
    let all = ["plain", "copied", "linked", "folder/x"];
    assert_eq!(all.map(placed), [false, true, false, false]);
}
