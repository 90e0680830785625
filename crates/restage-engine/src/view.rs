//! What a stage sees besides its work folder, which stands at the workspace's own path (docs/adr/0018).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::error::RunError;
use super::host::stage_environment;
use super::inputs::Inputs;
use super::workspace::Workspace;
use restage_core::fs::{self, FsError};
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
    /// What it runs: its program, its environment. Read-only, wherever that lies.
    pub(super) read: &'a [&'a Path],
    /// What it needs besides, if that lies in the workspace.
    pub(super) seen: &'a [&'a Path],
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
        if !declared(inputs, stage, &place) {
            others.insert((path, false));
            inputs.kept.push(place);
        }
    }
    let read: BTreeSet<PathBuf> = own
        .read
        .iter()
        .map(|path| fs::canonicalize(path))
        .collect::<Result<_, FsError>>()?;
    others.extend(read.iter().map(|path| (path.clone(), false)));
    for path in own.seen {
        others.insert((fs::canonicalize(path)?, false));
    }
    if let Some(folder) = temporary(ws, stage, &at)?
        && let Some(place) = below(&folder, &at)
        && !declared(inputs, stage, &place)
    {
        others.insert((folder, true));
        inputs.kept.push(place);
    }
    for folder in own.written {
        others.insert((fs::canonicalize(folder)?, true));
    }
    let mut last: Option<&Path> = None;
    for (path, writable) in &others {
        let inside = last.is_some_and(|last| path.starts_with(last));
        let wanted = read.contains(path) || below(path, &at).is_some();
        if !wanted || (inside && !writable) {
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
    if let Some(shared) = ws.run_store().location().shared() {
        inputs.kept.extend(below(&fs::canonicalize(shared)?, &at));
    }
    Ok(View {
        work: fs::canonicalize(work)?,
        at,
        binds,
    })
}

/// Whether something that the stage declares lies in a place, or the other way round.
fn declared(inputs: &Inputs, stage: &Stage, place: &RelPath) -> bool {
    let outs = stage.outs.iter().map(|out| &out.path);
    let mut all = inputs.placed.iter().chain(outs);
    all.any(|other| other.is_within(place) || place.is_within(other))
}

/// The folder for temporary files, if it lies in the workspace: programs fail without it.
fn temporary(ws: &Workspace, stage: &Stage, at: &Path) -> Result<Option<PathBuf>, RunError> {
    let env = stage_environment(&ws.env, stage);
    let named = env.get(OsStr::new("TMPDIR")).map(Path::new);
    let Some(named) = named.filter(|path| path.is_absolute()) else {
        return Ok(None);
    };
    if !fs::metadata_if_exists(named).is_ok_and(|found| found.is_some_and(|it| it.is_dir())) {
        return Ok(None);
    }
    let folder = fs::canonicalize(named)?;
    Ok((folder != at && folder.starts_with(at)).then_some(folder))
}

/// Makes it possible to change what is at a path in the work folder: the stage may have made its
/// folder read-only.
fn open_folder_of(view: &View, path: &Path) -> Result<(), FsError> {
    match (path.parent(), view.work.parent()) {
        (Some(folder), Some(above)) if !fs::may_write(folder) => fs::open_below(above, folder),
        _ => Ok(()),
    }
}

/// Makes the work folder of a stage that has ended lead where the stage saw it lead: what was bound
/// left an empty file or folder there, and links named the workspace, where the folder stood. Links
/// are recorded by what they lead to (docs/adr/0022).
pub(super) fn leave(view: &View) -> Result<(), FsError> {
    let at = |bind: &'_ Bind| Some(bind.place.strip_prefix(&view.at).ok()?.to_owned());
    let bound: BTreeMap<PathBuf, &Bind> = view
        .binds
        .iter()
        .filter_map(|bind| Some((at(bind)?, bind)))
        .collect();
    let is_bound = |path: &Path| bound.contains_key(path);
    for (place, bind) in &bound {
        // What lies in the work folder itself was bound where it is; a place in a folder that was
        // bound is in that folder's source.
        let mut above = place.ancestors().skip(1);
        if bind.source.starts_with(&view.work) || above.any(is_bound) {
            continue;
        }
        let path = view.work.join(place);
        open_folder_of(view, &path)?;
        match fs::symlink_metadata_if_exists(&path)? {
            Some(found) if found.is_dir() => fs::remove_dir(&path)?,
            Some(found) if found.len() == 0 => fs::remove_file(&path)?,
            // Not ours.
            _ => continue,
        }
        fs::symlink(&bind.source, &path)?;
    }
    for entry in fs::walk_reachable(&view.work, &|path, _| is_bound(path))? {
        if !entry.metadata.is_symlink() {
            continue;
        }
        let link = view.work.join(&entry.path);
        let target = fs::read_link(&link)?;
        let folder = entry.path.parent().unwrap_or(Path::new(""));
        if let Some(target) = seen(view, folder, &target) {
            open_folder_of(view, &link)?;
            fs::remove_file(&link)?;
            fs::symlink(&target, &link)?;
        }
    }
    Ok(())
}

/// Where a link in a folder of the work folder led the stage, if it leads elsewhere from outside.
fn seen(view: &View, folder: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = match target.is_absolute() {
        true => PathBuf::from("/"),
        false => view.at.join(folder),
    };
    let mut leaves = target.is_absolute();
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
        leaves |= !path.starts_with(&view.at);
    }
    let outside = path
        .strip_prefix(&view.at)
        .map(|inside| view.work.join(inside));
    leaves.then(|| outside.unwrap_or(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_where_the_stage_saw_it_lead() {
        let view = View {
            work: "/ws/.restage/work/a-1".into(),
            at: "/ws".into(),
            binds: Vec::new(),
        };
        for (folder, target, leads) in [
            ("w", "/ws/w/v1", Some("/ws/.restage/work/a-1/w/v1")),
            ("w", "../big", None),
            ("w", "v1", None),
            ("w", "../../other/x", Some("/other/x")),
            ("w", "../../ws/big", Some("/ws/.restage/work/a-1/big")),
            ("", "/data/x", Some("/data/x")),
            ("", "/wsx/y", Some("/wsx/y")),
        ] {
            let found = seen(&view, Path::new(folder), Path::new(target));
            assert_eq!(found.as_deref(), leads.map(Path::new), "{folder}: {target}");
        }
    }

    #[test]
    fn what_was_bound_is_found_through_the_work_folder_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let work = root.join("work");
        for folder in ["work/data", "work/out", "data"] {
            fs::create_dir_all(&root.join(folder)).unwrap();
        }
        for (file, text) in [
            ("big", "big"),
            ("data/x", "x"),
            ("work/big", ""),
            ("work/mine", "m"),
        ] {
            std::fs::write(root.join(file), text).unwrap();
        }
        fs::symlink(Path::new("../big"), &work.join("out/relative")).unwrap();
        fs::symlink(&root.join("data/x"), &work.join("out/absolute")).unwrap();
        let bind = |name: &str| Bind {
            source: root.join(name),
            place: root.join(name),
            writable: false,
        };
        let view = View {
            work: work.clone(),
            at: root.clone(),
            binds: vec![bind("data"), bind("data/x"), bind("big"), bind("mine")],
        };
        leave(&view).unwrap();
        let read = |name: &str| std::fs::read_to_string(work.join(name)).unwrap();
        assert_eq!(
            (read("out/relative"), read("out/absolute")),
            ("big".into(), "x".into())
        );
        assert_eq!(
            read("mine"),
            "m",
            "what is not empty is not a place that was made"
        );
        assert_eq!(read("data/x"), "x");
    }
}
