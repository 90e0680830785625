//! The project's structure as tests: arrows between modules, file lengths, first lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module of the runner may import.
const ARROWS: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("digest", &["base"]),
    ("spec", &["base"]),
    ("graph", &["spec", "base"]),
    ("store", &["spec", "digest", "base"]),
    ("exec", &["spec", "digest", "base"]),
    ("tables", &["spec", "base"]),
    ("claims", &["tables", "spec", "base"]),
    ("export", &["tables", "digest", "base"]),
    ("report", &["base"]),
    (
        "runner",
        &["graph", "store", "exec", "tables", "spec", "digest", "base"],
    ),
    (
        "cli",
        &[
            "runner", "claims", "report", "export", "graph", "store", "exec", "tables", "spec",
            "digest", "base",
        ],
    ),
];

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
    for folder in ["src", "stages", "tracer", "tests", "benches"] {
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

/// Modules named after `crate::` in code, not in comments.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (at, _) in line.match_indices("crate::") {
            // `ro_crate::x` is another path.
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn arrows_between_the_runners_modules_go_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in sources() {
        let Some(inside) = name.strip_prefix("src/") else {
            continue;
        };
        let module = inside.split(['/', '.']).next().expect("a first part");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let may = allowed
            .get(module)
            .unwrap_or_else(|| panic!("`{module}` is not in ARROWS"));
        for import in imports(&text) {
            seen += 1;
            if import != module && !may.contains(&import.as_str()) {
                wrong.push(format!("{name} imports `{import}`"));
            }
        }
    }
    assert!(
        seen > 20,
        "only {seen} imports were seen: the reader of `use` lines is broken"
    );
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn stages_import_nothing_of_the_runner() {
    for (name, text) in sources()
        .iter()
        .filter(|(name, _)| name.starts_with("stages/"))
    {
        assert!(!text.contains("restage::"), "{name} imports the runner");
    }
    for entry in fs::read_dir(root().join("stages")).expect("the stages") {
        let manifest = entry.expect("a readable folder").path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        assert!(
            !text.lines().any(|line| line.starts_with("restage")),
            "{} depends on the runner",
            manifest.display()
        );
    }
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
