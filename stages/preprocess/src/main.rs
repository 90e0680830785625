//! The `preprocess` stage: checks every record, splits, measures the channels.
//! It must not know where the images came from, nor what is trained on them.

mod split;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use contract::table::{Cell, Table};
use contract::{Progress, Stage, StageError, WithHint, files};
use dataset::{Dataset, Source, cifar};
use serde::Deserialize;

use split::{PreprocessParams, choose};

/// Checks CIFAR-10's binary batches, splits them and measures their channels.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder with the six files of CIFAR-10 and SOURCE.json.
    #[arg(long)]
    batches: PathBuf,
    /// The data file to write.
    #[arg(long)]
    data: PathBuf,
    /// The folder for dataset.csv and channels.csv.
    #[arg(long)]
    out: PathBuf,
}

/// What pipeline.yaml declares for this stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    seed: u64,
    preprocess: PreprocessParams,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    contract::run("preprocess", |stage| preprocess(stage, &arguments))
}

fn preprocess(stage: &Stage, arguments: &Arguments) -> Result<(), StageError> {
    let params: Params = stage.params()?;
    let source = Source::read(&arguments.batches)
        .with_hint("this folder must come from the stage `download`")?;
    step(stage, 0);
    let batches = cifar::read(&arguments.batches).with_hint(
        "nothing was written; run `download` again with `restage reproduce -f download`",
    )?;
    step(stage, 1);

    let (train, test) = (batches.train.len(), batches.test.len());
    let places = choose(params.seed, &params.preprocess, train, test).map_err(StageError::usage)?;
    if places.validation_is_test {
        stage.message(
            "the test images validate too: test results are of images that chose the weights",
        );
    }
    let validation_from = if places.validation_is_test {
        &batches.test
    } else {
        &batches.train
    };
    let dataset = Dataset::new(
        source.label,
        batches.classes,
        batches.train.select(&places.train),
        validation_from.select(&places.validation),
        batches.test.select(&places.test),
    )?;
    step(stage, 2);

    for folder in [arguments.data.parent(), Some(arguments.out.as_path())]
        .into_iter()
        .flatten()
    {
        files::create_dir_all(folder)?;
    }
    dataset.save(&arguments.data)?;
    write_counts(&dataset, &arguments.out.join("dataset.csv"))?;
    write_channels(&dataset, &arguments.out.join("channels.csv"))?;
    step(stage, 3);
    Ok(())
}

/// How many images of each class each split has.
fn write_counts(dataset: &Dataset, path: &Path) -> Result<(), StageError> {
    let mut table = Table::new(&["source", "split", "class", "images"]);
    let splits = [
        ("train", &dataset.train),
        ("validation", &dataset.validation),
        ("test", &dataset.test),
    ];
    for (name, split) in splits {
        let counts = split.class_counts(dataset.classes.len());
        for (class, count) in dataset.classes.iter().zip(counts) {
            let label = dataset.label.as_str();
            table.row(&[
                label.into(),
                name.into(),
                class.as_str().into(),
                count.into(),
            ])?;
        }
    }
    Ok(table.write(path)?)
}

/// Mean and standard deviation of the train split's channels, for pixels from 0 to 1.
fn write_channels(dataset: &Dataset, path: &Path) -> Result<(), StageError> {
    let mut table = Table::new(&["channel", "mean", "std"]);
    for (name, stats) in ["red", "green", "blue"].into_iter().zip(dataset.channels) {
        table.row(&[
            name.into(),
            Cell::float(stats.mean, 6),
            Cell::float(stats.std, 6),
        ])?;
    }
    Ok(table.write(path)?)
}

fn step(stage: &Stage, done: u64) {
    stage.progress(Progress {
        done,
        total: 3,
        unit: "step",
        fraction: done as f64 / 3.0,
        remaining_seconds: None,
        metrics: &[],
    });
}
