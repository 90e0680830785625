//! `restage compare`: the baseline, the files, and the differences it shows.

use crate::python::{python_with, script};
use crate::space::{Said, Space};

const PIPELINE: &str = r"schema: 1
name: c
stages:
  s: {cmd: 'cp in results/t.csv', deps: [in], outs: [results/t.csv]}
compare:
  - files: 'results/**/*.csv'
    key: [name]
    columns: {value: {abs: 0.1}, seconds: ignore}
";

const TABLE: &str = "name,value,seconds\na,1,5\nb,2,6\n";

fn space() -> Space {
    let space = Space::empty();
    space.write("pipeline.yaml", PIPELINE);
    space.write("results/t.csv", TABLE);
    space
}

fn commit(space: &Space) {
    space.write(".gitignore", ".restage\n");
    space.git(&["init", "-q"]).exits(0);
    space.git(&["add", "-A"]).exits(0);
    space.git(&["commit", "-qm", "first"]).exits(0);
}

#[track_caller]
fn has(said: Said, text: &str) -> Said {
    assert!(said.out.contains(text), "no {text:?} in:\n{}", said.out);
    said
}

#[test]
fn tables_are_compared_with_a_revision() {
    let space = space();
    commit(&space);
    let said = space.restage(&["compare"]).exits(0);
    has(said, "profile default: 1 table matches revision HEAD (");
    // Reordered columns and rows, a different time, a value within its bound.
    space.write("results/t.csv", "seconds,name,value\n60,b,2.1\n50,a,1\n");
    space.restage(&["compare"]).exits(0);
    space.write("results/t.csv", "name,value,seconds\na,1,5\nb,2.11,6\n");
    let said = space.restage(&["compare"]).exits(3);
    let lines: Vec<&str> = said.out.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "results/t.csv: 1 cell differs, in 1 of 2 rows",
            "  row     column  expected -> actual  off by  allowed",
            "  name=b  value   2        -> 2.11    0.11    0.1",
        ]
    );
    space.git(&["commit", "-qam", "second"]).exits(0);
    space.restage(&["compare"]).exits(0);
    space.restage(&["compare", "--against", "HEAD~1"]).exits(3);
    // The pipeline's folder may be inside the repository.
    space.write("below/pipeline.yaml", PIPELINE);
    space.write("below/results/t.csv", TABLE);
    space.git(&["add", "-A"]).exits(0);
    space.git(&["commit", "-qm", "third"]).exits(0);
    space.restage(&["-C", "below", "compare"]).exits(0);
}

#[test]
fn a_file_that_is_gone_or_new_is_a_difference() {
    let space = space();
    space.write("old/results/t.csv", TABLE);
    space.write("results/deep/new.csv", TABLE);
    let said = space.restage(&["compare", "--against", "old"]).exits(3);
    let said = has(said, "results/deep/new.csv: is not expected\n");
    has(
        said,
        "profile default: 1 of 2 tables differs from folder old\n",
    );
    std::fs::remove_file(space.path("results/t.csv")).unwrap();
    std::fs::remove_file(space.path("results/deep/new.csv")).unwrap();
    let said = space.restage(&["compare", "--against", "old"]).exits(3);
    has(said, "results/t.csv: is missing\n");
}

#[test]
fn files_and_folders_choose_what_is_compared() {
    let space = space();
    space.write("old/results/t.csv", TABLE);
    space.write("old/results/a/u.csv", TABLE);
    let compare = |files: &[&str], code| {
        let all: Vec<&str> = ["compare", "--against", "old"]
            .iter()
            .chain(files)
            .copied()
            .collect();
        space.restage(&all).exits(code)
    };
    has(compare(&["results/t.csv"], 0), "1 table matches folder old");
    has(compare(&["results/a"], 3), "results/a/u.csv: is missing");
    has(compare(&["."], 3), "1 of 2 tables");
    has(
        compare(&["results/a/../t.csv", "results/a/u.csv"], 3),
        "1 of 2 tables",
    );
    compare(&["results/v.csv"], 2).says("`results/v.csv` is not a table that `compare:` matches");
    let said = space.restage(&[
        "-C",
        "results",
        "compare",
        "t.csv",
        "--file",
        "../pipeline.yaml",
        "--against",
        "../old",
    ]);
    has(said.exits(0), "1 table matches folder ../old");
}

#[test]
fn a_file_is_compared_with_the_table_of_its_name_or_the_given_one() {
    let space = space();
    space.write("old/t.csv", &TABLE.replace("2,6", "2.05,7"));
    let against = |file: &str, code| space.restage(&["compare", "--against", file]).exits(code);
    has(against("old/t.csv", 0), "1 table matches file old/t.csv");
    space.write("old/t.csv", &TABLE.replace("2,6", "3,7"));
    has(against("old/t.csv", 3), "name=b  value   3        -> 2");
    against("results/t.csv", 2).says("`results/t.csv` is the result itself");
    space.write("u.csv", TABLE);
    against("u.csv", 2).says("has the same name as the file `u.csv`");
    let said = space.restage(&["compare", "results/t.csv", "--against", "u.csv"]);
    said.exits(0);
    space.write("results/deep/t.csv", TABLE);
    against("old/t.csv", 2).says("`results/deep/t.csv`, `results/t.csv`");
    let said = space.restage(&["compare", "results/deep", "--against", "old/t.csv"]);
    has(said.exits(3), "results/deep/t.csv: 1 cell differs");
    let said = space
        .restage(&["compare", "u.csv", "--against", "old/t.csv"])
        .exits(3);
    has(said, "2 cells differ")
        .says("no rule in `compare:` matches `u.csv`; comparing it exactly, row by row");
    let said = space.restage(&["compare", "none.csv", "--against", "u.csv"]);
    said.exits(2).says("there is no `none.csv` to compare");
}

#[test]
fn an_argument_that_matches_nothing_or_two_things_is_refused() {
    let space = space();
    let against = |word: &str, code| space.restage(&["compare", "--against", word]).exits(code);
    against("old", 2).says("`old` is neither a file or folder nor a git revision");
    commit(&space);
    against("old", 2).says("no such commit");
    against("", 2).says("no such commit");
    space.write("old/results/t.csv", TABLE);
    has(against("old", 0), "1 table matches folder old");
    space.git(&["branch", "old"]).exits(0);
    against("old", 2)
        .says("`old` is both a folder and a git revision")
        .says("write `./old` for the folder, `old^0` for the revision");
    has(against("./old", 0), "matches folder ./old");
    has(against("old^0", 0), "matches revision old^0 (");
}

#[test]
fn what_is_missing_in_the_pipeline_is_named() {
    let space = space();
    space.write("old/empty", "");
    let compare = || space.restage(&["compare", "--against", "old"]);
    space.write("pipeline.yaml", &PIPELINE.replace("results/**", "other/**"));
    compare().exits(2).says("no file matches `compare:`");
    space.write(
        "pipeline.yaml",
        &format!("{PIPELINE}  - files: 'result/*.csv'\n"),
    );
    compare()
        .exits(3)
        .says("no file matches `result/*.csv` in `compare:`");
    let slip = PIPELINE.replace("value: {abs", "valeu: {abs");
    space.write("pipeline.yaml", &slip);
    let said = compare().exits(3);
    said.says("no file that `results/**/*.csv` in `compare:` matches has a column `valeu`");
    space.write("pipeline.yaml", PIPELINE.split("compare:").next().unwrap());
    compare().exits(2).says("has no `compare:`");
}

#[test]
fn differences_are_written_as_json_markdown_and_junit() {
    let space = space();
    space.write(
        "old/results/t.csv",
        &TABLE.replace("a,1", "a,NaN").replace("b,", "b & <c>|,"),
    );
    space.write("old/results/twice.csv", "name\na\n");
    space.write("results/twice.csv", "name\na\na\n");
    space.write("old/results/u.csv", TABLE);
    space.write("results/u.csv", TABLE);
    let said = |flags: &[&str]| {
        let all: Vec<&str> = ["compare", "--against", "old"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        space.restage(&all)
    };
    let json = said(&["--json"]).exits(3);
    let files = json.events("different");
    assert_eq!(files.len(), 2);
    assert_eq!(
        files[0]["cells"][0]["row"],
        serde_json::json!({"name": "a"})
    );
    assert_eq!(files[0]["cells"][0]["expected"], "NaN");
    assert_eq!(files[0]["problems"][0], "row `name=b & <c>|` is missing");
    assert_eq!(files[1]["comparable"], false);
    let compared = &json.events("compared")[0];
    assert_eq!(
        (&compared["same"], &compared["different"]),
        (&1.into(), &2.into())
    );
    assert_eq!(compared["against"]["kind"], "folder");
    insta::assert_snapshot!(said(&["--md"]).exits(3).out);
    insta::assert_snapshot!(said(&["--junit"]).exits(3).out);
    said(&["--json", "--md"])
        .exits(2)
        .says("`--json` cannot be combined with");
    said(&["--junit", "--md"]).exits(2);
}

/// Files of all kinds, as they were and as they are.
fn metrics(rules: &str) -> Space {
    let space = Space::empty();
    space.write(
        "pipeline.yaml",
        &format!("schema: 1\nname: c\nstages:\n  s: {{cmd: 'true > a', outs: [a]}}\n{rules}"),
    );
    for (name, before, now) in [
        (
            "m.json",
            r#"{"acc": 0.9, "loss": {"train": 100, "val": 2.0}, "seconds": 5}"#,
            "{\"loss\": {\"val\": 2,\n \"train\": 100.05},\n \"seconds\": 6, \"acc\": 0.9}",
        ),
        (
            "m.yaml",
            "acc: 0.9\nloss: {train: 100}\n",
            "{loss: {train: 100.05}, acc: 0.9}\n",
        ),
        (
            "m.toml",
            "acc = 0.9\nloss.train = 100.0\n",
            "[loss]\ntrain = 100.05\n",
        ),
        (
            "log.jsonl",
            "{\"e\": 1, \"loss\": 100}\n{\"e\": 2}\n",
            "{\"loss\": 100.05, \"e\": 1}\n\n{\"e\": 2}\n",
        ),
        ("de.csv", "id;v\na;100,0\n", "id;v\na;100,05\n"),
    ] {
        space.write(&format!("old/{name}"), before);
        space.write(name, now);
    }
    space
}

#[test]
fn json_yaml_toml_and_json_lines_are_compared_by_value_with_tolerances_by_path() {
    let rules = r#"
tables: [{files: "*.csv", decimal: ","}]
compare:
  - {files: "m.{json,yaml,toml}", columns: {"/loss/*": {rel: 1.0e-3}, /seconds: ignore}}
  - {files: log.jsonl, key: [e], columns: {"/*/loss": {abs: 0.1}}}
  - {files: de.csv, columns: {v: {abs: 0.1}}}
"#;
    let space = metrics(rules);
    let said = space.restage(&["compare", "--against", "old"]).exits(3);
    assert_eq!(said.err, "");
    let said = has(said, "m.toml: 1 column missing or added");
    let said = has(said, "column `acc` is missing");
    has(said, "1 of 5 tables differs");
    // Without the tolerances every digit counts.
    let space = metrics(
        &rules
            .replace("1.0e-3", "1.0e-9")
            .replace("{abs: 0.1}", "exact"),
    );
    let said = space
        .restage(&["--json", "compare", "--against", "old"])
        .exits(3);
    let files = said.events("different");
    assert_eq!(files.len(), 5);
    let rows = [&files[1]["cells"][0], &files[0]["cells"][0]];
    assert_eq!(
        (&rows[0]["column"], &rows[0]["row"]),
        (&"loss".into(), &serde_json::json!({"e": "1"}))
    );
    assert_eq!(
        (&rows[1]["column"], &rows[1]["actual"]),
        (&"v".into(), &"100,05".into())
    );
    let value = &files[2]["cells"][0];
    assert_eq!(
        (&value["column"], &value["expected"]),
        (&"loss/train".into(), &"100".into())
    );
}

#[test]
fn a_rule_for_a_column_that_is_not_there_is_told_for_one_file_too() {
    let rules = r#"
compare:
  - {files: "*.{json,csv}", columns: {"/los/*": {rel: 1.0e-3}, "*": {abs: 1}}}
  - {files: a.bin, columns: {"*": {abs: 1}}}
"#;
    let space = metrics(rules);
    space.write("a.bin", "1\n");
    space.write("old/a.bin", "2\n");
    let idle = "no file that `*.{json,csv}` in `compare:` matches has a column `/los/*`";
    let bytes = "the files that `a.bin` in `compare:` matches are no tables";
    let said = space.restage(&["compare", "--against", "old"]);
    said.exits(3).says(idle).says(bytes);
    space
        .restage(&["compare", "m.json", "--against", "old/m.json"])
        .exits(0)
        .says(idle);
    space
        .restage(&["compare", "a.bin", "--against", "old/a.bin"])
        .exits(3)
        .says(bytes);
}

#[test]
fn most_differences_are_left_out_of_json_too_and_counted() {
    let space = space();
    let table = |value: usize, rows: usize| {
        let rows = (0..rows).map(|row| format!("{row},{value},0\n"));
        format!("name,value,seconds\n{}", rows.collect::<String>())
    };
    space.write("old/results/t.csv", &table(1, 60));
    space.write("results/t.csv", &table(2, 50));
    let told = |most: &str| {
        let said = space.restage(&["--json", "compare", "--against", "old", "--most", most]);
        let file = said.exits(3).events("different").remove(0);
        let count = |what: &str| file[what].as_array().map(Vec::len);
        (count("problems"), count("cells"), file["left_out"].as_u64())
    };
    assert_eq!(told("20"), (Some(10), Some(10), Some(40)));
    assert_eq!(told("0"), (Some(0), Some(0), Some(60)));
    assert_eq!(told("100"), (Some(10), Some(50), Some(0)));
    let said = space
        .restage(&["compare", "--against", "old", "--most", "0"])
        .exits(3);
    let said = has(
        said,
        "50 cells differ, in 50 of 50 rows; 10 rows missing or added",
    );
    has(said, "... and 60 more differences");
}

#[test]
fn verdicts_and_values_are_those_of_pandas_and_numpy() {
    let Some(python) = python_with("numpy, pandas") else {
        return;
    };
    let output = script(&python, "metrics-check")
        .arg(env!("CARGO_BIN_EXE_restage"))
        .args(["--trials", "200"])
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
    assert!(said.starts_with("200 pairs of tables"), "{said}");
}

#[test]
fn the_help_says_what_is_a_difference_in_80_columns() {
    let said = Space::empty().restage(&["compare", "--help"]).exits(0);
    let long: Vec<&str> = said
        .out
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert_eq!(long, [""; 0]);
    for word in [
        "NaN",
        "infinity",
        "-0",
        "empty cell",
        "Quotes",
        "CRLF",
        "same
            key",
        "in any order",
    ] {
        assert!(said.out.contains(word), "{word}");
    }
}
