//! The `download` stage: fetches, checks and unpacks the archive, or generates images.
//! It must not look into the images; `preprocess` checks every record.

mod archive;
mod fetch;
mod meter;
mod obtain;
mod output;
mod params;
mod synthetic;
mod unpack;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use contract::{Stage, StageError};
use dataset::{Source, cifar};

use fetch::Policy;
use output::Output;
use params::{Kind, Params, label};

/// Fetches and checks CIFAR-10's binary archive, or generates images in its layout.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder to make, with the six files of CIFAR-10 and SOURCE.json.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    contract::run("download", |stage| download(stage, &arguments.out))
}

fn download(stage: &Stage, out: &Path) -> Result<(), StageError> {
    let params = stage.params::<Params>()?.checked()?;
    let output = Output::new(out)?;
    match params.dataset.kind {
        Kind::Synthetic => {
            let counts = &params.dataset.synthetic;
            let batches = synthetic::generate(stage, params.seed, counts.train, counts.test);
            cifar::write(output.folder(), &batches)?;
            let source = Source {
                label: label(&params.dataset, None),
                kind: "synthetic".to_owned(),
                sha256: None,
            };
            source.write(output.folder())?;
            output.publish()
        }
        Kind::Cifar10 => {
            let obtained = obtain::obtain(stage, &params.dataset, &Policy::DEFAULT)?;
            obtain::unpack(stage, &params.dataset, &obtained, output.folder())?;
            let source = Source {
                label: label(&params.dataset, Some(obtained.sha256())),
                kind: "cifar10".to_owned(),
                sha256: Some(obtained.sha256().to_owned()),
            };
            source.write(output.folder())?;
            output.publish()?;
            obtained.discard()
        }
    }
}
