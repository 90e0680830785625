//! What a stage that failed said last, and the line of the pipeline that would have helped it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use restage_core::files::HIDDEN;
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_exec::Secrets;
use restage_pipeline::graph::Graph;
use restage_pipeline::{Action, Stage, scalar, shell};
use restage_store::LogPaths;

/// Lines that a failure shows.
const LINES: usize = 12;
/// Characters of each.
const WIDTH: usize = 200;
/// How much of the end of a log is read, whatever its length.
const END: u64 = 64 << 10;

/// Words of a line that says that a file is missing, in lower case.
const MISSING: [&str; 11] = [
    "no such file",
    "not found",
    "does not exist",
    "doesn't exist",
    "can't open",
    "cannot open",
    "could not open",
    "unable to open",
    "cannot find",
    "could not find",
    "filenotfounderror",
];

/// How many lines above one that says so may name the file.
const CAUSES: usize = 3;

/// Words of a line that says that an input was written to, or replaced, in lower case.
const READ_ONLY: [&str; 3] = [
    "read-only file system",
    "resource busy",
    "permission denied",
];

/// Copies an input so that the copy can be written to: inputs can't, and `cp` keeps that.
const COPY: &str = "cp -r --no-preserve=mode";

/// Words of a line that says that a value is missing, in lower case.
const NO_VALUE: [&str; 4] = [
    "keyerror",
    "has no attribute",
    "missing field",
    "missing parameter",
];

/// The end of what an attempt printed.
pub(super) struct Said {
    /// The log that is shown: of standard error, or of standard output where that is all there is,
    /// but for a progress bar.
    pub(super) log: PathBuf,
    shown: String,
    other: String,
}

impl Said {
    pub(super) fn by(logs: &LogPaths) -> Self {
        let (errors, output) = (end_of(&logs.stderr), end_of(&logs.stdout));
        if errors.lines().all(is_progress) && !output.trim().is_empty() {
            return Self {
                log: logs.stdout.clone(),
                shown: output,
                other: errors,
            };
        }
        Self {
            log: logs.stderr.clone(),
            shown: errors,
            other: output,
        }
    }

    /// This on standard error alone.
    #[cfg(test)]
    pub(super) fn of(said: &str) -> Self {
        Self {
            log: PathBuf::new(),
            shown: said.to_owned(),
            other: String::new(),
        }
    }

    /// The last lines, without control characters and secrets.
    pub(super) fn last_lines(&self, secrets: &Secrets) -> Vec<String> {
        let lines: Vec<&str> = self.shown.lines().flat_map(as_drawn).collect();
        lines[lines.len().saturating_sub(LINES)..]
            .iter()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
            // Without its control characters a line may show a secret after all.
            .map(|line| secrets.text(&line).chars().take(WIDTH).collect())
            .collect()
    }

    /// Whether nothing was printed.
    pub(super) fn is_empty(&self) -> bool {
        self.shown.trim().is_empty() && self.other.trim().is_empty()
    }

    /// Its lines, the last first.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.shown.lines().rev().chain(self.other.lines().rev())
    }

    /// What to declare so that the stage finds what it said to be missing.
    pub(super) fn hint(&self, place: &Place<'_>) -> Option<String> {
        // A download has its own words, and no `deps`.
        if matches!(place.stage.action, Action::Fetch(_)) {
            return None;
        }
        let lines: Vec<&str> = self.lines().collect();
        lines.iter().enumerate().find_map(|(index, line)| {
            place
                .written_input(line)
                .or_else(|| place.missing_file(line, &lines[index + 1..]))
                .or_else(|| place.missing_value(line))
        })
    }
}

/// Where a stage ran, and what it declares.
pub(super) struct Place<'a> {
    pub(super) graph: &'a Graph,
    pub(super) stage: &'a Stage,
    /// The workspace.
    pub(super) root: &'a Path,
    /// The attempt's folder.
    pub(super) dir: &'a Path,
    /// What was put into it.
    pub(super) placed: &'a [RelPath],
}

impl Place<'_> {
    fn written_input(&self, line: &str) -> Option<String> {
        let lower = line.to_lowercase();
        if !READ_ONLY.iter().any(|words| lower.contains(words)) {
            return None;
        }
        let input = |name: &str| {
            let name = name.trim_start_matches("./");
            let path = RelPath::new(name).ok()?;
            self.placed.iter().find(|placed| path.is_within(placed))
        };
        if let Some(path) = names_in(line).find_map(input) {
            let path = shell::quote(path.as_str(), shell::Place::Bare)?;
            return Some(format!(
                "`{path}` is an input, and inputs are read-only: a stage that changes one copies it first \
                 (`{COPY} {path} mine`)"
            ));
        }
        let copied = |name: &&str| {
            let there = fs::metadata_if_exists(&self.dir.join(name)).ok().flatten();
            RelPath::new(name).is_ok() && there.is_some_and(|there| there.permissions().readonly())
        };
        let path = names_in(line).find(copied)?;
        Some(format!(
            "`{path}` is read-only: if it is a copy of an input, it got that from there: copy by `{COPY}`"
        ))
    }

    /// `before` are the lines above, the last first: a program that prints a chain of causes names
    /// the file there.
    fn missing_file(&self, line: &str, before: &[&str]) -> Option<String> {
        let path = match module_in(line) {
            Some(module) => self.module_file(module)?,
            None => {
                let lower = line.to_lowercase();
                if !MISSING.iter().any(|words| lower.contains(words)) {
                    return None;
                }
                [line]
                    .iter()
                    .chain(before.iter().take(CAUSES))
                    .flat_map(|line| names_in(line))
                    .find_map(|name| self.undeclared(name))?
            }
        };
        let what = match self.graph.owner_of(&path) {
            Some((id, _)) => format!("`{path}` is written by `{}`", self.graph.stage(id).name),
            None => format!("`{path}` is in the workspace"),
        };
        let line = match self.stage.deps.is_empty() {
            true => format!("write `deps: [{}]`", as_dep(self.stage, &path)),
            false => format!("add `{}` to its `deps`", as_dep(self.stage, &path)),
        };
        Some(format!(
            "{what}, but this stage does not declare that it reads it\n  {}",
            under(self.stage, &line)
        ))
    }

    /// The file or folder of a Python module that the stage does not declare.
    fn module_file(&self, module: &str) -> Option<RelPath> {
        let path = module.replace('.', "/");
        let top = path.split('/').next().unwrap_or_default();
        let scripts = self.placed.iter().filter_map(|path| {
            let (folder, name) = path.as_str().rsplit_once('/')?;
            name.ends_with(".py").then_some(folder)
        });
        let folders = ["", "src"].into_iter().chain(scripts);
        folders.into_iter().find_map(|folder| {
            [top.to_owned(), format!("{path}.py"), format!("{top}.py")]
                .iter()
                .find_map(|name| match folder {
                    "" => self.undeclared(name),
                    folder => self.undeclared(&format!("{folder}/{name}")),
                })
        })
    }

    /// A name as a path that is in the workspace, or that a stage writes, and that this stage does
    /// not declare.
    fn undeclared(&self, name: &str) -> Option<RelPath> {
        let path = Path::new(name.trim_start_matches("./"));
        let inside = [self.dir, self.root]
            .iter()
            .find_map(|folder| path.strip_prefix(folder).ok());
        let path = inside.unwrap_or(path).to_str()?;
        // It stands in its own folder, and may be told paths from the workspace's.
        let own = match self.stage.folder.as_str() {
            folder if !folder.is_empty() && inside.is_none() => Some(format!("{folder}/{path}")),
            _ => None,
        };
        let mut paths = own.into_iter().chain([path.to_owned()]);
        paths.find_map(|path| self.undeclared_path(RelPath::new(&path).ok()?))
    }

    fn undeclared_path(&self, path: RelPath) -> Option<RelPath> {
        let is_covered = |by: &RelPath| path.is_within(by);
        let declared = self.placed.iter().any(is_covered)
            || self.stage.outs.iter().any(|out| is_covered(&out.path));
        let top = path.as_str().split('/').next().unwrap_or_default();
        let ours = HIDDEN.contains(&top);
        if declared || ours {
            return None;
        }
        let is_there = fs::exists(&path.under(self.root)).unwrap_or(false);
        (is_there || self.graph.owner_of(&path).is_some()).then_some(path)
    }

    fn missing_value(&self, line: &str) -> Option<String> {
        let lower = line.to_lowercase();
        if !NO_VALUE.iter().any(|words| lower.contains(words)) {
            return None;
        }
        // A stage of an included file knows the parameters of that file.
        let mut params = &self.graph.pipeline().params;
        let namespace = self.stage.group.strip_suffix(&self.stage.key)?.split('.');
        for name in namespace.filter(|name| !name.is_empty()) {
            params = params.get(name)?;
        }
        let given = |path: &str| {
            let mut given = self.stage.params.keys();
            given.any(|given| path == given || path.starts_with(&format!("{given}.")))
        };
        let path = quoted(line).find_map(|name| {
            let mut found = Vec::new();
            paths_to(params, name, "", &mut found);
            found.retain(|path| !given(path));
            (found.len() == 1).then(|| found.remove(0))
        })?;
        let shown = scalar::written(&path, true);
        let line = match self.stage.params.is_empty() {
            true => format!("write `params: [{shown}]`"),
            false => format!("add `{shown}` to its `params`"),
        };
        Some(format!(
            "`{path}` is a parameter that this stage is not given\n  {}",
            under(self.stage, &line)
        ))
    }
}

/// Where in the pipeline to do something about a stage.
pub(super) fn under(stage: &Stage, what: &str) -> String {
    format!("under {} {what}", stage.declared_at())
}

/// A path as an item of `deps`, where patterns and templates have signs of their own.
fn as_dep(stage: &Stage, path: &RelPath) -> String {
    let path = stage.written(path.as_str());
    scalar::written(&Glob::escape(&path).replace("${", "$${"), true)
}

/// The end of a log; nothing where it can't be read. A line that is cut off at the beginning is left
/// out, unless it is the only one.
fn end_of(path: &Path) -> String {
    let (bytes, is_whole) = fs::read_end(path, END).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once('\n') {
        Some((_, rest)) if !is_whole && !rest.trim().is_empty() => rest.to_owned(),
        _ => text,
    }
}

/// What a line shows: a progress bar draws over itself by carriage returns, and only its last
/// state counts.
fn as_drawn(line: &str) -> Vec<&str> {
    let mut drawn: Vec<&str> = Vec::new();
    for part in line.split('\r').filter(|part| !part.trim().is_empty()) {
        if drawn.last().is_some_and(|last| looks_like(last, part)) {
            drawn.pop();
        }
        drawn.push(part);
    }
    drawn
}

/// Whether a line is empty, or a progress bar alone.
fn is_progress(line: &str) -> bool {
    line.trim().is_empty() || (line.contains('\r') && as_drawn(line).len() == 1)
}

/// Whether two lines differ in numbers and signs alone.
fn looks_like(one: &str, other: &str) -> bool {
    let letters = |text: &'_ str| {
        text.chars()
            .filter(|c| c.is_alphabetic())
            .collect::<String>()
    };
    letters(one) == letters(other)
}

/// The module of Python's "No module named".
fn module_in(line: &str) -> Option<&str> {
    let (_, name) = line.split_once("No module named ")?;
    let name = name.trim_start_matches(['\'', '"']);
    let ends = |c: char| !(c.is_alphanumeric() || c == '_' || c == '.');
    let name = name.split(ends).next()?;
    (!name.is_empty()).then_some(name)
}

/// Texts in quotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    ['\'', '"', '`']
        .into_iter()
        .flat_map(|quote| line.split(quote).skip(1).step_by(2))
}

/// What may be a file's name: texts in quotes, then words.
pub(super) fn names_in(line: &str) -> impl Iterator<Item = &str> {
    const SIGNS: &[char] = &[
        '\'', '"', '`', '‘', '’', '“', '”', '(', ')', '[', ']', '<', '>', ',', ';', ':', '=',
    ];
    let words = line.split(|c: char| c.is_whitespace() || SIGNS.contains(&c));
    let names = quoted(line).chain(words.map(|word| word.trim_end_matches('.')));
    names.filter(|name| !name.is_empty() && *name != ".")
}

/// The dotted paths of all parameters with this name.
fn paths_to(value: &Value, name: &str, prefix: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        if key == name || path == name {
            found.push(path);
        } else {
            paths_to(value, name, &path, found);
        }
    }
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;
