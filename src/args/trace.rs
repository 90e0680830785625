//! The arguments of `restage trace`.

use clap::Args;

use super::PipelineArgs;

/// Trace a file, or a number in a table, back through every run to its sources.
///
/// What is traced are the bytes in the workspace now: they belong to the run that recorded exactly
/// them, even if the pipeline has changed since. If no record has them, because the file was edited
/// or made elsewhere, the exit code is 3. Without --profile, the file is looked up in every profile.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// A result or a source, relative to the pipeline's folder.
    #[arg(value_name = "FILE")]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The number's row: a value of the first column, `column=value`, or a row number from 1 (-1 is
    /// the last).
    #[arg(
        long,
        value_name = "ROW",
        requires = "column",
        allow_hyphen_values = true
    )]
    pub(crate) row: Option<String>,

    /// The number's column.
    #[arg(long, value_name = "NAME", requires = "row")]
    pub(crate) column: Option<String>,
}
