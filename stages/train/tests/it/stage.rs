//! The whole stage as its runner starts it: a process, files in, files out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::toy::{PARAMS, data};

const TABLES: [&str; 5] = [
    "history.csv",
    "summary.csv",
    "test_predictions.csv",
    "confusion.csv",
    "class_report.csv",
];
const VOLATILE: [&str; 2] = ["timings.csv", "latency.csv"];

/// A work directory with data, as the runner makes one.
struct Work {
    folder: tempfile::TempDir,
    params: String,
}

impl Work {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        data(80, 40).save(&folder.path().join("data.bin")).unwrap();
        Self {
            folder,
            params: PARAMS.to_owned(),
        }
    }

    /// Two epochs and a partial batch: code that has to do without `fma` takes its time.
    fn small() -> Self {
        let work = Self::new();
        data(20, 9).save(&work.path("data.bin")).unwrap();
        let params = PARAMS
            .replacen("\"epochs\":5", "\"epochs\":2", 1)
            .replacen("[4,8]", "[2,2]", 1);
        Self { params, ..work }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
        command
            .args([
                "--variant",
                "tiny",
                "--data",
                "data.bin",
                "--weights",
                "weights.safetensors",
                "--out",
                "out",
            ])
            .current_dir(self.folder.path())
            .env_clear()
            .env("RESTAGE_PARAMS", &self.params)
            .env("RESTAGE_SCRATCH", self.path("scratch"))
            .env("RESTAGE_EVENTS", self.path("events.jsonl"))
            .env("RESTAGE_THREADS", "2")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, environment: &[(&str, &str)]) -> Output {
        self.command(environment).output().unwrap()
    }

    /// Every out that no two runs may differ in.
    fn outs(&self) -> Vec<Vec<u8>> {
        let tables = TABLES.iter().map(|name| self.path("out").join(name));
        tables
            .chain([self.path("weights.safetensors")])
            .map(|path| {
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            })
            .collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn kill_once_there(mut child: Child, path: &Path) {
    while !path.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before `{}`",
            path.display()
        );
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it ended before it could be killed");
}

#[test]
fn the_stage_writes_every_out_and_tells_its_progress() {
    let work = Work::new();
    let output = work.run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    for name in TABLES.iter().chain(&VOLATILE) {
        let text = fs::read_to_string(work.path("out").join(name)).unwrap();
        assert!(text.lines().count() > 1, "{name}: {text}");
    }
    let summary = fs::read_to_string(work.path("out/summary.csv")).unwrap();
    assert!(
        summary.lines().nth(1).unwrap().starts_with("tiny,stripes,"),
        "{summary}"
    );
    let history = fs::read_to_string(work.path("out/history.csv")).unwrap();
    assert_eq!(history.lines().count(), 6);
    let events = fs::read_to_string(work.path("events.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(last["fraction"], 1.0);
    assert!(events.contains("for 5 epochs at"), "{events}");
    assert!(events.contains("\"val_accuracy\""), "{events}");
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let work = Work::small();
    assert!(work.run(&[]).status.success());
    let expected = work.outs();
    for environment in [
        ("RESTAGE_THREADS", "1"),
        ("RESTAGE_THREADS", "3"),
        ("RESTAGE_ISA", "plain"),
    ] {
        let other = Work::small();
        let output = other.run(&[environment]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(other.outs() == expected, "{environment:?} changed a result");
    }
}

#[test]
fn a_stage_killed_in_mid_training_ends_with_the_same_bytes() {
    let mut undisturbed = Work::new();
    undisturbed.params = PARAMS.replacen("\"epochs\":5", "\"epochs\":12", 1);
    assert!(undisturbed.run(&[]).status.success());

    let mut work = Work::new();
    work.params = undisturbed.params.clone();
    for epoch in ["epoch-00002", "epoch-00005"] {
        let child = work.command(&[]).spawn().unwrap();
        kill_once_there(child, &work.path("scratch/checkpoints").join(epoch));
        assert!(!work.path("weights.safetensors").exists());
    }
    let output = work.run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(work.outs() == undisturbed.outs());
    let events = fs::read_to_string(work.path("events.jsonl")).unwrap();
    assert_eq!(events.matches("resumed from epoch").count(), 2, "{events}");
}

#[test]
fn the_seed_changes_the_weights() {
    let mut work = Work::new();
    assert!(work.run(&[]).status.success());
    let before = work.outs();
    work.params = PARAMS.replacen("\"seed\":42", "\"seed\":43", 1);
    // The scratch belongs to another key: what lies there is not used.
    assert!(work.run(&[]).status.success());
    assert!(work.outs() != before);
    let events = fs::read_to_string(work.path("events.jsonl")).unwrap();
    assert!(
        events.contains("made with other parameters or data; starting afresh"),
        "{events}"
    );
}

#[test]
fn wrong_parameters_exit_with_2_and_say_which() {
    for (from, to, expected) in [
        (
            "native",
            "torch",
            "error: parameter `train.engine`: unknown variant `torch`, expected `native` or `dfdx`",
        ),
        (
            "\"tiny\"",
            "\"other\"",
            "error: no parameters for variant `tiny`",
        ),
        ("[4,8]", "[4,0]", "error: `filters[1]` is 0"),
        (
            "\"epochs\":5",
            "\"epochs\":-1",
            "error: parameter `train.epochs`",
        ),
    ] {
        let mut work = Work::new();
        work.params = PARAMS.replacen(from, to, 1);
        let output = work.run(&[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));
    }
}

#[test]
fn training_that_diverges_exits_with_1_says_where_and_writes_no_out() {
    // Within what the engine accepts: where dropout silences a weight, its step is a first
    // moment divided by hardly more than 0.
    let mut work = Work::small();
    for (from, to) in [
        ("\"learning_rate\":0.05", "\"learning_rate\":1000"),
        ("\"beta2\":0.999", "\"beta2\":0"),
        ("\"epsilon\":1e-7", "\"epsilon\":1e-30"),
    ] {
        assert!(work.params.contains(from));
        work.params = work.params.replacen(from, to, 1);
    }
    let output = work.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        stderr(&output),
        "error: epoch 2, step 2 of 2: `block1.bn` gave a non-finite activation\n\
         hint: training diverged at a learning rate of 1e3: lower \
         `train.optimizer.learning_rate`, to a tenth perhaps, and run again; no result was \
         written, and training will start from epoch 1, for a checkpoint serves only the \
         parameters that made it\n"
    );
    assert!(!work.path("out").exists() && !work.path("weights.safetensors").exists());
}

#[test]
fn missing_or_broken_data_is_named_and_no_out_appears() {
    let work = Work::new();
    fs::write(work.path("data.bin"), b"not a data set").unwrap();
    let output = work.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`data.bin`"),
        "{}",
        stderr(&output)
    );
    assert!(!work.path("out").exists() && !work.path("weights.safetensors").exists());
}

/// What is in a column of `summary.csv`.
fn summary(work: &Work, column: &str) -> f64 {
    let text = fs::read_to_string(work.path("out/summary.csv")).unwrap();
    let (names, values) = text.split_once('\n').unwrap();
    let place = names.split(',').position(|name| name == column);
    let value = values.trim().split(',').nth(place.unwrap()).unwrap();
    value.parse().unwrap()
}

#[test]
fn dfdx_trains_to_nearly_the_same_and_says_that_it_does() {
    let native = Work::small();
    assert!(native.run(&[]).status.success());
    let mut dfdx = Work::small();
    dfdx.params = dfdx.params.replacen("\"native\"", "\"dfdx\"", 1);
    let output = dfdx.run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let events = fs::read_to_string(dfdx.path("events.jsonl")).unwrap();
    assert!(events.contains("training on the CPU, by dfdx"), "{events}");
    for column in ["best_val_loss", "test_loss"] {
        let (ours, theirs) = (summary(&native, column), summary(&dfdx, column));
        assert!(
            // Adam divides by a gradient's own size: rounding decides where that is next to nothing.
            (ours / theirs - 1.0).abs() < 1e-2,
            "{column}: {ours} and {theirs}"
        );
    }
}

#[test]
fn auto_without_a_gpu_is_the_cpu_with_the_very_same_bytes() {
    let cpu = Work::small();
    assert!(cpu.run(&[]).status.success());
    let mut auto = Work::small();
    auto.params = auto.params.replacen("\"cpu\"", "\"auto\"", 1);
    // As the runner says that it has leased none.
    let output = auto.run(&[("CUDA_VISIBLE_DEVICES", "")]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(cpu.outs(), auto.outs());
}

#[test]
fn what_this_machine_cannot_compute_exits_with_2_and_says_what_is_missing() {
    let no_gpu = [("CUDA_VISIBLE_DEVICES", "")];
    for (changes, expected, hint) in [
        (
            &[("\"cpu\"", "\"cuda\"")][..],
            &[
                "no NVIDIA driver: `libcuda.so.1` cannot be loaded",
                "no GPU 0",
            ][..],
            "`train.device=cpu` needs n",
        ),
        (
            &[("\"f32\"", "\"bf16\"")],
            &["parameter `train.precision` is `bf16`, but the CPU computes in `f32`"],
            "`train.engine` to `native` and `train.device` to `cuda`",
        ),
        (
            &[("\"cpu\"", "\"cuda\""), ("\"native\"", "\"dfdx\"")],
            &["parameter `train.engine` is `dfdx`, which computes on the CPU in this program"],
            "set `train.device` to `cpu`",
        ),
    ] {
        let mut work = Work::small();
        for (from, to) in changes {
            work.params = work.params.replacen(from, to, 1);
        }
        let output = work.run(&no_gpu);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(expected.iter().any(|text| said.contains(text)), "{said}");
        assert!(said.contains(hint), "{said}");
        assert!(!work.path("out").exists() && !work.path("weights.safetensors").exists());
    }
}
