//! The `gradients` stage's program: gradient norm of each layer, at initialisation and after
//! training. It must not know anything but its arguments.

mod measure;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measure each layer's gradient norm, at initialisation and after training.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The variant's key in `models`.
    #[arg(long)]
    pub(crate) variant: String,
    /// The data set that `preprocess` wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The trained weights.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// The folder for tables.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    contract::run("gradients", |stage| stage::run(stage, &args))
}
