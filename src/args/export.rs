//! The arguments of `restage export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pipeline::PipelineArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    Tensorboard(Tensorboard),
    RoCrate(RoCrate),
}

/// Write training runs as TensorBoard event files.
///
/// `export: {tensorboard: [..]}` in pipeline.yaml says which tables have a row per step. Each table
/// becomes a run, named after its folder from the first `*` on; its numeric columns become scalars.
/// If the store has the record of the stage that wrote a table, the run carries the stage's start
/// time, and its params as hyperparameters; otherwise time 0 and no hyperparameters.
#[derive(Debug, Args)]
#[command(after_help = "\
To look at all exported profiles:
  tensorboard --logdir tensorboard")]
pub(crate) struct Tensorboard {
    /// Stages, groups or outs whose tables to export [default: all].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The folder to write, replaced if an earlier export made it [default: tensorboard/PROFILE next
    /// to the pipeline file].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Write an RO-Crate: what ran, with which inputs, and what came out.
///
/// The crate follows Provenance Run Crate 0.5 (ro-crate-metadata.json). It has the pipeline file,
/// each stage with its program or command, each run with its times, machine, parameters, inputs and
/// outs, and files with their sizes and digests. Every stage must be up to date, so that the crate
/// describes the files that are here. `export: {ro_crate: {description, license, agent, also}}` in
/// pipeline.yaml adds what no record knows, and files that no stage writes.
#[derive(Debug, Args)]
pub(crate) struct RoCrate {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The folder to write, or the archive if it ends in `.zip`; replaced if an earlier export made
    /// it [default: ro-crate/PROFILE next to the pipeline file].
    #[arg(long, value_name = "DIR|FILE.zip")]
    pub(crate) out: Option<PathBuf>,

    /// Copy files of at most this size; larger ones are listed with their digests only.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub(crate) up_to: u64,
}

fn size(text: &str) -> Result<u64, String> {
    restage_pipeline::parse_size(text)
        .ok_or_else(|| "expected a size such as `500kB`, `1MiB` or `2GiB`".to_owned())
}
