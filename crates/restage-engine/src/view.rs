//! What a stage sees besides its work folder, which stands at the workspace's own path (docs/adr/0018).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::inputs::Inputs;
use super::workspace::Workspace;
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_exec::{Bind, View};
use restage_pipeline::Stage;

/// Variables that name a folder which programs are run from, or find their own files in.
const INSTALLATIONS: [&str; 5] = [
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "PYENV_ROOT",
];
/// Where the last three are if they are not named.
const IN_HOME: [&str; 3] = [".cargo", ".rustup", ".pyenv"];
/// Files that show that the folder above a `bin` is an environment, which its programs need.
const ENVIRONMENTS: [&str; 2] = ["pyvenv.cfg", "conda-meta"];

/// What a stage needs to see of restage's own files.
pub(super) struct Own<'a> {
    /// Where it writes: checkpoints, events.
    pub(super) written: [&'a Path; 2],
    /// The program that it is.
    pub(super) program: Option<&'a Path>,
}

/// The view of a stage whose inputs lie in `work`. Places that are made there for what is bound are
/// added to `inputs`, so that nobody takes them for something that the stage wrote.
pub(super) fn view(
    ws: &Workspace,
    stage: &Stage,
    work: &Path,
    inputs: &mut Inputs,
    own: &Own<'_>,
) -> Result<View, RunError> {
    let at = fs::canonicalize(&ws.root)?;
    let mut binds = Vec::new();
    for (source, path) in &inputs.bound {
        binds.push(Bind {
            source: fs::canonicalize(source)?,
            place: path.under(&at),
            writable: false,
        });
    }
    // The place of a folder is made before those inside it.
    let mut others = BTreeSet::new();
    for path in kept(ws, &at)? {
        let Some(place) = below(&path, &at) else {
            continue;
        };
        let meets = |other: &RelPath| other.is_within(&place) || place.is_within(other);
        let declared = inputs
            .placed
            .iter()
            .chain(stage.outs.iter().map(|out| &out.path));
        if !declared.into_iter().any(meets) {
            others.insert((path, false));
            inputs.kept.push(place);
        }
    }
    if let Some(program) = own.program {
        others.insert((fs::canonicalize(program)?, false));
    }
    for folder in own.written {
        others.insert((fs::canonicalize(folder)?, true));
    }
    let mut last: Option<&Path> = None;
    for (path, writable) in &others {
        let inside = last.is_some_and(|last| path.starts_with(last));
        if below(path, &at).is_none() || (inside && !writable) {
            continue;
        }
        if !inside {
            last = Some(path);
        }
        binds.push(Bind {
            source: path.clone(),
            place: path.clone(),
            writable: *writable,
        });
    }
    inputs.kept.extend(RelPath::new(".restage").ok());
    Ok(View {
        work: fs::canonicalize(work)?,
        at,
        binds,
    })
}

/// Installations in the workspace, as the caller's environment names them: canonical.
fn kept(ws: &Workspace, at: &Path) -> Result<BTreeSet<PathBuf>, RunError> {
    let folder = |name: &str| ws.env.get(name).map(PathBuf::from);
    let mut named: Vec<PathBuf> = INSTALLATIONS
        .iter()
        .filter_map(|name| folder(name))
        .collect();
    if let Some(home) = folder("HOME") {
        named.extend(IN_HOME.iter().map(|name| home.join(name)));
    }
    let path = ws.env.get("PATH").unwrap_or(OsStr::new(""));
    for bin in std::env::split_paths(path) {
        let above = bin.parent().filter(|above| above.starts_with(at));
        let is_environment = |above: &&Path| {
            let mut signs = ENVIRONMENTS.iter();
            signs.any(|sign| fs::exists(&above.join(sign)).unwrap_or(false))
        };
        named.push(match above.filter(is_environment) {
            Some(above) => above.to_owned(),
            None => bin,
        });
    }
    let mut kept = BTreeSet::new();
    for path in named.iter().filter(|path| path.is_absolute()) {
        // What is not there can't be kept.
        if fs::metadata_if_exists(path).is_ok_and(|found| found.is_some()) {
            let path = fs::canonicalize(path)?;
            if path != at && path.starts_with(at) {
                kept.insert(path);
            }
        }
    }
    Ok(kept)
}

/// A path relative to the workspace, if it lies in there.
fn below(path: &Path, at: &Path) -> Option<RelPath> {
    let inside = path.strip_prefix(at).ok()?;
    RelPath::new(inside.to_str()?).ok()
}
