//! `restage export`: results for other tools.

mod gather;
mod ro_crate;
mod tensorboard;

use std::path::{Path, PathBuf};

use crate::args::Export;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::{Loaded, Settings};
use restage_report::export::PackageError;

pub(crate) fn export(
    settings: &Settings,
    export: &Export,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match export {
        Export::RoCrate(args) => ro_crate::ro_crate(settings, args, out),
        Export::Tensorboard(args) => tensorboard::tensorboard(settings, args, out),
    }
}

/// Where to write, and how to show that path to the user.
fn place(
    settings: &Settings,
    loaded: &Loaded,
    out: Option<&Path>,
    what: &str,
) -> (PathBuf, PathBuf) {
    match out {
        Some(out) => (settings.directory.join(out), out.to_owned()),
        None => {
            let place = Path::new(what).join(&loaded.profile);
            (loaded.root.join(&place), place)
        }
    }
}

fn from_package(error: PackageError) -> CliError {
    let exit = match error {
        PackageError::NotOurs { .. } => Exit::Usage,
        PackageError::Fs(_) => Exit::Machine,
    };
    let hint = error.hint();
    let error = CliError::new(error, exit);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
