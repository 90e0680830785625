//! `restage export tensorboard`: which runs it writes, and what TensorBoard reads from them.

use std::collections::BTreeMap;
use std::fs;

use crate::python::{python_with, script};
use crate::space::Space;

const STAGES: &str = r#"
  train:
    foreach: {fast: {rate: 0.5}, slow: {rate: 0.25}}
    cmd: mkdir -p r/${key}/seed-1; cat ${key}.in > r/${key}/seed-1/history.csv
    deps: ["${key}.in"]
    params: [a]
    outs: ["r/${key}/seed-1/history.csv"]
export:
  tensorboard: [{tables: "r/**/history.csv", step: epoch}]
"#;

const FAST: &str = "epoch,loss,note,accuracy\n1,2.5,first,\n2,NaN,,0.125\n3,-inf,,0.1\n";
const SLOW: &str = "epoch,loss,accuracy\n1,0.1,1e-3\n10,3.4028236e38,7\n";

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write("fast.in", FAST);
    space.write("slow.in", SLOW);
    space
}

/// The event files in a folder, by their folder's name, without the time in their own names.
fn event_files(space: &Space, below: &str) -> BTreeMap<String, Vec<u8>> {
    let files = space.files().into_iter();
    let files = files.filter_map(|(name, bytes)| {
        let name = name.strip_prefix(below)?.trim_start_matches('/');
        let (run, file) = name.rsplit_once('/').unwrap_or((".", name));
        assert!(
            file.starts_with('.') || file.starts_with("events.out.tfevents."),
            "{file}"
        );
        (!file.starts_with('.')).then(|| (run.to_owned(), bytes))
    });
    files.collect()
}

#[test]
fn each_table_is_a_run_named_by_its_folder() {
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    let said = space.restage(&["export", "tensorboard"]).exits(0);
    insta::assert_snapshot!(said.out, @r"
    fast/seed-1: 3 steps, 2 scalars
    slow/seed-1: 2 steps, 2 scalars
    2 runs in tensorboard/default; view with `tensorboard --logdir tensorboard`
    ");
    assert_eq!(said.err, "");
    let files = event_files(&space, "tensorboard/default");
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["fast/seed-1", "slow/seed-1"]
    );
    assert_eq!(space.read("tensorboard/default/.gitignore"), "*\n");

    space.restage(&["export", "tensorboard"]).exits(0);
    assert_eq!(event_files(&space, "tensorboard/default"), files);
    let said = space.restage(&[
        "--json",
        "export",
        "tensorboard",
        "train@slow",
        "--out",
        "x",
    ]);
    let said = said.exits(0).events("exported");
    assert_eq!((said.len(), &said[0]["run"]), (1, &"slow/seed-1".into()));
    assert_eq!(said[0]["recorded"], true);
    assert_eq!(
        event_files(&space, "x")["slow/seed-1"],
        files["slow/seed-1"]
    );
}

#[test]
fn without_a_record_of_what_stands_there_times_and_parameters_are_left_out() {
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    space.restage(&["export", "tensorboard"]).exits(0);
    let recorded = event_files(&space, "tensorboard/default");
    // Outs are read-only, and may be links to the store's files.
    fs::remove_file(space.path("r/slow/seed-1/history.csv")).unwrap();
    space.write("r/slow/seed-1/history.csv", &format!("{SLOW}11,1,1\n"));
    let said = space.restage(&["export", "tensorboard"]).exits(0);
    said.says("no record says how `r/slow/seed-1/history.csv` was made");
    let edited = event_files(&space, "tensorboard/default");
    assert_eq!(edited["fast/seed-1"], recorded["fast/seed-1"]);
    let hparams = |bytes: &[u8]| bytes.windows(9).any(|part| part == b"_hparams_");
    assert!(hparams(&recorded["slow/seed-1"]) && !hparams(&edited["slow/seed-1"]));
    assert!(space.exists("tensorboard/default/slow/seed-1/events.out.tfevents.0.restage"));
}

#[test]
fn a_run_whose_table_was_adopted_says_so() {
    let space = space();
    space.restage(&["reproduce", "train@fast"]).exits(0);
    space.write("r/slow/seed-1/history.csv", SLOW);
    space.restage(&["adopt", "train@slow"]).exits(0);
    let said = space.restage(&["export", "tensorboard"]).exits(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "fast/seed-1: 3 steps, 2 scalars");
    assert!(
        lines[1].starts_with("slow/seed-1: 2 steps, 2 scalars, not run: adopted by an unnamed"),
        "{}",
        said.out
    );
    let files = event_files(&space, "tensorboard/default");
    let marked = |run: &str| {
        let mark = b"adopted by an unnamed user at ";
        let mut parts = files[run].windows(mark.len());
        parts.any(|part| part == mark)
    };
    assert!(marked("slow/seed-1") && !marked("fast/seed-1"));
    let said = space.restage(&["--json", "export", "tensorboard"]).exits(0);
    let adopted = said.events("exported");
    let adopted = adopted.iter().map(|line| line["adopted"].is_string());
    assert_eq!(adopted.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn missing_tables_foreign_folders_and_tables_without_steps_are_reported() {
    let space = space();
    let said = space.restage(&["export", "tensorboard"]).exits(2);
    said.says("no table matches `export` in `pipeline.yaml` under profile `default`")
        .says("run `restage reproduce` to make them");
    space.restage(&["reproduce"]).exits(0);
    space.write("x/thesis.txt", "years");
    let said = space
        .restage(&["export", "tensorboard", "--out", "x"])
        .exits(2);
    said.says("x` is a folder with files that no export made; nothing was written");
    space.write("slow.in", "epoch,loss\n2,1\n1,1\n");
    space.restage(&["reproduce"]).exits(0);
    let said = space.restage(&["export", "tensorboard"]).exits(2);
    said.says("`r/slow/seed-1/history.csv` has step `1` in row 2, and steps must be increasing whole numbers")
        .says("pipeline.yaml:");
    assert!(!space.exists("tensorboard"));
    space.stages("  s: {cmd: 'echo > s', outs: [s]}\n");
    space
        .restage(&["export", "tensorboard"])
        .exits(2)
        .says("has no `export: {tensorboard: [..]}`");
}

#[test]
fn tensorboard_reads_and_serves_every_number() {
    let Some(python) = python_with("tensorboard") else {
        return;
    };
    let space = space();
    space.restage(&["reproduce"]).exits(0);
    space.restage(&["export", "tensorboard"]).exits(0);
    let logdir = fs::canonicalize(space.path("tensorboard")).unwrap();
    let output = script(&python, "tensorboard-check")
        .arg(logdir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (run, table) in [("fast", FAST), ("slow", SLOW)] {
        let run = format!("default/{run}/seed-1");
        assert_eq!(found["hparams"][&run], serde_json::json!({"a": 1.0}));
        for (column, tag) in [("accuracy", 3), ("loss", 1)].map(|(tag, _)| {
            let header = table.lines().next().unwrap();
            (header.split(',').position(|name| name == tag).unwrap(), tag)
        }) {
            let points = found["scalars"][&run][tag].as_array().unwrap();
            let cells = table.lines().skip(1).filter_map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let step: i64 = cells[0].parse().unwrap();
                let number = cells[column].parse::<f64>().ok()?;
                Some((step, number as f32))
            });
            let cells: Vec<(i64, f32)> = cells.collect();
            assert_eq!(points.len(), cells.len(), "{run} {tag}");
            for (point, (step, number)) in points.iter().zip(cells) {
                assert!(point[0].as_f64().unwrap() > 1.7e9, "no time: {point}");
                assert_eq!(point[1], step);
                let served: f64 = point[2].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    (served as f32).to_bits(),
                    number.to_bits(),
                    "{run} {tag} {step}"
                );
            }
        }
    }
}
