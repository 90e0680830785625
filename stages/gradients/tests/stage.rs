//! The whole stage as its runner starts it: a process, files in, one table out.
//! It knows the program's arguments and files alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use contract::Stage;
use dataset::{Dataset, IMAGE_BYTES, Split};
use nn::config::{AdamConfig, NetworkConfig};
use nn::engine::State;
use nn::model_spec::ModelSpec;
use training::engine::native;
use training::weights::{self, Weights};

const PARAMS: &str = r#"{"seed":42,"train":{"batch_norm":{"momentum":0.9,"epsilon":1e-3},
    "initializer":{"conv":"he_normal","dense":"glorot_uniform"}},"gradients":{"batches":2,"batch_size":8},
    "models":{"tiny":{"family":"plain_cnn","filters":[4,8],"conv_bias":true,"dropout":0.5}}}"#;

struct Work {
    folder: tempfile::TempDir,
    params: String,
}

impl Work {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let split = |count: usize| {
            let byte = |i: usize| (i * i % 251) as u8;
            Split {
                images: (0..count * IMAGE_BYTES).map(byte).collect(),
                labels: (0..count).map(|i| (i % 2) as u8).collect(),
            }
        };
        let classes = ["odd", "even"].map(str::to_owned).to_vec();
        let data =
            Dataset::new("noise".to_owned(), classes, split(20), split(2), split(2)).unwrap();
        data.save(&folder.path().join("data.bin")).unwrap();
        Self {
            folder,
            params: PARAMS.to_owned(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new network's numbers.
    fn initial(&self, filters: &[usize], seed: u64) -> State {
        let network = NetworkConfig::PlainCnn {
            filters: filters.to_vec(),
            conv_bias: true,
            dropout: 0.5,
        };
        let stage = Stage::for_test("{}", self.folder.path());
        let spec = ModelSpec {
            network: &network,
            batch_norm: &serde_json::from_str(r#"{"momentum":0.9,"epsilon":1e-3}"#).unwrap(),
            initializer: &serde_json::from_str(r#"{"conv":"he_normal","dense":"glorot_uniform"}"#)
                .unwrap(),
            adam: &AdamConfig::default(),
            classes: 2,
            seed,
        };
        native(&stage, spec).unwrap().state()
    }

    fn run(&self, state: State, environment: &[(&str, &str)]) -> Output {
        let path = self.path("weights.safetensors");
        weights::write(
            &path,
            &Weights {
                state,
                metadata: BTreeMap::new(),
            },
        )
        .unwrap();
        Command::new(env!("CARGO_BIN_EXE_gradients"))
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
            .env("RESTAGE_THREADS", "1")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn table(&self) -> String {
        fs::read_to_string(self.path("out/gradients.csv")).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn untrained_weights_have_the_gradients_of_initialisation() {
    let work = Work::new();
    let output = work.run(work.initial(&[4, 8], 42), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = work.table();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(
        rows[0],
        ["layer_index", "layer", "trained_l2", "initial_l2"]
    );
    assert_eq!(rows.len(), 4, "two convolutions and a dense layer: {table}");
    for (index, row) in rows.iter().enumerate().skip(1) {
        assert_eq!(row[0], index.to_string());
        assert_eq!(row[2], row[3]);
        let (digits, exponent) = row[2].split_once('e').unwrap();
        assert!(
            digits.len() == 8 && exponent.parse::<i32>().is_ok(),
            "{}",
            row[2]
        );
        assert!(row[2].parse::<f64>().unwrap() > 0.0);
    }
}

#[test]
fn other_weights_have_other_gradients_and_the_same_initial_ones() {
    let work = Work::new();
    assert!(work.run(work.initial(&[4, 8], 42), &[]).status.success());
    let untrained = work.table();
    assert!(work.run(work.initial(&[4, 8], 7), &[]).status.success());
    let trained = work.table();
    for (before, after) in untrained.lines().zip(trained.lines()).skip(1) {
        let column = |line: &str, i: usize| line.split(',').nth(i).unwrap().to_owned();
        assert_eq!(column(before, 3), column(after, 3));
        assert_ne!(column(before, 2), column(after, 2));
    }
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let work = Work::new();
    assert!(work.run(work.initial(&[4, 8], 7), &[]).status.success());
    let expected = work.table();
    for environment in [("RESTAGE_THREADS", "3"), ("RESTAGE_ISA", "plain")] {
        assert!(
            work.run(work.initial(&[4, 8], 7), &[environment])
                .status
                .success()
        );
        assert_eq!(work.table(), expected);
    }
}

#[test]
fn weights_of_another_network_are_refused_with_their_shapes() {
    let work = Work::new();
    let output = work.run(work.initial(&[4, 6], 42), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.starts_with("error: weights `weights.safetensors` do not fit the network: "),
        "{text}"
    );
    assert!(
        text.contains("is [6, 4, 3, 3], the network has [8, 4, 3, 3]"),
        "{text}"
    );
    assert!(
        text.contains("hint: these weights were trained with other `models` parameters"),
        "{text}"
    );
    assert!(!work.path("out").exists());
}

#[test]
fn unknown_parameters_exit_with_2() {
    let mut work = Work::new();
    work.params = PARAMS.replacen("\"batches\":2", "\"batches\":2,\"seed\":1", 1);
    let output = work.run(work.initial(&[4, 8], 42), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`gradients.seed`: unknown field")
            || stderr(&output).contains("unknown field `seed`"),
        "{}",
        stderr(&output)
    );
}
