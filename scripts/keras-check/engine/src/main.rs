//! Trains one network with the CPU engine and writes down everything that another program needs to do the
//! same and compare: images, losses, states before and after some steps, small batches' gradients, logits.
//! It must not know what it is compared with.

// The same code that docs/pytorch compares: it gets logits from an engine that tells losses.
mod images;
#[path = "../../../../stages/training/tests/logits/mod.rs"]
mod logits;

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use dataset::Split;
use images::{CLASSES, Images};
use nn::config::{AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig};
use nn::engine::{Batch, Engine, State, Tensor};
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::pixels::scale_into;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// As in pipeline.yaml.
const BATCH_NORM: BatchNormConfig = BatchNormConfig {
    momentum: 0.99,
    epsilon: 1e-3,
};
const INITIALIZER: InitializerConfig = InitializerConfig {
    conv: Initializer::HeNormal,
    dense: Initializer::GlorotUniform,
};

/// Train one network for some steps, without dropout or augmentation, and write what happened.
#[derive(Parser)]
struct Args {
    /// The network, as an entry of `models` in pipeline.yaml; its dropout is left out.
    #[arg(long, value_name = "JSON")]
    network: String,
    /// The data set that `preprocess` wrote [default: generated images].
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[arg(long)]
    steps: usize,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Steps, counted from 1, before and after which everything is written; the last one always is.
    #[arg(long, value_delimiter = ',')]
    check: Vec<usize>,
    /// How many small batches' gradients are written.
    #[arg(long, default_value_t = 12)]
    small: usize,
    /// Images of a small batch.
    #[arg(long, default_value_t = 2)]
    small_batch: usize,
    /// Images whose logits are written.
    #[arg(long, default_value_t = 256)]
    evaluate: usize,
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Change each first weight by its last bit: what rounding alone makes of the same training.
    #[arg(long)]
    nudge: bool,
    /// The folder to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keras-check: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.steps == 0 || args.batch == 0 || args.evaluate == 0 {
        return Err("steps, batch and evaluate must be 1 at least".into());
    }
    if args.small * args.small_batch > args.steps * args.batch {
        return Err("small batches need more images than all steps have".into());
    }
    if let Some(step) = args
        .check
        .iter()
        .find(|&&step| step == 0 || step > args.steps)
    {
        return Err(format!("there is no step {step} of {} to check", args.steps).into());
    }
    let network = without_dropout(serde_json::from_str(&args.network)?);
    let images = Images::new(
        args.data.as_deref(),
        args.seed,
        args.steps * args.batch,
        args.evaluate,
    )?;
    std::fs::create_dir_all(&args.out)?;
    write_split(&args.out, "train", &images.train)?;
    write_split(&args.out, "test", &images.test)?;

    let mut engine = engine(&network, args)?;
    if args.nudge {
        let mut state = engine.state();
        nudge(&mut state);
        engine.import_state(&state)?;
    }
    let start = engine.state();
    let save = |state: &State, name: &str| write_state(&args.out.join(name), state);
    save(&start, "start")?;
    let checked: BTreeSet<usize> = args.check.iter().copied().chain([args.steps]).collect();
    let mut losses = Vec::with_capacity(args.steps);
    for step in 0..args.steps {
        let check = checked.contains(&(step + 1));
        if check {
            save(&engine.state(), &format!("before-{}", step + 1))?;
        }
        let chosen = step * args.batch..(step + 1) * args.batch;
        losses.push(train(&mut engine, &images.train, chosen, step as u64)?);
        if check {
            save(&engine.state(), &format!("after-{}", step + 1))?;
        }
    }
    let state = engine.state();
    for i in 0..args.small {
        engine.import_state(&start)?;
        let chosen = i * args.small_batch..(i + 1) * args.small_batch;
        train(&mut engine, &images.train, chosen, 0)?;
        save(&engine.state(), &format!("small-{i}"))?;
    }

    let values = logits::logits(
        &network,
        &BATCH_NORM,
        published(state),
        &images.test,
        CLASSES,
    )?;
    let logits = Tensor {
        name: "logits".to_owned(),
        shape: vec![images.test.len(), CLASSES],
        values,
    };
    save(
        &State {
            tensors: vec![logits],
        },
        "logits",
    )?;
    let facts = json!({
        "images": images.label,
        "isa": Isa::detect().name(),
        "losses": losses,
        "batch": args.batch,
        "check": checked,
        "small": args.small,
        "small_batch": args.small_batch,
        "trainable": engine.parameters().trainable,
        "moving": engine.parameters().moving,
    });
    std::fs::write(args.out.join("run.json"), facts.to_string())?;
    Ok(())
}

/// Masks come from our own generator: nobody else could draw them.
fn without_dropout(mut network: NetworkConfig) -> NetworkConfig {
    match &mut network {
        NetworkConfig::PlainCnn { dropout, .. } | NetworkConfig::Resnet { dropout, .. } => {
            *dropout = 0.0;
        }
    }
    network
}

fn engine(network: &NetworkConfig, args: &Args) -> Result<NativeEngine, Box<dyn Error>> {
    let spec = ModelSpec {
        network,
        batch_norm: &BATCH_NORM,
        initializer: &INITIALIZER,
        adam: &AdamConfig::default(),
        classes: CLASSES,
        seed: args.seed,
    };
    let options = NativeOptions {
        threads: args.threads,
        isa: Isa::detect(),
    };
    Ok(NativeEngine::new(spec, options)?)
}

/// One step over the images at these positions; their mean loss.
fn train(
    engine: &mut NativeEngine,
    split: &Split,
    positions: Range<usize>,
    step: u64,
) -> Result<f64, Box<dyn Error>> {
    let mut images = Vec::new();
    for position in positions.clone() {
        scale_into(split.image(position), &mut images);
    }
    let labels = &split.labels[positions];
    let batch = Batch {
        images: &images,
        labels,
    };
    let rate = AdamConfig::default().learning_rate as f32;
    let stats = engine.train_step(batch, step, rate)?;
    Ok(stats.loss_sum / labels.len() as f64)
}

/// Flips the last bit of each parameter that is not 0.
fn nudge(state: &mut State) {
    let moving = |name: &str| name.contains(".moving_") || name.starts_with("adam.");
    let trained = state.tensors.iter_mut().filter(|t| !moving(&t.name));
    for value in trained.flat_map(|tensor| &mut tensor.values) {
        if *value != 0.0 {
            *value = f32::from_bits(value.to_bits() ^ 1);
        }
    }
}

fn published(state: State) -> State {
    let tensors = state.tensors.into_iter();
    State {
        tensors: tensors.filter(|t| !t.name.starts_with("adam.")).collect(),
    }
}

/// `NAME.images` and `NAME.labels`: bytes, `[n, 32, 32, 3]` and `[n]`.
fn write_split(folder: &Path, name: &str, split: &Split) -> std::io::Result<()> {
    std::fs::write(folder.join(format!("{name}.images")), &split.images)?;
    std::fs::write(folder.join(format!("{name}.labels")), &split.labels)
}

/// Optimiser moments too, which the project's weights files leave out.
fn write_state(path: &Path, state: &State) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<Vec<u8>> = state
        .tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = state.tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?;
        Ok((tensor.name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>()?;
    let path = path.with_extension("safetensors");
    safetensors::serialize_to_file(views, None, &path)?;
    Ok(())
}
