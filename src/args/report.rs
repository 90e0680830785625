//! The arguments of `restage report`.

use std::path::PathBuf;

use clap::Args;

use super::PipelineArgs;

/// Write a web page with the results, the claims and their provenance.
///
/// `report:` in pipeline.yaml says which tables and figures it shows. The page is a single file that
/// works offline, in light and dark mode. Below each table and figure it says which runs made it.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The file to write [default: `path` of `report:`].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
