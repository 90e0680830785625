//! What an environment is found out from: files of the workspace, programs that say what they are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use restage_core::digest::Digest;
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_environments::EnvironmentError;
use restage_store::Store;
use restage_worker::HostEnv;

/// Every plan may ask: an interpreter that takes longer to say what it is is of no use.
const LIMIT: Duration = Duration::from_secs(20);
/// What an environment that the caller is in sets, and what would lead another Python astray.
const OF_OTHERS: [&str; 6] = [
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "__PYVENV_LAUNCHER__",
];

/// Where environments are named.
pub(crate) struct Site<'a> {
    pub(crate) root: &'a Path,
    pub(crate) store: &'a Store,
    pub(crate) env: &'a HostEnv,
}

/// What a kind may ask.
pub(crate) struct Asking<'a> {
    pub(crate) site: &'a Site<'a>,
    /// Interpreters that were found and are not noted yet, by what was asked for.
    pub(crate) new: &'a RefCell<BTreeMap<Digest, String>>,
}

impl Asking<'_> {
    /// The folder of a file.
    pub(super) fn folder_of(&self, file: &RelPath) -> PathBuf {
        let path = file.under(self.site.root);
        path.parent()
            .map_or(self.site.root.to_owned(), Path::to_owned)
    }

    /// A file's text; `hint` says what makes it.
    pub(super) fn read(&self, file: &RelPath, hint: &str) -> Result<String, EnvironmentError> {
        let bytes = fs::read_if_exists(&file.under(self.site.root))?;
        let bytes = bytes.ok_or_else(|| EnvironmentError::NoLock {
            file: file.to_string(),
            hint: hint.to_owned(),
        })?;
        String::from_utf8(bytes).map_err(|_| EnvironmentError::Malformed {
            file: file.to_string(),
            message: "it is not UTF-8".to_owned(),
        })
    }

    /// What a program prints.
    pub(super) fn ask(&self, argv: &[String], folder: &Path) -> Result<String, String> {
        let env = installers_environment(self.site.env);
        let answer = restage_exec::capture(argv, folder, &env, LIMIT);
        answer.map_err(|error| match error.output().lines().last() {
            Some(line) => format!("`{}` {error}: {line}", argv[0]),
            None => format!("`{}` {error}", argv[0]),
        })
    }
}

/// The caller's whole environment, but for what belongs to an environment that the caller is in.
pub(crate) fn installers_environment(env: &HostEnv) -> BTreeMap<OsString, OsString> {
    let mut all = env.all().clone();
    for name in OF_OTHERS {
        all.remove(&OsString::from(name));
    }
    all
}
