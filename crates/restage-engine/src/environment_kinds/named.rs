//! An environment as keys have it, and what it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use restage_core::digest::{Digest, KeyEnvironment};
use restage_core::rel_path::RelPath;
use restage_environments::{Interpreter, Resolved};
use restage_store::{EnvironmentPlace, Store, StoreError};

/// An environment as keys have it, and what it is made from.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) key: KeyEnvironment,
    pub(crate) digest: Digest,
    /// All that it was named from: a no-op compares them. Relative to the workspace, or absolute.
    pub(crate) files: BTreeSet<String>,
    /// Names that were looked for and were not there.
    pub(crate) absent: BTreeSet<String>,
    /// Folders of which the names in them count.
    pub(crate) folders: BTreeSet<String>,
    /// Of one that restage makes.
    pub(crate) source: Option<Source>,
}

/// What an environment is made from.
#[derive(Debug)]
pub(crate) struct Source {
    /// The lock file with its digest.
    pub(crate) lock: (RelPath, Digest),
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What it installs.
    pub(crate) resolved: Resolved,
    /// Texts for its installer, as they were when it was named.
    pub(crate) texts: BTreeMap<&'static str, String>,
    /// What runs its programs, if that is not in it.
    pub(crate) interpreter: Option<Interpreter>,
}

impl Source {
    pub(super) fn new(
        (lock, text): (&RelPath, &str),
        folder: PathBuf,
        resolved: Resolved,
        interpreter: Option<Interpreter>,
    ) -> Self {
        Self {
            lock: (lock.clone(), Digest::of(text.as_bytes())),
            folder,
            resolved,
            texts: BTreeMap::new(),
            interpreter,
        }
    }

    /// The interpreter's program; empty where it has none.
    pub(crate) fn program(&self) -> &Path {
        let interpreter = self.interpreter.as_ref();
        interpreter.map_or(Path::new(""), |it| &it.executable)
    }
}

impl Named {
    /// One of these packages.
    pub(super) fn new(key: KeyEnvironment, source: Source, found: Found) -> Self {
        Self {
            digest: key.digest(),
            key,
            files: found.files,
            absent: found.absent,
            folders: found.folders,
            source: Some(source),
        }
    }

    /// One of packages for a Python.
    pub(super) fn of_python(kind: &str, source: Source, found: Found) -> Self {
        let interpreter = source.interpreter.as_ref();
        let mut facts = interpreter.map(Interpreter::facts).unwrap_or_default();
        let conditions = &source.resolved.conditions;
        if !conditions.is_empty() {
            let all: Vec<&str> = conditions.iter().map(String::as_str).collect();
            facts.insert("conditions".to_owned(), all.join("; "));
        }
        let key = KeyEnvironment {
            kind: kind.to_owned(),
            facts,
            packages: source.resolved.packages.clone(),
        };
        Self::new(key, source, found)
    }

    /// Where it is made, if restage makes it.
    pub(crate) fn place(&self, store: &Store) -> Result<Option<EnvironmentPlace>, StoreError> {
        let place = |source: &Source| store.environments().place(&self.digest, source.program());
        self.source.as_ref().map(place).transpose()
    }
}

/// What an environment's name was found from.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: BTreeSet<String>,
    absent: BTreeSet<String>,
    pub(super) folders: BTreeSet<String>,
}

impl Found {
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a RelPath>) -> Self {
        Self {
            files: files.into_iter().map(RelPath::to_string).collect(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, path: &Path, there: bool) {
        let Some(text) = path.to_str().map(str::to_owned) else {
            return;
        };
        match there {
            true => self.files.insert(text),
            false => self.absent.insert(text),
        };
    }
}
