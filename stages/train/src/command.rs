//! The command line: arguments in, exit code out.
//! It must not know anything but its arguments.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::stage::{Paths, run};
use clap::Parser;

/// Train one variant and keep its best weights.
#[derive(Debug, Parser)]
struct Args {
    /// The variant's key in `models`.
    #[arg(long)]
    variant: String,
    /// The data set that `preprocess` wrote.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The weights file to write.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The folder for tables.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the stage as its arguments and its environment say.
#[must_use]
pub fn main() -> ExitCode {
    let Args {
        variant,
        data,
        weights,
        out,
    } = Args::parse();
    contract::run("train", |stage| {
        run(
            stage,
            &Paths {
                variant,
                data,
                weights,
                out,
            },
        )
    })
}
