//! The arguments of `restage export`: their doc comments are the help.
//! It must not know what is exported.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PipelineArgs;

/// Into which form results are written.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Write training runs as TensorBoard event files.
    ///
    /// `export: {tensorboard: [..]}` in pipeline.yaml says which tables have a row for each step.
    /// Each becomes a run, named by its folder from the first `*` on; its columns of numbers
    /// become scalars. Where the store has the record of the stage that wrote a table, the run
    /// bears its start as time and its params as hyper-parameters; elsewhere time 0 and none.
    #[command(after_help = "\
To look at all profiles that were exported:
  tensorboard --logdir tensorboard")]
    Tensorboard(Tensorboard),
    /// Write what ran, from what, to what, as an RO-Crate.
    ///
    /// A Provenance Run Crate 0.5 (ro-crate-metadata.json): the pipeline file, each stage with its
    /// program or command, each run with its times, machine, parameters, inputs and outs, and files
    /// with their sizes and digests. Every stage must be fresh, so that what it says is what stands
    /// here. `export: {ro_crate: {description, license, agent, also}}` in pipeline.yaml adds what
    /// no record knows, and files that no stage writes.
    RoCrate(RoCrate),
}

/// Write training runs as TensorBoard event files.
#[derive(Debug, Args)]
pub(crate) struct Tensorboard {
    /// Stages, groups or outs whose tables to export; everything by default.
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The folder, which is replaced whole; one that no export made is left alone [default:
    /// tensorboard/PROFILE beside the pipeline file].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Write what ran, from what, to what, as an RO-Crate.
#[derive(Debug, Args)]
pub(crate) struct RoCrate {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The folder, or the archive if it ends in `.zip`; it is replaced whole, and left alone if no
    /// export made it [default: ro-crate/PROFILE beside the pipeline file].
    #[arg(long, value_name = "DIR|FILE.zip")]
    pub(crate) out: Option<PathBuf>,

    /// Copy files of at most this size; larger ones are named with their digests.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub(crate) up_to: u64,
}

fn size(text: &str) -> Result<u64, String> {
    restage_pipeline::parse_size(text)
        .ok_or_else(|| "write a size such as `500kB`, `1MiB` or `2GiB`".to_owned())
}
