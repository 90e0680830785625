//! The arguments that choose a pipeline, shared by most commands.

use std::path::PathBuf;

use clap::Args;

/// The heading of these options in the help.
pub(super) const HEADING: &str = "Pipeline";

// Not a doc comment: it would replace the help of every command that this is part of.
// Which pipeline, with which parameters.
#[derive(Debug, Clone, Args)]
pub(crate) struct PipelineArgs {
    /// Profile whose parameters to use [default: `default_profile` of the pipeline file].
    #[arg(short = 'p', long, value_name = "NAME", help_heading = HEADING)]
    pub(crate) profile: Option<String>,

    /// Override a parameter, such as `-S train.epochs=5` (repeatable); for a text, all that stands
    /// after `=`.
    #[arg(short = 'S', long = "set", value_name = "KEY=VALUE", help_heading = HEADING)]
    pub(crate) overrides: Vec<String>,

    /// The pipeline file [default: pipeline.yaml, here or in the nearest folder above].
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub(crate) file: Option<PathBuf>,
}
