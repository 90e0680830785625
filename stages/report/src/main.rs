//! The `report` stage: reads the results' CSVs, writes tables and figures.
//! It must not know what is in them; the library beside it does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use contract::files::FileError;
use contract::{Progress, Stage, StageError};
use report::{Params, Report, ReportError};

/// Table I, Fig. 1-5, confusion matrices.
#[derive(Debug, Parser)]
struct Args {
    /// The folder with the results of one profile, a folder a model and in it a folder `seed-<n>`
    /// a seed; tables and figures are written there too
    #[arg(long)]
    results: PathBuf,
    /// The profile's name, for titles
    #[arg(long)]
    profile: String,
}

fn main() -> ExitCode {
    // Before anything else, so that `--help` needs no environment.
    let args = Args::parse();
    contract::run("report", |stage| report(stage, &args))
}

fn report(stage: &Stage, args: &Args) -> Result<(), StageError> {
    let params: Params = stage.params()?;
    let report = Report::new(&args.results, &args.profile, &params)
        .map_err(ReportError::into_stage_error)?;
    for model in report.left_out() {
        stage.message(&format!(
            "left out `{model}`: it has results, but is not in `report.order`"
        ));
    }
    report
        .write(&args.results, |done, total| {
            stage.progress(Progress {
                done,
                total,
                unit: "file",
                fraction: done as f64 / total as f64,
                remaining_seconds: None,
                metrics: &[],
            });
        })
        .map_err(ReportError::into_stage_error)?;
    std::io::stdout()
        .write_all(report.table_text().as_bytes())
        .map_err(FileError::new("write", "standard output".as_ref()))?;
    Ok(())
}
