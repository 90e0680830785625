//! Where a workspace keeps what it computes: everything in its own folder, or what other
//! workspaces can use in a folder that they share (docs/adr/0008).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

use super::error::StoreError;
use restage_core::fs::{self, Context, FsError};

/// The layout that this restage writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// The file that says so.
const FORMAT_FILE: &str = "format";

/// The folder that each workspace has for itself.
const OWN: &str = ".restage";

/// What other workspaces can use.
const SHARED_FOLDERS: [&str; 6] = [
    "objects",
    "records",
    "claims",
    "scratch",
    "quarantine",
    "tmp",
];

/// What concerns one workspace alone. There is a `tmp` on either side because files are renamed
/// from there, which works only within one file system.
const OWN_FOLDERS: [&str; 3] = ["work", "logs", "tmp"];

/// Where the workspaces that share a store are noted.
pub(super) const WORKSPACES: &str = "workspaces";

/// Backup programs skip a folder with this file (<https://bford.info/cachedir/>).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Made by restage. Backups may leave this folder out: all of it can be computed again.\n";

/// The folders that a store lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    own: PathBuf,
    dir: PathBuf,
}

impl Location {
    /// Everything in one folder, which no other workspace uses.
    pub fn alone(dir: &Path) -> Self {
        Self {
            own: dir.to_owned(),
            dir: dir.to_owned(),
        }
    }

    /// Of the workspace at `root`, which shares the store `shared`, if one is given. Nothing is
    /// created. Giving the workspace's own folder is the same as giving none.
    pub fn of_workspace(root: &Path, shared: Option<&Path>) -> Result<Self, StoreError> {
        let own = root.join(OWN);
        // A link may lead to a folder of its own on a bigger disk.
        let found = fs::symlink_metadata_if_exists(&own)?;
        if found.is_some_and(|found| found.is_symlink()) && fs::metadata_if_exists(&own)?.is_some()
        {
            refuse_others(fs::canonicalize(&own)?)?;
        }
        let Some(shared) = shared else {
            return Ok(Self::alone(&own));
        };
        let dir = resolved(shared).map_err(|error| unusable(shared, error))?;
        if dir == resolved(&own)? {
            return Ok(Self::alone(&own));
        }
        Ok(Self {
            own,
            dir: refuse_others(dir)?,
        })
    }

    /// Where its folders really lie, each once.
    pub fn real(&self) -> Result<BTreeSet<PathBuf>, FsError> {
        [&self.own, &self.dir]
            .into_iter()
            .map(|dir| resolved(dir))
            .collect()
    }

    /// Of the workspace at `root`, which shares the store `dir`.
    pub(super) fn within(root: &Path, dir: &Path) -> Self {
        Self {
            own: root.join(OWN),
            dir: dir.to_owned(),
        }
    }

    /// Of a worker, which has a folder for itself, and no workspace.
    pub(super) fn of_worker(own: &Path, dir: &Path) -> Self {
        Self {
            own: own.to_owned(),
            dir: dir.to_owned(),
        }
    }

    /// The workspace's own folder.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Where objects and records are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// For what goes to [`Location::dir`] and is being written, or is about to be removed from
    /// there; emptied when a store is opened that nobody else has open.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// The same for the workspace's own folder.
    pub fn own_tmp(&self) -> PathBuf {
        self.own.join("tmp")
    }

    /// Where damaged files are set aside.
    pub(super) fn quarantine(&self) -> PathBuf {
        self.dir.join("quarantine")
    }

    /// The folder that other workspaces use too, if there is one.
    pub fn shared(&self) -> Option<&Path> {
        (self.own != self.dir).then_some(&*self.dir)
    }

    /// Whichever of the two folders has this path in it.
    fn folder_of(&self, path: &Path) -> Option<&Path> {
        let mut folders = [self.dir(), self.own()].into_iter();
        folders.find(|folder| path.starts_with(folder))
    }

    /// Removes what is at a path, which may be a folder. In the store no link is followed, at any
    /// level.
    pub(super) fn remove(&self, path: &Path) -> Result<(), FsError> {
        match self.folder_of(path) {
            Some(folder) => fs::remove_below(folder, path),
            None => fs::remove_all(path),
        }
    }

    /// Removes the files in a folder of the store, and leaves its folders; no link is followed.
    pub(super) fn empty(&self, path: &Path) -> Result<(), FsError> {
        fs::empty_below(self.folder_of(path).unwrap_or(path), path)
    }

    /// Renames; between two paths in the store no link is followed.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), FsError> {
        match self.folder_of(from) {
            Some(folder) if to.starts_with(folder) => fs::rename_below(folder, from, to),
            _ => fs::rename(from, to),
        }
    }

    /// Refuses a folder that is not empty and is no store, before anything is changed there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        check(&self.dir)?;
        match self.shared() {
            Some(_) => check(&self.own),
            None => Ok(()),
        }
    }

    /// Refuses the folders of a newer restage.
    pub(super) fn check_format(&self) -> Result<(), StoreError> {
        let folders = [Some(self.dir()), self.shared().map(|_| self.own())];
        folders
            .into_iter()
            .flatten()
            .try_for_each(|dir| is_made(dir).map(drop))
    }

    /// Creates the folders that are missing, and refuses those of a newer restage.
    pub(super) fn make(&self) -> Result<(), StoreError> {
        let own = OWN_FOLDERS.iter();
        let Some(dir) = self.shared() else {
            return make(self, &self.dir, SHARED_FOLDERS.iter().chain(own));
        };
        make(self, &self.own, own)?;
        let folders = || SHARED_FOLDERS.iter().chain(&[WORKSPACES]);
        make(self, dir, folders())?;
        for folder in folders() {
            let path = dir.join(folder);
            let writable = access(&path, Access::WRITE_OK | Access::EXEC_OK);
            writable
                .at("write in", &path)
                .map_err(|error| unusable(dir, error))?;
        }
        Ok(())
    }

    /// Creates a worker's own folder. The store is there, and stays as it is.
    pub(super) fn make_own(&self) -> Result<(), StoreError> {
        make(self, &self.own, OWN_FOLDERS.iter())
    }

    /// Says that the shared store can't be used, if that is what the error means.
    pub(super) fn explain(&self, error: FsError) -> StoreError {
        match self.shared() {
            Some(dir) if error.path.starts_with(dir) => unusable(dir, error),
            _ => error.into(),
        }
    }
}

/// Says no to the own folder of another workspace, whose gc would not know what this one needs.
fn refuse_others(dir: PathBuf) -> Result<PathBuf, StoreError> {
    match dir.file_name().is_some_and(|name| name == OWN) {
        true => Err(StoreError::NotShared { dir }),
        false => Ok(dir),
    }
}

/// The absolute path without symbolic links, of a folder that may be made later.
fn resolved(path: &Path) -> Result<PathBuf, FsError> {
    let path = std::path::absolute(path).at("find", path)?;
    for above in path.ancestors() {
        if fs::metadata_if_exists(above)?.is_none() {
            continue;
        }
        let mut real = fs::canonicalize(above)?;
        for part in path
            .strip_prefix(above)
            .iter()
            .flat_map(|rest| rest.components())
        {
            match part {
                Component::ParentDir => drop(real.pop()),
                part => real.push(part),
            }
        }
        return Ok(real);
    }
    Ok(path)
}

/// A shared folder that this user may not write to is not used at all: otherwise a stage would run
/// first and then find that its result can't be kept.
fn unusable(dir: &Path, error: FsError) -> StoreError {
    match error.is_forbidden() {
        true => StoreError::ReadOnly {
            dir: dir.to_owned(),
            source: error,
        },
        false => error.into(),
    }
}

/// The names that a store's folder starts with: the first ones show that making it was cut short.
const FIRST: [&str; 3] = ["lock", "CACHEDIR.TAG", ".gitignore"];

/// The names that come later, besides those of folders.
const OTHER: [&str; 11] = [
    FORMAT_FILE,
    "batches",
    "programs",
    "environments",
    "interpreters",
    "history.jsonl",
    "stat-cache",
    "noop",
    "standstills",
    "pipeline.lock.turn",
    "pipeline.lock.damaged",
];

/// Says no if `dir` is neither a store, nor empty, nor missing.
fn check(dir: &Path) -> Result<(), StoreError> {
    let names = fs::read_dir_if_exists(dir).map_err(|error| unusable(dir, error))?;
    let is_begun = |name: &OsString| {
        fs::is_temp_name(name) || FIRST.iter().any(|first| name.as_os_str() == *first)
    };
    if names.iter().all(is_begun) || has_layout(dir, &names)? {
        return Ok(());
    }
    let found = names
        .iter()
        .find(|name| !is_ours(name))
        .or_else(|| names.iter().find(|name| !is_begun(name)));
    Err(StoreError::NotAStore {
        dir: dir.to_owned(),
        found: found
            .map(|name| name.display().to_string())
            .unwrap_or_default(),
    })
}

/// Whether a name in a store's folder is one that restage gives.
fn is_ours(name: &OsString) -> bool {
    let folders = SHARED_FOLDERS.iter().chain(&OWN_FOLDERS);
    let mut ours = folders.chain(&FIRST).chain(&OTHER).chain(&[WORKSPACES]);
    ours.any(|ours| name.as_os_str() == *ours) || fs::is_temp_name(name)
}

/// Whether a folder with these names in it is a store: it has a number in `format`, and our tag or
/// one of our folders, or it lost `format` and nothing in it is of others.
fn has_layout(dir: &Path, names: &[OsString]) -> Result<bool, FsError> {
    let is_folder = |name: &str| {
        let found = fs::symlink_metadata_if_exists(&dir.join(name))?;
        Ok::<bool, FsError>(found.is_some_and(|found| found.is_dir()))
    };
    let is_shard = |name: &OsString| {
        let bytes = name.as_encoded_bytes();
        bytes.len() == 2 && bytes.iter().all(u8::is_ascii_hexdigit)
    };
    let objects = || fs::read_dir_if_exists(&dir.join("objects"));
    match fs::read_own(&dir.join(FORMAT_FILE))? {
        Some(text) => {
            // Empty if the machine went down while it was written.
            let number = text.trim_ascii().iter().all(u8::is_ascii_digit);
            let tag = fs::read_own(&dir.join("CACHEDIR.TAG"))?;
            let ours = tag.is_some_and(|tag| tag == CACHEDIR_TAG.as_bytes());
            Ok(number && (ours || is_folder("records")? || is_folder("work")?))
        }
        None => Ok(names.iter().all(is_ours)
            && is_folder("objects")?
            && is_folder("records")?
            && is_folder("claims")?
            && objects()?.iter().all(is_shard)),
    }
}

/// Whether a folder has the number of a layout; that of a newer restage is refused.
fn is_made(dir: &Path) -> Result<bool, StoreError> {
    let Some(text) = fs::read_own(&dir.join(FORMAT_FILE))? else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(&text);
    let number = text.trim().parse::<u32>();
    // The file is empty if the machine went down while it was written.
    if text.trim().is_empty() || number.is_ok_and(|found| (1..=FORMAT).contains(&found)) {
        return Ok(true);
    }
    Err(StoreError::NewerFormat {
        dir: dir.to_owned(),
        found: text.trim().to_owned(),
        known: FORMAT,
    })
}

fn make<'a>(
    location: &Location,
    dir: &Path,
    folders: impl Iterator<Item = &'a &'a str>,
) -> Result<(), StoreError> {
    if !is_made(dir)? {
        fs::write_own(&dir.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
        fs::write_own(&dir.join(FORMAT_FILE), format!("{FORMAT}\n").as_bytes())?;
        location.share(&dir.join("CACHEDIR.TAG"))?;
        location.share(&dir.join(FORMAT_FILE))?;
    }
    // Nothing of a store is for git, wherever it lies; its owner may say otherwise.
    let ignore = dir.join(".gitignore");
    if !fs::exists(&ignore)? {
        fs::write_own(&ignore, b"# Made by restage.\n*\n")?;
        location.share(&ignore)?;
    }
    for folder in folders {
        let path = dir.join(folder);
        match fs::symlink_metadata_if_exists(&path)? {
            None => {
                fs::create_dir_all(&path)?;
                location.share(&path)?;
            }
            Some(found) if found.is_dir() => {}
            // Others' files would be taken for ours.
            Some(_) => return Err(StoreError::NotAFolder { path }),
        }
    }
    Ok(())
}
