//! Arguments of `restage report`.
//! It must not know what a page is made of.

use std::path::PathBuf;

use clap::Args;

use super::PipelineArgs;

/// Write a page with the results, the claims and how all of it was made.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Write it here [default: `path` of `report:`].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
