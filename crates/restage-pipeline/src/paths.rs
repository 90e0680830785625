//! The paths of one stage: what may be read and written.
//! Whether they fit those of other stages is for the graph to say.

use super::diagnostic::Diagnostic;
use super::node::printable;
use super::pipeline::{Dep, DepPattern, Out};
use restage_core::files::{LOCAL_FILE, PROJECT_FILE, SET_ASIDE};
use restage_core::glob::{Glob, GlobError};
use restage_core::ignored::IGNORE_FILE;
use restage_core::rel_path::{RelPath, RelPathError};
use restage_core::span::Location;

/// Where restage keeps what it knows.
const OWN_FOLDER: &str = ".restage";
/// Where git keeps the history.
const GIT_FOLDER: &str = ".git";
/// What was last reproduced.
const LOCK_FILE: &str = "pipeline.lock";

type Outcome<T> = Result<T, Box<Diagnostic>>;

/// A declared input: a path, or a pattern if it has a pattern's characters.
pub(crate) fn dep(text: &str, at: Location, owner: &str) -> Outcome<DepPattern> {
    let pattern = if Glob::is_glob(text) {
        let glob = Glob::new(text).map_err(|error| glob_error(&error, text, at, owner))?;
        DepPattern::Glob(glob.as_str().to_owned())
    } else {
        let path =
            RelPath::new(text).map_err(|error| path_error(error, text, at, owner, "deps"))?;
        DepPattern::Path(path)
    };
    let shown = match &pattern {
        DepPattern::Path(path) => path.as_str(),
        DepPattern::Glob(pattern) => pattern,
    };
    if [OWN_FOLDER, SET_ASIDE, LOCK_FILE].contains(&first(shown)) {
        let message = format!("{owner} reads `{shown}`, which restage writes");
        return Err(Diagnostic::new(at, message, "changes with every run")
            .hint("read the file itself at the path that its stage declares")
            .into());
    }
    Ok(pattern)
}

/// A declared output: exactly one file or folder.
pub(crate) fn out(text: &str, at: Location, owner: &str, file_name: &str) -> Outcome<RelPath> {
    if Glob::is_glob(text) {
        return Err(Diagnostic::new(
            at,
            format!("an output of {owner} is a pattern: `{text}`"),
            "must name one file or folder",
        )
        .hint("name each file, or the folder that holds them")
        .into());
    }
    let path = RelPath::new(text).map_err(|error| path_error(error, text, at, owner, "outs"))?;
    match reserved(&path, file_name) {
        None => Ok(path),
        Some(reason) => Err(
            Diagnostic::new(at, format!("{owner} cannot write `{path}`"), reason)
                .hint("choose another path")
                .into(),
        ),
    }
}

/// Where stages find data from outside the pipeline's folder.
pub(crate) fn place(text: &str, at: Location, owner: &str, file_name: &str) -> Outcome<RelPath> {
    let refuse = |label: &str| {
        let message = format!("`{}` cannot be the place of {owner}", printable(text));
        let hint = "name a file or folder in the pipeline's folder that nothing else is at, such as `data/NAME`";
        Box::new(Diagnostic::new(at, message, label).hint(hint))
    };
    if Glob::is_glob(text) {
        return Err(refuse("must name one file or folder"));
    }
    let path = RelPath::new(text).map_err(|error| refuse(&error.to_string()))?;
    match reserved(&path, file_name) {
        None => Ok(path),
        Some(reason) => Err(refuse(reason)),
    }
}

/// Why nothing of the user's can be at a path.
fn reserved(path: &RelPath, file_name: &str) -> Option<&'static str> {
    // Paths are relative to the file's folder.
    let own_name = file_name.rsplit('/').next().unwrap_or(file_name);
    match first(path.as_str()) {
        OWN_FOLDER => Some("restage keeps its own records there"),
        SET_ASIDE => Some("restage moves there what it must not replace"),
        GIT_FOLDER => Some("git keeps the history there"),
        IGNORE_FILE => Some("this file says what restage passes over"),
        LOCK_FILE => Some("restage writes this file itself"),
        name if name == own_name => Some("this file declares the pipeline"),
        name if name.strip_suffix(".lock") == Some(own_name) => {
            Some("restage writes this file itself")
        }
        LOCAL_FILE => Some("this file says where this machine has data"),
        PROJECT_FILE => Some("this file says where results are kept for others"),
        _ => None,
    }
}

/// A stage must not read what it writes.
pub(crate) fn check_own(deps: &[Dep], outs: &[Out], owner: &str, report: &mut Vec<Diagnostic>) {
    for dep in deps {
        let DepPattern::Path(read) = &dep.pattern else {
            continue;
        };
        let clash = outs
            .iter()
            .find(|out| read.is_within(&out.path) || out.path.is_within(read));
        if let Some(out) = clash {
            let message = if *read == out.path {
                format!("{owner} reads `{read}`, which it writes itself")
            } else {
                format!("{owner} reads `{read}` and writes `{}` itself", out.path)
            };
            report.push(
                Diagnostic::new(dep.location, message, "its own output")
                    .note_at(format!("`{}` is written", out.path), out.location)
                    .hint("remove the dep, or write to another path: a result cannot be an input of the same stage"),
            );
        }
    }
}

/// The file or folder in the pipeline's folder that a path is, or lies in.
fn first(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn path_error(
    error: RelPathError,
    text: &str,
    at: Location,
    owner: &str,
    field: &str,
) -> Box<Diagnostic> {
    let text = printable(text);
    let (problem, label, hint) = match error {
        RelPathError::Empty => (
            "is empty",
            "no path",
            "name a file or folder below the pipeline's folder",
        ),
        RelPathError::Absolute => (
            "is absolute",
            "begins with `/`",
            "name it from the pipeline's folder, so that the pipeline works on every machine; what lies outside can be linked or copied in",
        ),
        RelPathError::Outside if field == "outs" => (
            "leaves the pipeline's folder",
            "climbs above it",
            "write below the pipeline's folder",
        ),
        RelPathError::Outside => (
            "leaves the pipeline's folder",
            "climbs above it",
            "move, link or copy the file into the pipeline's folder, and name it from there",
        ),
        RelPathError::Control => (
            "has a control character",
            "has a tab, a line break or the like",
            "remove the character",
        ),
    };
    let message = match text.is_empty() {
        true => format!("a path in `{field}` of {owner} {problem}"),
        false => format!("a path in `{field}` of {owner} {problem}: `{text}`"),
    };
    Box::new(Diagnostic::new(at, message, label).hint(hint))
}

fn glob_error(error: &GlobError, text: &str, at: Location, owner: &str) -> Box<Diagnostic> {
    // One that is refused for its length would fill the screen.
    const SHOWN: usize = 200;
    let cut: String = text.chars().take(SHOWN).collect();
    let shown = match cut.len() < text.len() {
        true => format!("{cut}.."),
        false => cut,
    };
    match error {
        GlobError::Path(error) => path_error(*error, text, at, owner, "deps"),
        GlobError::Parent => Box::new(
            Diagnostic::new(
                at,
                format!("a pattern in `deps` of {owner} has `..`: `{shown}`"),
                "has `..`",
            )
            .hint("name the folder directly, below the pipeline's folder"),
        ),
        GlobError::Syntax(reason) => Box::new(
            Diagnostic::new(
                at,
                format!("`{shown}` in `deps` of {owner} is not a pattern"),
                reason.clone(),
            )
            .hint(
                "`*`, `?`, `[..]`, `{a,b}` and `**` are special; write `[[]` for a bracket itself",
            ),
        ),
    }
}
