//! Notebooks: their cells count, what runs leave in them does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::python::python_with;
use crate::space::{Said, Space};

/// Stands in for papermill: notes its arguments, the parameters and the notebook that it is given, and
/// writes the executed one.
const PAPERMILL: &str = r#"#!/bin/sh
for word; do echo "$word"; done > calls.txt
out=$word
cat "$RESTAGE_PARAMS_FILE" >> calls.txt
cat "./sub/analysis.ipynb" > given.txt
echo '{"executed": true}' > "$out"
"#;

const STAGES: &str = r"
  analyse:
    notebook: sub/analysis.ipynb
    params: [a]
    deps: [data.csv]
    outs: [{path: done.ipynb, volatile: true}, calls.txt, given.txt]
";

fn notebook() -> Value {
    json!({
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": "p", "metadata": {"tags": ["parameters"]}, "source": ["a = 0\n"],
             "execution_count": null, "outputs": []},
            {"cell_type": "code", "id": "q", "metadata": {},
             "source": ["open('../total.txt', 'w').write(str(a + 1))\n"],
             "execution_count": null, "outputs": []},
        ],
    })
}

struct Lab {
    space: Space,
    fake: TempDir,
}

impl Lab {
    fn new(stages: &str) -> Self {
        let space = Space::new(stages);
        space.write("data.csv", "1\n");
        space.write("sub/analysis.ipynb", &notebook().to_string());
        let fake = TempDir::new().expect("a folder");
        let script = fake.path().join("papermill");
        fs::write(&script, PAPERMILL).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
        Self { space, fake }
    }

    fn call(&self, args: &[&str]) -> Said {
        let mut command = self.space.command(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{}:{}", self.fake.path().display(), path.display());
        Said::from(command.env("PATH", path).output().expect("restage starts"))
    }

    fn change(&self, change: impl Fn(&mut Value)) {
        let mut changed = notebook();
        change(&mut changed);
        self.space
            .write("sub/analysis.ipynb", &format!("{changed:#}"));
    }
}

#[test]
fn papermill_is_given_the_params_and_the_notebook_without_outputs() {
    let lab = Lab::new(STAGES);
    lab.change(|all| {
        all["cells"][0]["outputs"] = json!([{"output_type": "stream", "text": "old"}])
    });
    lab.call(&["reproduce"]).exits(0).says("1 ran");
    let expected = "--no-progress-bar\n--cwd\nsub\n-f\n";
    let calls = lab.space.read("calls.txt");
    assert!(calls.starts_with(expected), "{calls}");
    assert!(
        calls.ends_with("./sub/analysis.ipynb\n./done.ipynb\n{\"a\":1}\n"),
        "{calls}"
    );
    assert_eq!(lab.space.read("done.ipynb"), "{\"executed\": true}\n");
    let given = lab.space.read("given.txt");
    assert!(given.contains("a = 0") && !given.contains("old"), "{given}");
}

#[test]
fn opening_and_saving_it_changes_nothing_and_an_edit_of_a_cell_does() {
    let lab = Lab::new(STAGES);
    lab.call(&["reproduce"]).exits(0).says("1 ran");
    lab.change(|all| {
        all["cells"][1]["outputs"] =
            json!([{"output_type": "stream", "name": "stdout", "text": "2"}]);
        all["cells"][1]["execution_count"] = json!(7);
        all["metadata"]["language_info"] = json!({"name": "python", "version": "3.14"});
    });
    lab.call(&["reproduce"]).exits(0).says("1 fresh");
    let said = lab.call(&["trace", "calls.txt"]).exits(0);
    assert!(
        !said.out.contains("edited") && said.out.contains("sub/analysis.ipynb"),
        "{}",
        said.out
    );
    lab.change(|all| all["cells"][1]["source"] = json!("pass"));
    let said = lab.call(&["status"]).exits(0);
    assert!(said.out.contains("sub/analysis.ipynb"), "{}", said.out);
    lab.call(&["reproduce"]).exits(0).says("1 ran");
    lab.change(|all| all["metadata"]["kernelspec"]["name"] = json!("ir"));
    lab.call(&["reproduce"]).exits(0).says("1 ran");
    lab.call(&["reproduce", "-S", "a=5"]).exits(0).says("1 ran");
}

#[test]
fn without_params_and_an_executed_notebook_it_runs_all_the_same() {
    let stages = "  analyse: {notebook: sub/analysis.ipynb, outs: [calls.txt]}\n";
    let lab = Lab::new(stages);
    lab.call(&["reproduce"]).exits(0);
    let calls = lab.space.read("calls.txt");
    assert!(
        !calls.contains("-f\n") && calls.contains("/executed.ipynb\n"),
        "{calls}"
    );
}

#[test]
fn mistakes_about_notebooks_are_told() {
    let wrong = |stages: &str| Lab::new(stages).call(&["status"]).exits(2);
    wrong(&STAGES.replace(", volatile: true", "")).says("is not `volatile`");
    wrong(&STAGES.replace("analysis.ipynb", "analysis.py")).says("is not the name of a notebook");
    wrong(&STAGES.replace("[data.csv]", "[sub]")).says("reads `sub/analysis.ipynb` twice");
    wrong(&STAGES.replace("[data.csv]", "['*/*.ipynb']")).says("reads `sub/analysis.ipynb` twice");
    wrong(&STAGES.replace("params:", "cmd: x\n    params:")).says("has both `cmd` and `notebook`");
    wrong(&STAGES.replace("calls.txt", "x.ipynb")).says("writes two notebooks");
    let other = "  make: {cmd: x, outs: [sub]}\n";
    wrong(&format!("{STAGES}{other}")).says("which stage `make` writes");
    let lab = Lab::new(STAGES);
    lab.space.write("sub/analysis.ipynb", "{\"nbformat\": 3}");
    lab.call(&["status"])
        .exits(2)
        .says("`sub/analysis.ipynb` is not a notebook that can be run: its `nbformat` is not 4");
    fs::remove_file(lab.space.path("sub/analysis.ipynb")).expect("a notebook");
    lab.call(&["status"]).exits(2).says("does not exist");
}

#[test]
fn where_there_is_no_papermill_it_is_said_what_to_install() {
    let lab = Lab::new(STAGES);
    fs::remove_file(lab.fake.path().join("papermill")).expect("a script");
    if Command::new("papermill").arg("--version").output().is_ok() {
        eprintln!("skipped: there is a papermill here");
        return;
    }
    lab.call(&["reproduce"])
        .exits(1)
        .says("hint: papermill runs notebooks: `pip install papermill ipykernel`");
}

#[test]
fn the_real_papermill_injects_parameters() {
    let Some(python) = python_with("papermill, ipykernel") else {
        return;
    };
    let stages = "  analyse: {notebook: sub/analysis.ipynb, params: [a], outs: [total.txt, {path: d.ipynb, volatile: true}]}\n";
    let lab = Lab::new(stages);
    let script = format!("#!/bin/sh\nexec {} -m papermill \"$@\"\n", python);
    fs::write(lab.fake.path().join("papermill"), script).expect("a script");
    lab.call(&["reproduce"]).exits(0).says("1 ran");
    assert_eq!(lab.space.read("total.txt"), "2");
    lab.call(&["reproduce", "-S", "a=41"])
        .exits(0)
        .says("1 ran");
    assert_eq!(lab.space.read("total.txt"), "42");
}

#[test]
fn a_notebook_runs_in_the_default_environment_as_a_command_does() {
    let lab = Lab::new(STAGES);
    let text = lab.space.read("pipeline.yaml");
    let environment =
        "environments: {e: {tools: [cat packages.txt]}}\ndefault_environment: e\nstages:\n";
    lab.space
        .write("pipeline.yaml", &text.replace("stages:\n", environment));
    lab.space.write("packages.txt", "numpy 1\n");
    let _ = lab.call(&["reproduce"]).exits(0);
    lab.space.write("packages.txt", "numpy 2\n");
    let said = lab.call(&["status"]).exits(0);
    assert!(said.out.contains("numpy 2"), "{}", said.out);
    let without = text.replace(
        "stages:\n",
        &environment.replace("default_environment: e\n", ""),
    );
    lab.space.write("pipeline.yaml", &without);
    let said = lab.call(&["reproduce"]).exits(0);
    let _ = said.says("packages of `papermill` are in no key");
}
