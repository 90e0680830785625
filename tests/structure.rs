//! The project's structure as tests: circles of imports, file lengths, first lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 600;

/// Files that are longer than `MOST_LINES`. This list may only shrink.
const LONGER: [&str; 0] = [];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.map(|entry| entry.expect("a readable folder")) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> BTreeMap<String, String> {
    let mut found = Vec::new();
    for folder in ["src", "crates", "stages", "tests", "benches"] {
        rust_files(&root().join(folder), &mut found);
    }
    found
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("a path below the root");
            (
                name.display().to_string(),
                fs::read_to_string(path).expect("a source file"),
            )
        })
        .collect()
}

/// The file behind a module's path, such as `src/store` for `src/store/mod.rs`.
fn module(file: &str) -> &str {
    let path = file.trim_end_matches(".rs");
    let root = ["/mod", "/lib", "/main"];
    let root = root.into_iter().find_map(|end| path.strip_suffix(end));
    root.unwrap_or(path)
}

/// Modules that a module names by `super::` or `crate::`, outside comments and inline tests.
fn neighbours<'a>(module: &str, text: &str, all: &BTreeMap<&'a str, &str>) -> BTreeSet<&'a str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = code.expect("a first part").lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    let part_of_path = |c: char| c.is_alphanumeric() || "_:".contains(c);
    let mut found = BTreeSet::new();
    for path in lines.flat_map(|line| line.split(|c| !part_of_path(c))) {
        let mut from = Path::new(module);
        let mut rest = path;
        if let Some(inside) = path.strip_prefix("crate::") {
            let root = from.ancestors().find(|folder| folder.ends_with("src"));
            (from, rest) = (root.expect("a file below `src`"), inside);
        } else if !path.starts_with("super::") {
            continue;
        }
        while let Some(inside) = rest.strip_prefix("super::") {
            (from, rest) = (from.parent().expect("a parent"), inside);
        }
        let parts = rest.split("::").filter(|part| !part.is_empty());
        let named = parts.fold(from.to_owned(), |path, part| path.join(part));
        let known = named
            .ancestors()
            .find_map(|path| all.get_key_value(path.to_str()?));
        found.extend(known.map(|(name, _)| *name).filter(|name| *name != module));
    }
    found
}

/// A knot: files that all need each other, so that none can be read, or moved, alone.
#[test]
fn no_more_than_two_files_import_each_other_in_a_circle() {
    let sources = sources();
    let all: BTreeMap<&str, &str> = sources
        .iter()
        .filter(|(name, _)| name.contains("src/") && !name.contains("test"))
        .map(|(name, text)| (module(name), text.as_str()))
        .collect();
    let next: BTreeMap<&str, BTreeSet<&str>> = all
        .iter()
        .map(|(name, text)| (*name, neighbours(name, text, &all)))
        .collect();
    let reached = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = next[start].iter().copied().collect();
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(&next[name]);
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        all.keys().map(|name| (*name, reached(name))).collect();
    let edges: usize = next.values().map(BTreeSet::len).sum();
    assert!(edges > 500, "only {edges} imports were seen");
    let knots: BTreeSet<Vec<&str>> = reached
        .iter()
        .map(|(name, after)| {
            let both = after.iter().filter(|other| reached[*other].contains(name));
            both.copied().collect()
        })
        .filter(|knot: &Vec<&str>| knot.len() > 2)
        .collect();
    assert_eq!(knots, BTreeSet::new());
}

#[test]
fn stages_import_nothing_of_the_runner() {
    for (name, text) in sources()
        .iter()
        .filter(|(name, _)| name.starts_with("stages/"))
    {
        let imports = ["use restage::", "use restage_"].iter();
        assert!(
            !imports.clone().any(|import| text.contains(import)),
            "{name} imports the runner"
        );
    }
    let lock = fs::read_to_string(root().join("stages/Cargo.lock")).expect("a lock file");
    assert!(
        lock.contains("name = \"train\"") && !lock.contains("name = \"restage"),
        "a package of stages/ depends on the runner"
    );
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| text.lines().count() > MOST_LINES)
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(
        long, LONGER,
        "files of more than {MOST_LINES} lines; split them by concept"
    );
}

#[test]
fn every_source_file_says_first_what_it_does() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|(name, _)| name.starts_with("src/") || name.contains("/src/"))
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn every_broken_pipeline_has_its_message_and_every_message_its_pipeline() {
    let folder = root().join("tests/specs/invalid");
    let mut stems: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the broken pipelines") {
        let path = entry.expect("a readable folder").path();
        let part =
            |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
        stems
            .entry(part(path.file_stem()))
            .or_default()
            .push(part(path.extension()));
    }
    assert!(stems.len() >= 20, "only {} broken pipelines", stems.len());
    for (stem, mut kinds) in stems {
        kinds.sort();
        assert_eq!(kinds, ["stderr", "yaml"], "{stem}");
    }
}
