//! The paper's kinds of networks, narrow: trained by our engine, loaded by docs/pytorch, and the
//! same logits. It needs a Python with torch and safetensors, `RESTAGE_PYTHON` or else `python3`.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod logits;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dataset::{Dataset, IMAGE_BYTES, Split};
use nn::config::{AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig};
use nn::engine::{Batch, Engine, State, Tensor};
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::pixels::scale_into;
use training::fit::without_optimizer;
use training::weights::{self, Weights};

const CLASSES: usize = 10;

/// As in pipeline.yaml, with an eighth of the channels.
const PARAMS: &str = r#"{"train": {"batch_norm": {"momentum": 0.8, "epsilon": 0.001}}, "models": {
    "baseline_cnn": {"family": "plain_cnn", "filters": [4, 8, 16, 32], "conv_bias": true, "dropout": 0.5},
    "mini_resnet": {"family": "resnet", "stem": 4, "filters": [4, 8, 16, 32], "blocks": [2, 2, 2, 2],
        "stage_strides": [2, 2, 2, 2], "skip": true, "projection": "every_stage", "dropout": 0.5},
    "resnet18": {"family": "resnet", "stem": 8, "filters": [8, 16, 32, 64], "blocks": [2, 2, 2, 2],
        "stage_strides": [1, 2, 2, 2], "skip": true, "projection": "where_shape_changes", "dropout": 0.5},
    "resnet18_noskip": {"family": "resnet", "stem": 8, "filters": [8, 16, 32, 64], "blocks": [2, 2, 2, 2],
        "stage_strides": [1, 2, 2, 2], "skip": false, "projection": "where_shape_changes", "dropout": 0.5}}}"#;

/// A Python that has torch and safetensors; why not, if not.
fn python() -> Option<String> {
    let asked = std::env::var("RESTAGE_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import torch, safetensors.torch"])
        .output();
    match found {
        Ok(output) if output.status.success() => return Some(python),
        found => assert!(
            asked.is_none(),
            "RESTAGE_PYTHON has no torch and safetensors: {found:?}"
        ),
    }
    eprintln!("skipped: {python} has no torch and safetensors");
    None
}

/// Noise, brighter from class to class, so that there is something to learn.
fn split(count: usize, seed: u32) -> Split {
    let mut noise = seed;
    let mut split = Split::default();
    for i in 0..count {
        let label = (i * 7 % CLASSES) as u8;
        split.labels.push(label);
        for _ in 0..IMAGE_BYTES {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            split.images.push((noise >> 25) as u8 + 12 * label);
        }
    }
    split
}

/// Weights after some steps: moving statistics are no longer 0 and 1.
fn trained(network: &NetworkConfig, batch_norm: &BatchNormConfig, split: &Split) -> State {
    let spec = ModelSpec {
        network,
        batch_norm,
        initializer: &InitializerConfig {
            conv: Initializer::HeNormal,
            dense: Initializer::GlorotUniform,
        },
        adam: &AdamConfig::default(),
        classes: CLASSES,
        seed: 42,
    };
    let options = NativeOptions {
        threads: 2,
        isa: Isa::detect(),
    };
    let mut engine = NativeEngine::new(spec, options).unwrap();
    let mut images = Vec::new();
    for position in 0..split.len() {
        scale_into(split.image(position), &mut images);
    }
    let labels = &split.labels;
    let batch = Batch {
        images: &images,
        labels,
    };
    for step in 0..12 {
        engine.train_step(batch, step, 0.003).unwrap();
    }
    let state = without_optimizer(engine.export_state().unwrap());
    let moved = |kind: &str, first: f32| {
        let mut tensors = state.tensors.iter().filter(|t| t.name.ends_with(kind));
        tensors.all(|tensor| tensor.values.iter().any(|&v| (v - first).abs() > 1e-3))
    };
    assert!(moved(".moving_mean", 0.0) && moved(".moving_var", 1.0));
    state
}

fn write(path: &Path, tensors: Vec<Tensor>, variant: &str) {
    let weights = Weights {
        state: State { tensors },
        metadata: BTreeMap::from([("variant".to_owned(), variant.to_owned())]),
    };
    weights::write(path, &weights).unwrap();
}

fn logits_of(data: &Dataset, values: &[f32]) -> Tensor {
    Tensor {
        name: "logits".to_owned(),
        shape: vec![data.test.len(), CLASSES],
        values: values.to_vec(),
    }
}

#[test]
fn pytorch_gives_the_same_logits_for_each_of_the_papers_networks() {
    let Some(python) = python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pytorch/load_weights.py");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("params.json"), PARAMS).unwrap();
    let classes = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let data = Dataset::new(
        "noise".to_owned(),
        classes,
        split(40, 1),
        split(7, 2),
        split(130, 3),
    )
    .unwrap();
    data.save(&path("data.bin")).unwrap();

    let params: serde_json::Value = serde_json::from_str(PARAMS).unwrap();
    let batch_norm: BatchNormConfig =
        serde_json::from_value(params["train"]["batch_norm"].clone()).unwrap();
    let models: BTreeMap<String, NetworkConfig> =
        serde_json::from_value(params["models"].clone()).unwrap();
    assert_eq!(models.len(), 4);
    let call = |logits: &str| {
        Command::new(&python)
            .arg(&script)
            .arg("--params")
            .arg(path("params.json"))
            .arg("--weights")
            .arg(path("weights.safetensors"))
            .arg("--data")
            .arg(path("data.bin"))
            .arg("--logits")
            .arg(path(logits))
            .output()
            .unwrap()
    };
    let mut wrong = None;
    for (variant, network) in &models {
        let state = trained(network, &batch_norm, &data.train);
        write(&path("weights.safetensors"), state.tensors.clone(), variant);
        let values = logits::logits(network, &batch_norm, state, &data.test, CLASSES).unwrap();
        write(&path("logits"), vec![logits_of(&data, &values)], variant);
        let output = call("logits");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{output:?}");
        eprint!("{said}");
        wrong = Some((values, variant));
    }
    // A difference of a thousandth is seen.
    let (mut values, variant) = wrong.unwrap();
    let largest = values.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
    values[CLASSES + 3] += largest / 1000.0;
    write(&path("wrong"), vec![logits_of(&data, &values)], variant);
    assert_eq!(call("wrong").status.code(), Some(1));
}
