//! Writes a report on made-up results into a folder, to look at:
//! `cargo run -p report --example sample -- FOLDER [EPOCHS [SEEDS]]`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: sample FOLDER [EPOCHS [SEEDS]]");
        return ExitCode::from(2);
    };
    let most = arguments
        .next()
        .and_then(|epochs| epochs.parse().ok())
        .unwrap_or(u32::MAX);
    let seeds: u64 = arguments
        .next()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(1);
    let mut models = support::MODELS;
    for model in &mut models {
        model.epochs = model.epochs.min(most);
    }
    if let Err(error) = std::fs::create_dir_all(&folder) {
        eprintln!("cannot create `{}`: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    support::write_results(&folder, &models, support::SETTING);
    for model in models {
        for seed in support::SEED + 1..support::SEED + seeds {
            support::write_seed(&folder, model, support::SETTING, seed);
        }
    }
    let report = Report::new(&folder, "paper", &support::params());
    match report.and_then(|report| report.write(&folder, |_, _| {}).map(|()| report)) {
        Ok(report) => {
            print!("{}", report.table_text());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", error.into_stage_error().report());
            ExitCode::FAILURE
        }
    }
}
