//! The files that call us from outside (docs/ci, .ci/run): everything that they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::space::Space;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The words of each command in a shell script, without comments and quotes.
fn commands(script: &str) -> Vec<Vec<String>> {
    let lines = script
        .lines()
        .map(|line| line.split(" # ").next().unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    let parts = lines.flat_map(|line| line.split([';', '|', '&', '{', '}']));
    let words = parts.map(|part| {
        // The target of a redirection is not called.
        let words = part
            .split_whitespace()
            .take_while(|word| !word.contains('>'));
        words
            .map(|word| word.trim_matches(['"', '\'']).to_owned())
            .collect()
    });
    words
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

/// Collects every text under one of these names.
fn texts(value: &Value, names: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if names.contains(&name.as_str()) => found.push(text.to_owned()),
                    _ => texts(value, names, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, names, found)),
        _ => {}
    }
}

/// The commands that the files contain; in `README.md`, those in code blocks.
fn scripts() -> Vec<(&'static str, String)> {
    let mut found = vec![(".ci/run", read(".ci/run"))];
    for name in [
        "docs/ci/github-actions.yml",
        "docs/ci/pre-commit-config.yaml",
    ] {
        let mut inside = Vec::new();
        texts(&yaml(name), &["run", "entry"], &mut inside);
        assert!(
            inside.len() >= 3,
            "{name} has only {} commands",
            inside.len()
        );
        found.extend(inside.into_iter().map(|text| (name, text)));
    }
    let readme = read("docs/ci/README.md");
    let code = readme.split("```").skip(1).step_by(2).map(str::to_owned);
    found.extend(code.map(|text| ("docs/ci/README.md", text)));
    found
}

/// The arguments, if this is a call of restage, built or installed.
fn calls_of_restage(words: &[String]) -> Option<&[String]> {
    let is_restage = |word: &String| {
        Path::new(word)
            .file_name()
            .is_some_and(|name| name == "restage")
    };
    let through_cargo = words.windows(2).position(|two| two == ["restage", "--"]);
    match through_cargo {
        Some(at) if words[0] == "cargo" => Some(&words[at + 2..]),
        _ => words.first().is_some_and(is_restage).then(|| &words[1..]),
    }
}

#[test]
fn what_the_ci_files_call_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.']))
        .filter_map(|line| line.split_once(':').map(|(target, _)| target))
        .collect();
    let space = Space::empty();
    let (mut made, mut called, mut ran) = (0, 0, 0);
    for (name, script) in scripts() {
        for words in commands(&script) {
            let first = words[0].as_str();
            if first == "make"
                || (first == "step" && words.get(1).is_some_and(|word| word == "make"))
            {
                let target = words.last().expect("a target");
                assert!(
                    targets.contains(target.as_str()),
                    "{name}: no `make {target}`"
                );
                made += 1;
            } else if let Some(arguments) = calls_of_restage(&words) {
                let mut rest = arguments.iter().skip_while(|word| *word == "--json");
                let verb = rest
                    .next()
                    .unwrap_or_else(|| panic!("{name}: {words:?} has no verb"));
                let help = space.restage(&[verb, "--help"]).exits(0).out;
                for flag in rest.filter(|word| word.starts_with("--")) {
                    let known = help.split([' ', ',', '\n', '`']).any(|word| word == flag);
                    assert!(known, "{name}: `restage {verb}` has no {flag}");
                }
                called += 1;
            } else if first.contains('/') {
                let script = root().join(first);
                assert!(script.is_file(), "{name}: there is no `{first}`");
                ran += 1;
            }
        }
    }
    assert!(
        made >= 12 && called >= 10 && ran >= 2,
        "{made} {called} {ran}: the reader is broken"
    );
}

#[test]
fn the_workflow_writes_the_summary_and_keeps_the_reports() {
    let workflow = yaml("docs/ci/github-actions.yml");
    let steps = workflow["jobs"]["ci"]["steps"].as_array().expect("steps");
    let uses = |action: &str| {
        let step = steps.iter().find(|step| {
            step["uses"]
                .as_str()
                .is_some_and(|uses| uses.starts_with(action))
        });
        step.unwrap_or_else(|| panic!("no step uses {action}"))
    };
    assert_eq!(uses("actions/checkout@")["with"]["fetch-depth"], 0);
    assert_eq!(
        uses("actions/upload-artifact@")["with"]["path"],
        "target/junit/*.xml"
    );
    let run: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect();
    assert_eq!(run[0], ".ci/run");
    for text in [
        "--against \"$BASE\" --md",
        "claims --md",
        "GITHUB_STEP_SUMMARY",
    ] {
        assert!(run[2].contains(text), "{text}");
    }
    assert!(run[3].contains("compare --junit") && run[3].contains("claims --junit"));
}
