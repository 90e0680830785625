//! Arguments of `restage trace`.
//! It must not know what a trace is.

use clap::Args;

use super::PipelineArgs;

/// Say where a file, or a number in a table, comes from: every run down to the sources.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// A result or a source, relative to the pipeline's folder.
    #[arg(value_name = "FILE")]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Row of a number: the value of the first column, `column=value`, or a number from 1 (-1 is
    /// the last).
    #[arg(
        long,
        value_name = "ROW",
        requires = "column",
        allow_hyphen_values = true
    )]
    pub(crate) row: Option<String>,

    /// Column of a number.
    #[arg(long, value_name = "NAME", requires = "row")]
    pub(crate) column: Option<String>,
}
