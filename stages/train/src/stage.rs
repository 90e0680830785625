//! The stage from its parameters to its outs.
//! It must not know how any single part works.

use std::path::PathBuf;

use contract::{Stage, StageError, files};
use dataset::Dataset;
use nn::engine::Engine;
use nn::model_spec::ModelSpec;
use results::{ClassRow, EpochRow, LatencyRow, Row, SummaryRow, TimingRow};
use training::engine::{Choice, build};
use training::models::network;
use training::weights::{self, Weights};

use crate::checkpoint::Snapshot;
use crate::config::Params;
use crate::error::{Moment, TrainError};
use crate::evaluate::evaluate;
use crate::fingerprint::fingerprint;
use crate::fit::{Task, fit};
use crate::outputs::{self, Summary};
use crate::progress::Reporter;
use crate::scores::Confusion;
use crate::scratch::Checkpoints;
use crate::{history, latency};

/// Where the stage reads and writes.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The variant's key in `models`.
    pub variant: String,
    /// The data set.
    pub data: PathBuf,
    /// The weights file to write.
    pub weights: PathBuf,
    /// The folder of the tables to write.
    pub out: PathBuf,
}

/// Trains a variant, tests its best weights, writes every out.
///
/// # Errors
/// Wrong parameters (the stage exits with 2), unreadable data, training that diverges, outs
/// that cannot be written.
pub fn run(stage: &Stage, paths: &Paths) -> Result<(), StageError> {
    let params: Params = stage.params()?;
    let config = &params.train;
    config.check()?;
    let data = Dataset::load(&paths.data)?;
    let spec = ModelSpec {
        network: network(&params.models, &paths.variant)?,
        batch_norm: &config.batch_norm,
        initializer: &config.initializer,
        adam: &config.optimizer,
        classes: data.classes.len(),
        seed: params.seed,
    };
    let choice = Choice {
        engine: config.engine,
        device: config.device,
        precision: config.precision,
    };
    let (mut engine, on) = build(stage, spec, choice)?;
    let fingerprint = fingerprint(&paths.variant, &stage.params()?, on.as_deref(), &paths.data)?;
    let checkpoints = Checkpoints::open(stage.scratch(), fingerprint)?;
    if let Some(on) = &on {
        stage.message(&format!("training on {on}"));
    }
    let mut reporter = Reporter::new(stage, &data, config.epochs, config.batch_size);
    let task = Task {
        data: &data,
        config,
        seed: params.seed,
    };
    let trained = fit(&mut *engine, task, &checkpoints, &mut reporter)
        .map_err(TrainError::into_stage_error)?;
    finish(&mut *engine, &data, trained, paths, &mut reporter)
}

/// Evaluates the best weights on the test images and writes everything.
fn finish(
    engine: &mut dyn Engine,
    data: &Dataset,
    trained: Snapshot,
    paths: &Paths,
    reporter: &mut Reporter<'_>,
) -> Result<(), StageError> {
    let Snapshot {
        records,
        best: state,
        ..
    } = trained;
    let best = history::best(&records)
        .ok_or_else(|| StageError::message("training ended without an epoch"))?;
    engine.import_state(&state)?;
    let at_test = Moment {
        epoch: best.epoch,
        place: "test".to_owned(),
        learning_rate: best.learning_rate,
    };
    let test = evaluate(engine, &data.test, data.classes.len())
        .map_err(|error| at_test.error(error).into_stage_error())?;
    let confusion = Confusion::new(data.classes.len(), &data.test.labels, &test.predicted);

    let out = &paths.out;
    files::create_dir_all(out)?;
    EpochRow::write(out, records.iter().map(outputs::epoch))?;
    TimingRow::write(out, records.iter().map(outputs::timing))?;
    outputs::write_predictions(&out.join("test_predictions.csv"), &data.test.labels, &test)?;
    outputs::write_confusion(&out.join("confusion.csv"), &data.classes, &confusion)?;
    ClassRow::write(out, outputs::class_report(&data.classes, &confusion))?;
    let summary = Summary {
        variant: &paths.variant,
        data: &data.label,
        parameters: engine.parameters(),
        epochs_run: records.len() as u64,
        best,
        test: test.score,
        images: [data.train.len(), data.validation.len(), data.test.len()],
    };
    SummaryRow::write(out, [summary.row()])?;
    let latencies = latency::measure(engine, &data.test)?;
    LatencyRow::write(out, latencies.iter().map(outputs::latency))?;
    let metadata = [
        ("variant", paths.variant.clone()),
        ("epoch", best.epoch.to_string()),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    weights::write(&paths.weights, &Weights { state, metadata })?;
    reporter.finished(records.len() as u64);
    Ok(())
}
