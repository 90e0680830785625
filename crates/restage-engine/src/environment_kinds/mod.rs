//! The kinds of environments that restage makes (docs/adr/0027).
//!
//! Each kind is a file: its part of a key, the commands that make it, whether they made what the key says,
//! and how a stage gets into it. Nothing is run here but programs that say what they are.

mod asking;
mod conda;
mod interpreters;
mod named;
mod nix;
mod pixi;
mod renv;
mod uv;
mod venv;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub(super) use asking::{Asking, Site, installers_environment};
pub(super) use named::{Named, Source};
use restage_core::fs::FsError;
use restage_environments::EnvironmentError;
use restage_pipeline::Made;

/// A kind of environment that is a folder in the store.
pub(super) trait Kind {
    /// What it is: its part of a key, and what it is made from.
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError>;

    /// What makes it.
    fn recipe(&self, making: &Making<'_>) -> Recipe;

    /// Compares what is there now with what was named.
    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError>;

    /// Whether it can be entered here: another machine may have made it.
    fn is_usable(&self, _at: &Path) -> Result<bool, FsError> {
        Ok(true)
    }

    /// How a stage gets into it.
    fn entry(&self, at: &Path) -> Result<Entry, FsError>;
}

/// The kind of an environment; `None` if it is not a folder.
pub(super) fn kind(made: &Made) -> Option<&dyn Kind> {
    match made {
        Made::Uv(uv) => Some(uv),
        Made::Venv(venv) => Some(venv),
        Made::Conda(conda) => Some(conda),
        Made::Pixi(pixi) => Some(pixi),
        Made::Renv(renv) => Some(renv),
        Made::Nix(nix) => Some(nix),
        Made::Image(_) | Made::Tools(_) => None,
    }
}

/// What an environment is made from, and where.
pub(super) struct Making<'a> {
    pub(super) source: &'a Source,
    /// Where it will be, and stay.
    pub(super) at: &'a Path,
    /// A file beside it for its installer to read, which is removed once it is made.
    pub(super) beside: &'a Path,
    /// The workspace's folder.
    pub(super) root: &'a Path,
    /// The variables of an installer.
    pub(super) env: BTreeMap<OsString, OsString>,
}

impl Making<'_> {
    /// A command in the lock file's folder, without its words.
    fn step(&self, name: &str) -> Step {
        Step::new(name, &self.source.folder, self.env.clone())
    }
}

/// What makes an environment.
#[derive(Default)]
pub(super) struct Recipe {
    /// Files to write first.
    pub(super) files: Vec<(PathBuf, String)>,
    /// Links to make first, each with what it leads to.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Commands, one after another.
    pub(super) steps: Vec<Step>,
}

/// A command that makes a part of an environment.
pub(super) struct Step {
    /// For people.
    pub(super) name: String,
    pub(super) argv: Vec<OsString>,
    pub(super) folder: PathBuf,
    /// A file that gets what it prints.
    pub(super) printed: Option<PathBuf>,
    pub(super) env: BTreeMap<OsString, OsString>,
}

impl Step {
    pub(super) fn new(name: &str, folder: &Path, env: BTreeMap<OsString, OsString>) -> Self {
        Self {
            name: name.to_owned(),
            argv: Vec::new(),
            folder: folder.to_owned(),
            printed: None,
            env,
        }
    }

    pub(super) fn words(&mut self, words: &[&str]) {
        self.argv.extend(words.iter().map(OsString::from));
    }
}

/// How a stage gets into an environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Where its programs are.
    programs: Option<PathBuf>,
    /// Variables that it sets.
    variables: BTreeMap<String, OsString>,
    /// Scripts for bash that set more.
    scripts: Vec<PathBuf>,
}

impl Entry {
    /// That of an environment of Python.
    fn of_python(at: &Path) -> Self {
        let mut entry = Self {
            programs: Some(at.join("bin")),
            ..Self::default()
        };
        entry.set("VIRTUAL_ENV", at);
        // What the user has installed is in no key.
        entry.set("PYTHONNOUSERSITE", "1");
        // It can't be written to.
        entry.set("PYTHONDONTWRITEBYTECODE", "1");
        entry
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Makes a command run in it.
    pub(super) fn enter(&self, argv: &mut Vec<OsString>, env: &mut BTreeMap<OsString, OsString>) {
        if let Some(programs) = &self.programs {
            let mut paths = programs.clone().into_os_string();
            let others = env.get(OsStr::new("PATH"));
            if let Some(others) = others.filter(|others| !others.is_empty()) {
                paths.push(":");
                paths.push(others);
            }
            env.insert("PATH".into(), paths);
        }
        let set = self.variables.iter();
        env.extend(set.map(|(name, value)| (name.into(), value.clone())));
        if self.scripts.is_empty() {
            return;
        }
        // They are written for bash, and may leave a status behind that means nothing.
        let count = self.scripts.len();
        let text = format!(
            "for restage_script in \"${{@:1:{count}}}\"; do . \"$restage_script\" || :; done; \
             unset restage_script; shift {count}; exec \"$@\""
        );
        let mut words: Vec<OsString> = vec!["bash".into(), "-c".into(), text.into(), "bash".into()];
        words.extend(self.scripts.iter().map(OsString::from));
        words.append(argv);
        *argv = words;
    }
}
