//! Trees with links: what they are to restage, and that such a tree is the same wherever it is put.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use crate::digest::{Manifest, Node, What, digest_found, digest_tree, list, nothing, tree};
use crate::fs;

fn make(root: &Path, things: &[(&str, &str)]) {
    for (at, what) in things {
        let path = root.join(at);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match what.strip_prefix("-> ") {
            Some(target) => fs::symlink(Path::new(target), &path).unwrap(),
            None => std::fs::write(path, what).unwrap(),
        }
    }
}

fn shown(manifest: &Manifest) -> Vec<String> {
    let line = |node: &Node| match node {
        Node::File { size, .. } => format!("{size} bytes"),
        Node::Link(target) => format!("-> {target}"),
        Node::EmptyFolder => "empty".to_owned(),
    };
    let entries = manifest.entries().iter();
    entries
        .map(|entry| format!("{}: {}", entry.path, line(&entry.node)))
        .collect()
}

/// The entries of `tree` in a folder with these things, or the error without the folder's path.
fn found(things: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), things);
    let found = tree(&dir.path().join("tree"), &nothing, &digest_found);
    let root = dir.path().to_string_lossy().into_owned();
    match found {
        Ok(found) => Ok(shown(&found.manifest)),
        Err(error) => Err(error.to_string().replace(&root, "")),
    }
}

#[test]
fn links_within_a_folder_stay_as_they_were_written() {
    let links = [
        ("tree/a/lib.so.1.2", "code"),
        ("tree/a/lib.so.1", "-> lib.so.1.2"),
        ("tree/a/lib.so", "-> lib.so.1"),
        ("tree/b/up", "-> ../a/lib.so"),
        ("tree/b/whole", "-> ../a"),
        ("tree/self", "-> ."),
    ];
    let expected = [
        "a/lib.so: -> lib.so.1",
        "a/lib.so.1: -> lib.so.1.2",
        "a/lib.so.1.2: 4 bytes",
        "b/up: -> ../a/lib.so",
        "b/whole: -> ../a",
        "self: -> .",
    ];
    assert_eq!(found(&links).unwrap(), expected);
}

#[test]
fn links_out_of_a_folder_count_as_what_they_lead_to() {
    let hub = [
        ("blobs/1", "weights"),
        ("far/x", "1"),
        ("far/y", "-> x"),
        ("far/z", "-> ../blobs/1"),
        ("tree/r/model.bin", "-> ../../blobs/1"),
        ("tree/r/far", "-> ../../far"),
        ("tree/round/about", "-> ../../tree/r/model.bin"),
    ];
    let expected = [
        "r/far/x: 1 bytes",
        "r/far/y: -> x",
        "r/far/z: 7 bytes",
        "r/model.bin: 7 bytes",
        "round/about: 7 bytes",
    ];
    assert_eq!(found(&hub).unwrap(), expected);
}

#[test]
fn an_absolute_link_into_its_own_folder_becomes_relative() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let target = format!("-> {}", root.join("tree/a/v1").display());
    make(&root, &[("tree/a/v1", "1"), ("tree/b/latest", &target)]);
    let found = tree(&root.join("tree"), &nothing, &digest_found).unwrap();
    let expected = ["a/v1: 1 bytes", "b/latest: -> ../a/v1"];
    assert_eq!(shown(&found.manifest), expected);
    assert!(found.is_whole, "no link leads out");
}

#[test]
fn links_that_lead_nowhere_or_round_are_refused_with_the_reason() {
    let mut said = Vec::new();
    for (things, _) in [
        (&[("tree/gone", "-> nothing")][..], ()),
        (&[("tree/a", "-> b"), ("tree/b", "-> a")], ()),
        (&[("tree/in/up", "-> ../..")], ()),
        (&[("tree/x", "1"), ("tree/file", "-> x/y")], ()),
    ] {
        said.push(found(things).unwrap_err());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    cannot follow the link `/tree/gone`: it leads to `nothing`, where nothing is
    cannot follow the link `/tree/a`: it leads to `b`, and from there back to itself
    cannot follow the link `/tree/in/up`: it leads to `../..`, a folder that it lies in
    cannot follow the link `/tree/file`: it leads to `x/y`, where nothing is
    ");
}

#[test]
fn what_is_passed_over_changes_nothing_and_an_edit_behind_a_link_does() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    make(
        root,
        &[("tree/a/x", "1"), ("far", "1"), ("tree/far", "-> ../far")],
    );
    let junk = |path: &Path, _: bool| path.ends_with("junk");
    let now = || tree(&root.join("tree"), &junk, &digest_found).unwrap();
    let before = now();
    assert!(before.is_behind_link("far") && !before.is_behind_link("a/x") && !before.is_whole);
    make(
        root,
        &[
            ("tree/a/junk", "1"),
            ("tree/new/junk", "1"),
            ("tree/junk", "-> gone"),
        ],
    );
    assert_eq!(now().content, before.content);
    std::fs::write(root.join("far"), "2").unwrap();
    assert_ne!(now().content, before.content);
    std::fs::write(root.join("far"), "1").unwrap();
    assert_eq!(now().content, before.content);
    fs::create_dir(&root.join("tree/empty")).unwrap();
    assert_ne!(
        now().content,
        before.content,
        "a folder that is really empty counts"
    );
}

#[test]
fn a_folder_is_listed_for_a_file_or_link_in_it_and_not_for_what_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    make(
        dir.path(),
        &[
            ("tree/deep/er/f", "1"),
            ("tree/f", "1"),
            ("tree/junky/junk", "1"),
            ("tree/links/l", "-> ../f"),
        ],
    );
    fs::create_dir_all(&dir.path().join("tree/with/empty")).unwrap();
    let junk = |path: &Path, _: bool| path.ends_with("junk");
    let listing = list(&dir.path().join("tree"), &junk).unwrap();
    let listed = listing.found.into_iter();
    let listed: Vec<_> = listed.map(|found| (found.path, found.what)).collect();
    let expected = [
        ("deep", What::Folder),
        ("deep/er", What::Folder),
        ("deep/er/f", What::File),
        ("f", What::File),
        ("links", What::Folder),
        ("links/l", What::Link("../f".into())),
        ("with", What::Folder),
        ("with/empty", What::EmptyFolder),
    ];
    assert_eq!(listed, expected.map(|(path, what)| (path.into(), what)));
    assert!(listing.skipped);
}

#[test]
fn many_folders_and_names_are_listed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for folder in 0..12 {
        let names = if folder == 5 { 300 } else { 3 };
        for name in 0..names {
            make(
                dir.path(),
                &[(&format!("{folder}/in-{folder}/{name}"), "1")],
            );
        }
    }
    let listed = list(dir.path(), &nothing).unwrap().found.into_iter();
    let walked = fs::walk(dir.path()).unwrap().into_iter();
    let listed: Vec<_> = listed.map(|found| found.path).collect();
    assert_eq!(listed, walked.map(|found| found.path).collect::<Vec<_>>());
}

/// Puts a manifest's entries somewhere, files as their sizes.
fn put(manifest: &Manifest, source: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in manifest.entries() {
        let path = to.join(&entry.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &entry.node {
            Node::File { .. } => {
                std::fs::copy(source.join(&entry.path), &path).unwrap();
            }
            Node::Link(target) => fs::symlink(Path::new(target), &path).unwrap(),
            Node::EmptyFolder => fs::create_dir(&path).unwrap(),
        }
    }
}

/// Every path in a folder that can be read, links followed, with what is read there.
fn read_all(root: &Path, depth: usize, found: &mut BTreeMap<String, String>, at: &str) {
    for name in fs::read_dir(&root.join(at)).unwrap() {
        let path = Path::new(at).join(name).to_string_lossy().into_owned();
        let full = root.join(&path);
        if full.is_dir() && depth > 0 {
            read_all(root, depth - 1, found, &path);
        } else if full.is_file() {
            found.insert(path, std::fs::read_to_string(full).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn a_tree_with_links_reads_the_same_wherever_it_is_put(
        files in prop::collection::btree_set("(tree|out)/[ab]/[cd]", 1..6),
        links in prop::collection::btree_map("tree/[ab]/([ef]/)?[gh]", (any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(&root.join("tree/a")).unwrap();
        let files: Vec<String> = files.into_iter().collect();
        for file in &files {
            make(&root, &[(file, file)]);
        }
        for (name, (to, absolute, folder)) in &links {
            let to = to.get(&files);
            let to = if *folder { to.rsplit_once('/').unwrap().0 } else { to };
            let target = match absolute {
                true => root.join(to).display().to_string(),
                false => format!("{}{to}", "../".repeat(name.matches('/').count())),
            };
            let path = root.join(name);
            if fs::create_dir_all(path.parent().unwrap()).is_ok() {
                let _ = fs::symlink(Path::new(&target), &path);
            }
        }
        let source = root.join("tree");
        let found = tree(&source, &nothing, &digest_found).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = elsewhere.path().join("copy");
        put(&found.manifest, &source, &copy);
        prop_assert_eq!(digest_tree(&copy).unwrap(), found.content);
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        read_all(&source, 4, &mut before, "");
        read_all(&copy, 4, &mut after, "");
        prop_assert_eq!(before, after);
    }
}
