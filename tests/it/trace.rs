//! `restage trace`: the runs and sources behind a file or a number.

use serde_json::Value;
use tempfile::TempDir;

use crate::space::{Said, Space};

/// From a source to a table: a stage with deterministic outs, and one with volatile times.
const CHAIN: &str = "
  train:
    foreach: [x, y]
    cmd: >-
      mkdir -p runs/${key}; (echo model,score; cat data.txt) > runs/${key}/scores.csv;
      date +%s%N > runs/${key}/time.txt
    deps: [data.txt]
    params: [a]
    outs: ['runs/${key}/scores.csv', {path: 'runs/${key}/time.txt', volatile: true}]
  table:
    cmd: mkdir out; cat runs/*/scores.csv > out/all.txt; cp runs/x/scores.csv table.csv
    deps: ['runs/*/{scores.csv,time.txt}', 'notes/*.md']
    params: [b]
    env: {LANG: C}
    outs: [table.csv, out]
";

fn chain() -> Space {
    let space = Space::new(CHAIN);
    space.write("data.txt", "alpha,0.25\nbeta,0.5\n");
    space.write("notes/one.md", "note\n");
    assert_eq!(space.ran(&[]).len(), 3);
    space
}

/// The output without parts that differ between runs and machines.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once("  ran ") {
        Some((stage, _)) => format!("{stage}  ran WHEN, WHERE\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Replaces a file. Writing into the existing one would change the store, to which it may be a
/// hard link, if permissions don't apply (root).
fn edit(space: &Space, path: &str, text: &str) {
    std::fs::remove_file(space.path(path)).expect("a file to replace");
    space.write(path, text);
}

fn json(space: &Space, args: &[&str]) -> Value {
    let said = space.restage(&[&["--json", "trace"], args].concat());
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err))
}

#[test]
fn a_number_leads_to_every_run_and_source_behind_it() {
    let space = chain();
    let said = space
        .restage(&["trace", "table.csv", "--row", "beta", "--column", "score"])
        .exits(0);
    insta::assert_snapshot!(steady(&said.out));
    assert!(said.out.lines().all(|line| line.chars().count() <= 80));
    assert_eq!(said.err, "");
}

#[test]
fn a_value_of_a_document_is_named_by_its_json_pointer() {
    let space = Space::new(
        "  s: {cmd: 'echo \"{\\\"acc\\\": {\\\"val\\\": 0.5}, \\\"n\\\": null}\" > m.json', outs: [m.json]}\n",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    let said = space
        .restage(&["trace", "m.json", "--at", "/acc/val"])
        .exits(0);
    assert!(said.out.starts_with("0.5  /acc/val\n"), "{}", said.out);
    let line = json(&space, &["m.json", "--at", "/acc/val"]);
    assert_eq!(
        line["cell"],
        serde_json::json!({"value": "0.5", "at": "/acc/val"})
    );
    for (pointer, says) in [
        (
            "/acc/vla",
            "`m.json` has nothing at `/acc/vla`: did you mean `/acc/val`?",
        ),
        (
            "/acc",
            "has an object of `/acc/val` at `/acc`, not a single value",
        ),
        ("/n", "`m.json` has null at `/n`"),
        (
            "acc/val",
            "which is no JSON pointer: did you mean `/acc/val`?",
        ),
    ] {
        space
            .restage(&["trace", "m.json", "--at", pointer])
            .exits(2)
            .says(says);
    }
}

#[test]
fn json_has_the_records_whole_and_each_run_after_those_that_it_read_from() {
    let space = chain();
    let line = json(&space, &["table.csv", "--row", "2", "--column", "score"]);
    assert_eq!(line["cell"]["value"], "0.5");
    assert_eq!(line["files"][0]["bytes"], "recorded");
    assert_eq!(line["sound"], true);
    let runs = line["runs"].as_array().unwrap();
    let stages: Vec<&str> = runs
        .iter()
        .filter_map(|run| run["stage"].as_str())
        .collect();
    assert_eq!(stages.len(), 3);
    assert_eq!(stages[2], "table");
    assert_eq!(line["files"][0]["run"], 2);
    let record = &runs[2]["record"];
    assert_eq!(record["inputs"]["params"]["b"], 2);
    assert_eq!(record["inputs"]["env"]["LANG"], "C");
    assert!(record["seconds"].is_number() && record["host"].is_string());
    for (at, run) in runs.iter().enumerate() {
        for read in run["reads"].as_array().unwrap() {
            if read["from"] == "run" {
                assert!(read["at"].as_u64().unwrap() < at as u64);
            }
        }
    }
    let sources = line["sources"].as_array().unwrap();
    let paths: Vec<&str> = sources
        .iter()
        .filter_map(|source| source["path"].as_str())
        .collect();
    assert_eq!(paths, ["data.txt", "notes/one.md"]);
    assert_eq!(sources[0]["read"], sources[0]["now"]);
}

#[test]
fn bytes_that_no_record_has_are_said_to_be_edited_or_missing() {
    let space = chain();
    edit(&space, "table.csv", "model,score\nbeta,0.9\n");
    let said = space
        .restage(&["trace", "table.csv", "--row", "beta", "--column", "score"])
        .exits(3)
        .says("`restage reproduce table.csv` restores the recorded file");
    assert!(
        said.out.starts_with("0.9  score, model=beta\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("edited: `table` wrote different bytes"),
        "{}",
        said.out
    );
    assert_eq!(json(&space, &["table.csv"])["sound"], false);
    std::fs::remove_file(space.path("table.csv")).unwrap();
    let said = space.restage(&["trace", "table.csv"]).exits(3);
    assert!(
        said.out.contains("missing: `table` wrote 32 B"),
        "{}",
        said.out
    );
    edit(&space, "out/all.txt", "edited\n");
    let said = space.restage(&["trace", "out/all.txt"]).exits(3);
    assert!(said.out.contains("as part of `out`"), "{}", said.out);
    assert_eq!(space.ran(&[]), Vec::<String>::new());
    space.restage(&["trace", "out/all.txt"]).exits(0);
}

#[test]
fn bytes_of_an_earlier_run_are_traced_to_that_run_and_said_to_be_out_of_date() {
    let space = chain();
    let said = space
        .restage(&["trace", "table.csv", "-S", "a=7"])
        .exits(0)
        .out;
    assert!(
        said.contains("out of date: the pipeline has changed since: train (2)"),
        "{said}"
    );
    assert!(said.contains("changed since: param a: 1 -> 7"), "{said}");
    assert!(
        said.contains("waits for train (2), and may run again"),
        "{said}"
    );
    // Edited and stored since: the current table still comes from the old data.
    let table = space.read("table.csv");
    space.write("data.txt", "alpha,0.75\n");
    assert_eq!(space.ran(&[]).len(), 3);
    let new = json(&space, &["table.csv"]);
    edit(&space, "table.csv", &table);
    let said = space.restage(&["trace", "table.csv"]).exits(0).out;
    assert!(
        said.contains("data.txt, changed since it was read"),
        "{said}"
    );
    assert!(said.contains("changed since: dep data.txt"), "{said}");
    let old = json(&space, &["table.csv"]);
    assert_ne!(
        old["runs"][2]["record"]["key"],
        new["runs"][2]["record"]["key"]
    );
    assert_eq!(old["runs"][2]["standing"], "stale");
}

#[test]
fn a_source_is_called_one_and_git_says_whether_it_is_committed() {
    let space = chain();
    let said = space.restage(&["trace", "data.txt"]).exits(0).out;
    assert!(
        said.contains("a source: no stage writes it\n  read by train (2)\n"),
        "{said}"
    );
    space.git(&["init", "-q"]).exits(0);
    space.git(&["add", "data.txt", "pipeline.yaml"]).exits(0);
    space.git(&["commit", "-q", "-m", "x"]).exits(0);
    let said = space.restage(&["trace", "table.csv"]).exits(0).out;
    assert!(said.contains("  data.txt, committed\n"), "{said}");
    assert!(said.contains("  notes/one.md, not committed\n"), "{said}");
    space.write("data.txt", "gamma,1\n");
    let said = space.restage(&["trace", "data.txt"]).exits(0).out;
    assert!(
        said.contains("a source: no stage writes it, not committed"),
        "{said}"
    );
    space.write("alone.txt", "x");
    let said = space.restage(&["trace", "alone.txt"]).exits(0).out;
    assert!(said.contains("no stage reads it"), "{said}");
}

#[test]
fn a_file_of_another_profile_is_found_under_that_one() {
    let space = Space::empty();
    space.write(
        "pipeline.yaml",
        "schema: 1\nname: t\nprofiles: {one: {}, two: {}}\ndefault_profile: one\nstages:\n  \
         s: {cmd: 'echo x > ${profile}.txt', outs: ['${profile}.txt']}\n",
    );
    assert_eq!(space.ran(&["-p", "two"]), ["s"]);
    assert_eq!(json(&space, &["two.txt"])["files"][0]["stage"], "s");
    assert_eq!(
        json(&space, &["two.txt", "-p", "one"])["files"][0]["from"],
        "source"
    );
}

#[test]
fn mistakes_come_with_a_suggestion() {
    let space = chain();
    let wrong = |args: &[&str], message: &str, hint: &str| {
        let args = [&["trace"], args].concat();
        let said = space.restage(&args).exits(2).says(message);
        assert!(said.err.contains(hint), "{}", said.err);
        assert_eq!(said.out, "");
    };
    wrong(
        &["tabel.csv"],
        "there is no `tabel.csv`",
        "did you mean `table.csv`?",
    );
    wrong(
        &["a/scores.csv"],
        "there is no `a/scores.csv`",
        "`runs/x/scores.csv`, `runs/y/scores.csv`",
    );
    wrong(&["zzz"], "no stage writes it", "`restage dag` lists");
    wrong(
        &["runs"],
        "a folder with several outs",
        "`runs/x/scores.csv`",
    );
    wrong(
        &["../x"],
        "leaves the pipeline's folder",
        "paths are relative to",
    );
    let number = |row, column| ["table.csv", "--row", row, "--column", column];
    wrong(
        &number("betta", "score"),
        "has no row `model=betta`",
        "did you mean `beta`?",
    );
    wrong(
        &number("beta", "scroe"),
        "has no column `scroe`",
        "did you mean `score`?",
    );
    wrong(
        &number("zzz", "score"),
        "has no row",
        "values of `model` are: `alpha`, `beta`",
    );
    wrong(&number("9", "score"), "has no row 9", "it has 2 rows");
    wrong(
        &["data.txt", "--row", "1", "--column", "x"],
        "is not a table",
        ".csv, .tsv and .jsonl",
    );
    space
        .restage(&["trace", "table.csv", "--row", "1"])
        .exits(2)
        .says("--column");
}

#[test]
fn a_stage_without_a_record_is_shown_with_what_the_lock_file_knows() {
    let space = chain();
    std::fs::remove_dir_all(space.path(".restage")).unwrap();
    let said = space
        .restage(&["trace", "table.csv"])
        .exits(3)
        .says("`restage reproduce table.csv` makes it");
    assert!(
        said.out.contains("the bytes that pipeline.lock names"),
        "{}",
        said.out
    );
    edit(&space, "table.csv", "x");
    let said = space.restage(&["trace", "table.csv"]).exits(3);
    assert!(
        said.out.contains("no record here has these bytes"),
        "{}",
        said.out
    );
}

#[test]
fn nondeterministic_stages_are_marked() {
    let space = Space::new("  s: {cmd: 'date +%s%N > s.txt', outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    let first = space.read("s.txt");
    assert_eq!(space.ran(&["-f"]), ["s"]);
    let said = space.restage(&["trace", "s.txt"]).exits(0).out;
    assert!(
        said.contains("not deterministic: runs with this key wrote different bytes"),
        "{said}"
    );
    edit(&space, "s.txt", &first);
    let said = space.restage(&["trace", "s.txt"]).exits(0).out;
    assert!(
        said.contains("not deterministic: `s` wrote these bytes, but different ones"),
        "{said}"
    );
}

#[test]
fn a_result_of_another_machine_is_said_to_be_one() {
    let store = TempDir::new().unwrap();
    let store = store.path().display().to_string();
    let stages = "  s: {cmd: 'cp in s.txt', deps: [in], outs: [s.txt]}\n";
    let (one, two) = (Space::new(stages), Space::new(stages));
    for space in [&one, &two] {
        space.write("in", "x");
    }
    one.restage(&["--store", &store, "reproduce"]).exits(0);
    // A record that claims another machine wrote it, with a valid digest.
    let records = std::path::Path::new(&store).join("records");
    let record = std::fs::read_dir(&records)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&record).unwrap();
    let mut value: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    value["host"] = "far-away".into();
    let json = value.to_string();
    let sealed = format!(
        "{json}\n{}\n",
        restage_core::digest::Digest::of(json.as_bytes())
    );
    std::fs::remove_file(&record).unwrap();
    std::fs::write(&record, sealed).unwrap();
    let restored = two
        .restage(&["--store", &store, "--json", "reproduce"])
        .exits(0);
    assert_eq!(restored.with_outcome("restored"), ["s"]);
    let said: Said = two.restage(&["--store", &store, "trace", "s.txt"]).exits(0);
    assert!(
        said.out.contains(" on far-away, ") && said.out.contains("\n  on another machine"),
        "{}",
        said.out
    );
}
