//! Where an export is written.

use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::session::Loaded;
use crate::settings::Settings;
use restage_report::export::package::Package;

/// A package at `--out`, or else at `kind`/PROFILE next to the pipeline file, which git ignores; and
/// its path as shown to the user.
pub(super) fn start(
    settings: &Settings,
    loaded: &Loaded,
    out: Option<&Path>,
    kind: &str,
) -> Result<(Package, PathBuf), CliError> {
    if let Some(out) = out {
        return Ok((Package::start(&settings.path(out))?, out.to_owned()));
    }
    let place = Path::new(kind).join(loaded.profile());
    let mut package = Package::start(&loaded.root.join(&place))?;
    package.write(".gitignore", b"*\n")?;
    Ok((package, place))
}
