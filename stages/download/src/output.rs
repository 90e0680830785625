//! The folder that the stage makes: filled under a temporary name, then given its own.
//! It must not know what is put into it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use contract::StageError;
use contract::files::{self, FileError};
use tempfile::TempDir;

/// A folder in the making; dropped before [`Output::publish`], nothing of it stays.
pub(crate) struct Output {
    out: PathBuf,
    temporary: TempDir,
}

impl Output {
    /// Makes the temporary folder beside `out`, which must not exist or be empty.
    pub(crate) fn new(out: &Path) -> Result<Self, StageError> {
        if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
            let error = StageError::message(format!("`{}` exists and is not empty", out.display()));
            return Err(error.with_hint("remove it, or choose another folder for --out"));
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        files::create_dir_all(parent)?;
        let temporary = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempdir_in(parent)
            .map_err(FileError::new("create a folder in", parent))?;
        Ok(Self {
            out: out.to_owned(),
            temporary,
        })
    }

    /// Where to put the files.
    pub(crate) fn folder(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the folder its name. Modes are set, so that they depend on nobody's umask.
    pub(crate) fn publish(self) -> Result<(), StageError> {
        let folder = self.temporary.path();
        let entries = fs::read_dir(folder).map_err(FileError::new("read", folder))?;
        for entry in entries {
            let path = entry.map_err(FileError::new("read", folder))?.path();
            set_mode(&path, 0o644)?;
        }
        set_mode(folder, 0o755)?;
        let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
        sync(folder).map_err(FileError::new("write", folder))?;
        fs::rename(folder, &self.out).map_err(FileError::new("write", &self.out))?;
        if let Some(parent) = folder.parent() {
            sync(parent).map_err(FileError::new("write", parent))?;
        }
        Ok(())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(FileError::new("set the mode of", path))
}
