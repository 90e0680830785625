//! Writes the logits of trained weights on all test images, by our CPU engine: for others to
//! compare theirs with (docs/pytorch). It must not know any other engine.

#[path = "../tests/logits/mod.rs"]
mod logits;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dataset::Dataset;
use nn::config::{BatchNormConfig, NetworkConfig};
use nn::engine::{State, Tensor};
use serde::Deserialize;
use training::models::network;
use training::weights::{self, Weights};

/// Write the logits of trained weights on all test images: a safetensors file with `logits`,
/// `[images, classes]`.
#[derive(Parser)]
struct Args {
    /// JSON with `models` and `train.batch_norm`.
    #[arg(long, value_name = "FILE")]
    params: PathBuf,
    /// The network's name in `models` [default: as the weights say].
    #[arg(long)]
    variant: Option<String>,
    /// The trained weights.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The data set that `preprocess` wrote.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Deserialize)]
struct Params {
    models: BTreeMap<String, NetworkConfig>,
    train: Train,
}

#[derive(Deserialize)]
struct Train {
    batch_norm: BatchNormConfig,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let params: Params = serde_json::from_slice(&std::fs::read(&args.params)?)?;
    let weights = weights::read(&args.weights)?;
    let variant = args
        .variant
        .or_else(|| weights.metadata.get("variant").cloned())
        .ok_or("the weights don't say their variant: name it with `--variant`")?;
    let network = network(&params.models, &variant).map_err(|error| error.to_string())?;
    let data = Dataset::load(&args.data)?;
    let classes = data.classes.len();
    let values = logits::logits(
        network,
        &params.train.batch_norm,
        weights.state,
        &data.test,
        classes,
    )?;
    let tensor = Tensor {
        name: "logits".to_owned(),
        shape: vec![data.test.len(), classes],
        values,
    };
    let weights = Weights {
        state: State {
            tensors: vec![tensor],
        },
        metadata: BTreeMap::from([("variant".to_owned(), variant)]),
    };
    weights::write(&args.out, &weights)?;
    Ok(())
}
