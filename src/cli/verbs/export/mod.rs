//! `restage export`: results in forms that other tools read.
//! It must not know those forms.

mod gather;
mod ro_crate;
mod tensorboard;

use std::path::{Path, PathBuf};

use crate::base::files::files_below;
use crate::base::fs;
use crate::base::glob::Glob;
use crate::base::rel_path::RelPath;
use crate::cli::args::Export;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::settings::{Loaded, Settings};
use crate::export::package::PackageError;

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

/// Where to write, and the same as whoever called would name it.
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

/// Files that a pattern of `export:` matches: outs, sources and all else that lies there.
fn matches(root: &Path, pattern: &str) -> Result<Vec<RelPath>, CliError> {
    // It was checked when it was read.
    let glob = Glob::new(pattern).map_err(|error| CliError::new(error, Exit::Bug))?;
    if !Glob::is_glob(pattern)
        && let Ok(path) = RelPath::new(pattern)
    {
        let there = fs::metadata_if_exists(&path.under(root)).map_err(machine)?;
        return Ok(there.into_iter().map(|_| path.clone()).collect());
    }
    let skip = |path: &RelPath| [".restage", ".git", "target"].contains(&path.as_str());
    let below = files_below(root, glob.base_folder(), &skip).map_err(machine)?;
    let mut files = below.files;
    files.retain(|path| glob.matches(path));
    Ok(files)
}

fn machine(error: fs::FsError) -> CliError {
    CliError::new(error, Exit::Machine)
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
