//! `restage export ro-crate`: what is in a crate, and what validators say about it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::python::{python_with, script};
use crate::space::Space;

const STAGES: &str = r#"
  make:
    desc: Draw numbers
    foreach: [x, y]
    cmd: mkdir -p out/${key}.d; cat in.txt | tee out/${key}.d/copy > out/${key}.csv; head -c 300000 /dev/zero > out/${key}.bin
    deps: [in.txt]
    params: [a]
    env: { TZ: UTC }
    tools: [echo tool 1.2]
    outs: ["out/${key}.csv", "out/${key}.d", "out/${key}.bin"]
  sum:
    cmd: cat out/x.csv out/y.d/copy > "out/the sum.txt"
    deps: [out/x.csv, out/y.d/copy]
    params: [b]
    outs: [{ path: out/the sum.txt, volatile: true }]
export:
  ro_crate:
    description: A test of ${profile}
    license: MIT
    agent: { name: Ada Lovelace, id: "https://orcid.org/0000-0002-1825-0097" }
    also: ["notes/*.md"]
"#;

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write("in.txt", "1\n");
    space.write("notes/a.md", "# A\n");
    space.write("README.md", "# Test\n");
    space
}

fn metadata(space: &Space, folder: &str) -> Vec<Value> {
    let text = space.read(&format!("{folder}/ro-crate-metadata.json"));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(graph) = document["@graph"].take() else {
        panic!("no graph")
    };
    graph
}

/// Paths of all files and folders that the metadata lists.
fn parts(graph: &[Value]) -> BTreeSet<String> {
    let root = graph.iter().find(|entity| entity["@id"] == "./").unwrap();
    let parts = root["hasPart"].as_array().unwrap().iter();
    parts
        .map(|part| part["@id"].as_str().unwrap().replace("%20", " "))
        .collect()
}

#[test]
fn a_crate_has_every_small_file_and_knows_every_large_one() {
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    let args = ["export", "ro-crate", "--up-to", "100kB"];
    let said = space.restage(&args).exits(0);
    assert_eq!(
        said.out,
        "ro-crate/default has 10 files (3.5 kB), and 2 larger files by digest only\n"
            .replace("3.5 kB", said.out.split(['(', ')']).nth(1).unwrap())
    );
    let graph = metadata(&space, "ro-crate/default");
    let parts = parts(&graph);
    let there: BTreeSet<String> = space
        .files()
        .into_keys()
        .filter_map(|name| Some(name.strip_prefix("ro-crate/default/")?.to_owned()))
        .filter(|name| !name.starts_with('.') && name != "ro-crate-metadata.json")
        .collect();
    let files: BTreeSet<String> = parts
        .iter()
        .filter(|p| !p.ends_with('/'))
        .cloned()
        .collect();
    assert_eq!(files, there);
    for name in [
        "in.txt",
        "notes/a.md",
        "out/the sum.txt",
        "out/x.d/copy",
        "pipeline.lock",
    ] {
        assert!(files.contains(name), "{name}");
    }
    assert!(parts.contains("out/x.d/") && !parts.contains("out/x.bin"));
    let absent = graph
        .iter()
        .find(|e| e["@id"] == "#elsewhere/out/x.bin")
        .unwrap();
    assert_eq!(absent["contentSize"], "300000");

    let before = space.files();
    space.restage(&args).exits(0);
    assert_eq!(space.files(), before, "the same again is not the same");
}

#[test]
fn an_archive_holds_what_the_folder_holds() {
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    space
        .restage(&["export", "ro-crate", "--out", "c"])
        .exits(0);
    let said = space.restage(&["--json", "export", "ro-crate", "--out", "c.zip"]);
    let said = said.exits(0).events("exported");
    assert_eq!(said[0]["by_digest"], serde_json::json!([]));
    let before = space.files()["c.zip"].clone();
    space
        .restage(&["export", "ro-crate", "--out", "c.zip"])
        .exits(0);
    assert_eq!(space.files()["c.zip"], before);
    let Ok(output) = Command::new("unzip")
        .arg("-p")
        .arg(space.path("c.zip"))
        .arg("ro-crate-metadata.json")
        .output()
    else {
        eprintln!("skipped: there is no `unzip` to look into the archive with");
        return;
    };
    assert_eq!(
        output.stdout,
        space.read("c/ro-crate-metadata.json").into_bytes()
    );
}

#[test]
fn an_adopted_stage_is_marked_in_the_crate() {
    let space = space();
    space.restage(&["reproduce", "make"]).exits(0);
    space.write("out/the sum.txt", "by hand\n");
    space.restage(&["adopt", "sum"]).exits(0);
    space.restage(&["export", "ro-crate"]).exits(0);
    let graph = metadata(&space, "ro-crate/default");
    let action = |id: &str| graph.iter().find(|entity| entity["@id"] == id).unwrap();
    let sum = action("#run/sum")["description"].as_str().unwrap();
    assert!(
        sum.starts_with("Not run: files that were there were adopted by an unnamed user at 2"),
        "{sum}"
    );
    let ran = action("#run/make@x")["description"].as_str().unwrap();
    assert!(ran.starts_with("mkdir"), "{ran}");
}

#[test]
fn what_is_not_fresh_is_not_exported() {
    let space = space();
    let said = space.restage(&["export", "ro-crate"]).exits(3);
    said.says("3 of 3 stages are not up to date under profile `default`: make (2), sum")
        .says("run `restage reproduce` first");
    space.restage(&["reproduce"]).exits(0);
    // Outs are read-only, and may be links to the store's files.
    std::fs::remove_file(space.path("out/y.csv")).unwrap();
    space.write("out/y.csv", "edited\n");
    let said = space.restage(&["export", "ro-crate"]).exits(3);
    said.says("1 of 3 stages is not up to date under profile `default`: make@y");
    assert!(!space.exists("ro-crate"));
    space
        .restage(&["export", "ro-crate", "--up-to", "lots"])
        .exits(2)
        .says("1MiB");
    space.write("mine.zip", "PK");
    space.restage(&["reproduce"]).exits(0);
    space
        .restage(&["export", "ro-crate", "--out", "mine.zip"])
        .exits(2)
        .says("mine.zip` is an archive that no export made; nothing was written");
}

#[test]
fn a_validator_and_a_reader_of_others_understand_it() {
    let Some(python) = python_with("rocrate_validator, rocrate") else {
        return;
    };
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    space
        .restage(&["export", "ro-crate", "--up-to", "100kB"])
        .exits(0);
    let args = ["export", "ro-crate", "--up-to", "100kB", "--out", "c.zip"];
    space.restage(&args).exits(0);
    for place in ["ro-crate/default", "c.zip"] {
        let mut check = script(&python, "ro-crate-check");
        let output = check.arg(space.path(place)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let warned = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {said}{warned}");
        eprint!("{warned}");
        let found: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(found["workflow"], "pipeline.yaml");
        let actions = serde_json::json!(["#run", "#run/make@x", "#run/make@y", "#run/sum"]);
        assert_eq!(found["actions"], actions);
    }
}
