//! What a traced stage read or wrote that it does not declare, and the line that declares it.
//!
//! Every place counts except the system's (`SYSTEM`), temporary folders, and programs with their
//! installations: the folders in `PATH` and `LD_LIBRARY_PATH`, the folder above a `bin` in `PATH`
//! (`~/env` for `~/env/bin`), and the same of each program that was run from outside the workspace.
//! In a view of the workspace only what is missing there, and is in the workspace, is undeclared: all
//! else was declared, or is the stage's own.
//! The mere existence of a file is an input only inside the workspace, and not where a program looks
//! for a missing file in its own folder and each one above.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::event::{Access, Audited, Undeclared};
use super::workspace::{TOOLCHAIN, Workspace};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_exec::{Call, Scope, Trace};
use restage_pipeline::Stage;
use restage_pipeline::graph::{Graph, Input, StageId};
use restage_worker::HostEnv;

/// System folders and temporary ones.
const SYSTEM: [&str; 18] = [
    "/bin", "/boot", "/dev", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/proc",
    "/run", "/sbin", "/snap", "/sys", "/tmp", "/usr", "/var",
];

/// Most items that one line proposes.
const MOST_ITEMS: usize = 8;

/// How stages are traced, and what that leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The program that a traced stage starts as; see [`restage_exec::Tracing`].
    pub helper: PathBuf,
    /// Whether a stage that reads or writes what it does not declare fails.
    pub strict: bool,
}

/// The places in which an attempt's accesses count. `own` are its own files and folders.
pub(crate) fn scope(root: &Path, host: &HostEnv, own: &[&Path]) -> Scope {
    let mut scope = Scope::default();
    scope.set(Path::new("/"), true);
    for folder in SYSTEM {
        scope.set(Path::new(folder), false);
    }
    let folder = |name: &str| host.get(name).map(Path::new).filter(|p| p.is_absolute());
    if let Some(temporary) = folder("TMPDIR") {
        scope.set(temporary, false);
    }
    let lists = ["PATH", "LD_LIBRARY_PATH"].map(|name| host.get(name).unwrap_or(OsStr::new("")));
    let listed = lists.iter().flat_map(std::env::split_paths);
    for place in listed.filter(|place| place.is_absolute()) {
        scope.set(&place, false);
        if let Some(installation) = installation(&place, root, host) {
            scope.set(installation, false);
        }
    }
    if let Some(home) = folder("HOME") {
        scope.set(home, true);
    }
    scope.set(root, true);
    for path in own {
        scope.set(path, false);
    }
    scope
}

/// The folder above a `bin`, unless it contains the workspace or the home.
fn installation<'a>(bin: &'a Path, root: &Path, host: &HostEnv) -> Option<&'a Path> {
    let is_bin = bin
        .file_name()
        .is_some_and(|name| name == "bin" || name == "sbin");
    let folder = bin.parent().filter(|_| is_bin)?;
    let holds_home = host
        .get("HOME")
        .is_some_and(|home| Path::new(home).starts_with(folder));
    let holds_all = folder.parent().is_none() || root.starts_with(folder) || holds_home;
    (!holds_all).then_some(folder)
}

/// The accesses in a trace that the stage does not declare. `viewed`: it had a view of the workspace.
pub(crate) fn audit(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    trace: &Trace,
    viewed: bool,
) -> Audited {
    let outside;
    let trace = match viewed {
        true => {
            outside = seen_outside(ws, trace);
            &outside
        }
        false => trace,
    };
    let stage = graph.stage(id);
    let inputs = Declared(graph.inputs(id));
    let ran = trace
        .accesses
        .iter()
        .filter(|access| access.call == Call::Run);
    let installations: BTreeSet<&Path> = ran
        .filter(|access| !access.absent && !access.path.starts_with(&ws.root))
        .filter_map(|access| installation(access.path.parent()?, &ws.root, &ws.env))
        .collect();
    let sought = sought_upwards(ws, trace);
    let mut written = BTreeSet::new();
    let mut files: Vec<Undeclared> = Vec::new();
    for access in &trace.accesses {
        let path = access.path.as_path();
        if installations.iter().any(|folder| path.starts_with(folder))
            || (access.absent && access.call != Call::Write && sought.contains(path))
        {
            continue;
        }
        match access.call {
            Call::Write => {
                written.insert(path);
            }
            // What it wrote itself is not an input.
            _ if written.contains(path) => continue,
            _ => {}
        }
        let found = match path.strip_prefix(&ws.root) {
            Ok(inside) => in_workspace(ws, stage, &inputs, access, inside),
            Err(_) if access.call == Call::Look => None,
            Err(_) => Some(Undeclared {
                path: shown(path, access.call),
                access: kind(access),
                add: None,
            }),
        };
        files.extend(found);
    }
    // Reading a file implies looking at it.
    let more: BTreeSet<String> = files
        .iter()
        .filter(|file| matches!(file.access, Access::Read | Access::Ran))
        .map(|file| file.path.clone())
        .collect();
    files.retain(|file| file.access != Access::LookedAt || !more.contains(&file.path));
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert((file.path.clone(), file.access)));
    Audited {
        advice: advice(stage, &files),
        files,
        unseen: trace.unseen,
    }
}

/// What a stage with a view of the workspace asked for, as if it had seen the workspace itself;
/// without what it had.
fn seen_outside(ws: &Workspace, trace: &Trace) -> Trace {
    let outside = |access: &restage_exec::Access| {
        if !access.path.starts_with(&ws.root) {
            return Some(access.clone());
        }
        if access.call == Call::Write || !access.absent {
            return None;
        }
        let found = restage_core::fs::metadata_if_exists(&access.path).ok()??;
        let call = match (access.call, found.is_dir()) {
            // Folders are looked at on the way to other paths.
            (Call::Look, true) => return None,
            (Call::Read, true) => Call::List,
            (call, _) => call,
        };
        Some(restage_exec::Access {
            path: access.path.clone(),
            call,
            absent: false,
        })
    };
    Trace {
        accesses: trace.accesses.iter().filter_map(outside).collect(),
        unseen: trace.unseen,
    }
}

/// Files that programs did not find when they looked for settings in each folder from their own up
/// to `/`. There is nothing to declare, and a file in the work directory would come first.
fn sought_upwards(ws: &Workspace, trace: &Trace) -> BTreeSet<PathBuf> {
    let internal = ws.root.join(".restage");
    let missed = trace.accesses.iter().filter(|access| access.absent);
    missed
        .filter(|access| access.path.parent() == Some(&internal))
        .filter_map(|access| access.path.file_name())
        .flat_map(|name| ws.root.ancestors().map(move |folder| folder.join(name)))
        .collect()
}

fn in_workspace(
    ws: &Workspace,
    stage: &Stage,
    inputs: &Declared<'_>,
    access: &restage_exec::Access,
    inside: &Path,
) -> Option<Undeclared> {
    let internal = inside.starts_with(".restage");
    // Nobody can declare restage's own files; programs look for their settings there on their
    // way up.
    if internal && access.absent && access.call != Call::Write {
        return None;
    }
    let path = RelPath::new(&inside.to_string_lossy()).ok();
    // Every command depends on these.
    if path
        .as_ref()
        .is_some_and(|path| TOOLCHAIN.contains(&path.as_str()))
    {
        return None;
    }
    let is_out = |path: &RelPath| {
        let mut outs = stage.outs.iter();
        outs.any(|out| is_in(path.as_str(), out.path.as_str()))
    };
    let kind = kind(access);
    let add = match (&path, kind) {
        _ if internal => None,
        (None, _) => None,
        (Some(path), Access::Wrote) => (!is_out(path)).then(|| ("outs", path.to_string())),
        (Some(path), _) if inputs.hold(path) => return None,
        // A stage cannot read what it is about to write.
        (Some(path), _) if is_out(path) => None,
        (Some(path), Access::Listed) => Some(("deps", format!("{path}/"))),
        (Some(_), Access::Missed) => existing_folder(ws, inside).map(|folder| ("deps", folder)),
        (Some(path), _) => Some(("deps", path.to_string())),
    };
    Some(Undeclared {
        path: match inside.as_os_str().is_empty() {
            true => "./".to_owned(),
            false => shown(inside, access.call),
        },
        access: kind,
        add,
    })
}

/// What can be declared instead of a missing file: the folder where it would be.
fn existing_folder(ws: &Workspace, inside: &Path) -> Option<String> {
    let folder = inside.parent().filter(|f| !f.as_os_str().is_empty())?;
    let found = restage_core::fs::metadata_if_exists(&ws.root.join(folder)).ok()??;
    let path = RelPath::new(&folder.to_string_lossy()).ok()?;
    found.is_dir().then(|| format!("{path}/"))
}

fn kind(access: &restage_exec::Access) -> Access {
    match access.call {
        Call::Write => Access::Wrote,
        _ if access.absent => Access::Missed,
        Call::Read => Access::Read,
        Call::List => Access::Listed,
        Call::Look => Access::LookedAt,
        Call::Run => Access::Ran,
    }
}

/// A path as text without control characters; a folder that was listed ends in `/`.
fn shown(path: &Path, call: Call) -> String {
    let text = path.to_string_lossy();
    let end = if call == Call::List { "/" } else { "" };
    format!("{}{end}", text.replace(char::is_control, "\u{fffd}"))
}

/// A stage's inputs.
struct Declared<'a>(&'a [Input]);

impl Declared<'_> {
    fn hold(&self, path: &RelPath) -> bool {
        self.0.iter().any(|input| match input {
            Input::Source { path: dep }
            | Input::Notebook { path: dep }
            | Input::Produced { path: dep, .. } => is_in(path.as_str(), dep.as_str()),
            Input::SourceGlob { pattern, .. } => {
                Glob::new(pattern).is_ok_and(|glob| glob.matches(path))
            }
        })
    }
}

fn is_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What to write into the pipeline, and what to do where that cannot help.
fn advice(stage: &Stage, files: &[Undeclared]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fields = Vec::new();
    for (name, there) in [
        ("deps", !stage.deps.is_empty()),
        ("outs", !stage.outs.is_empty()),
    ] {
        let items = to_add(stage, files, name);
        if !items.is_empty() {
            let before = if there { "..., " } else { "" };
            fields.push(format!("  {name}: [{before}{}]", items.join(", ")));
        }
    }
    if !fields.is_empty() {
        lines.push(format!("add under {}", stage.declared_at()));
        lines.extend(fields);
        lines.push("and use these paths as they are declared: relative, without `..`".to_owned());
    }
    if files
        .iter()
        .any(|file| file.add.is_none() && file.path.starts_with('/'))
    {
        lines.push(
            "files outside the workspace can't be declared: copy them in, or let a stage fetch them"
                .to_owned(),
        );
    }
    if files.iter().any(|file| {
        let mut outs = stage.outs.iter();
        file.add.is_none() && outs.any(|out| is_in(&file.path, out.path.as_str()))
    }) {
        lines.push(
            "write outs by their relative paths; keep what the next attempt resumes from in \
             RESTAGE_SCRATCH"
                .to_owned(),
        );
    }
    lines
}

/// The items to add to a field, without those inside a folder that is added too.
fn to_add(stage: &Stage, files: &[Undeclared], name: &str) -> Vec<String> {
    let items = files.iter().filter_map(|file| file.add.as_ref());
    let all: BTreeSet<&str> = items
        .filter(|(field, _)| *field == name)
        .map(|(_, item)| item.as_str())
        .collect();
    // A folder sorts just before its contents.
    let mut items: Vec<&str> = Vec::new();
    for item in all {
        let held = |folder: &&str| folder.ends_with('/') && item.starts_with(*folder);
        if !items.last().is_some_and(held) {
            items.push(item);
        }
    }
    let shown = items.iter().take(MOST_ITEMS);
    let mut shown: Vec<String> = shown.map(|item| stage.written(item)).collect();
    if items.len() > MOST_ITEMS {
        shown.push("...".to_owned());
    }
    shown
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
