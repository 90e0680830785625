//! What `program:` means: the code closure of a package, everything that its release binary is
//! built from, and building it. Digesting the closure calls neither cargo nor rustc.
//!
//! What counts, for the package and for each of its path dependencies (normal and build, also
//! of those of other platforms, optional ones included):
//! - each file in the crate's folder, `#[cfg(test)]` code too (telling it apart would take a
//!   compiler), except what `files` leaves out: `tests/`, `benches/`, `examples/`,
//!   Markdown, snapshots, hidden files, nested packages. Of the package in the workspace's own
//!   root only `src/`, `build.rs` and the files that its targets name: outs may be next to them;
//! - the part of its manifest that matters: name, edition, features, targets, dependencies. Not its version,
//!   description, lints or dev-dependencies;
//! - name, version, source and checksum in Cargo.lock of each crate that it pulls in;
//!
//! and for the whole workspace: resolver, `[profile.release]`, `[patch]`, the toolchain, the
//! part of cargo's configuration files that matters, and the variables that change what rustc does.
//!
//! Not seen: features that other packages of the same cargo call switch on in a shared crate;
//! a compiler that changes under the same toolchain name (`stable`, or none named at all).

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod cargo;
mod files;
mod lock;
mod manifest;
mod paths;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use restage_core::digest::{Digest, Frame};
use restage_core::fs::{self, FsError};
use restage_core::rel_path::{RelPath, RelPathError};
use restage_core::suggest::hint_among;

pub use cargo::{CargoError, build};
use lock::Lock;
use manifest::{Member, Root};

/// Code digests of all packages of a workspace, as its files were when this was loaded.
#[derive(Debug)]
pub struct CodeDigests {
    /// The cargo workspace's folder, relative to the pipeline's; empty where they are the same.
    workspace: String,
    /// By package name.
    members: BTreeMap<String, Member>,
    /// By folder: names and digests of the crate's files, relative to the pipeline's folder.
    sources: BTreeMap<String, Vec<(String, Digest)>>,
    lock: Lock,
    shared: Vec<(String, Digest)>,
}

/// What a package's binary is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeDigest {
    /// Digest of all of `files`.
    pub digest: Digest,
    /// Each ingredient by name, sorted: a path, or `Cargo.lock: serde 1.0.228` and the like.
    pub files: Vec<(String, Digest)>,
}

/// Why code could not be digested.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// `program:` needs a cargo workspace.
    #[error("`{}` has no Cargo.toml, so no package can be built there", root.display())]
    NoWorkspace {
        /// Where it was looked for.
        root: PathBuf,
    },
    /// A file could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A manifest, lock file or configuration is not what cargo would accept.
    #[error("cannot understand `{}`: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line where known.
        message: String,
    },
    /// A file's name cannot be part of a key.
    #[error("`{}` cannot be part of a key: {source}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RelPathError,
    },
    /// A path dependency leaves the workspace's folder.
    #[error("dependency `{dependency}` of `{package}` lies outside the workspace: `{path}`")]
    Outside {
        /// The package that depends, or `[patch]`.
        package: String,
        /// On what.
        dependency: String,
        /// The path as written.
        path: String,
    },
    /// There is no such package.
    #[error("there is no package `{package}` in the workspace")]
    UnknownPackage {
        /// The name.
        package: String,
        /// The packages there are.
        known: Vec<String>,
    },
}

impl CodeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWorkspace { .. } => Some(
                "`cargo init` makes one; or give the stage a `cmd:` instead of `program:`".into(),
            ),
            Self::Fs(error) => error.hint().map(str::to_owned),
            Self::Malformed { .. } => Some("`cargo check` tells more".into()),
            Self::Name { .. } => Some("rename it".into()),
            Self::Outside { .. } => {
                Some("move it into the workspace, or depend on it by git or by version".into())
            }
            Self::UnknownPackage { package, known } => Some(
                hint_among(package, "its packages", known.iter().map(String::as_str))
                    .unwrap_or_else(|| "the workspace has no packages".to_owned()),
            ),
        }
    }
}

impl CodeDigests {
    /// Reads the manifests and the lock file of the cargo workspace in the folder `workspace` of
    /// the pipeline's folder `root` (empty: `root` itself), and digests its crates' files with
    /// `hash_file`, which takes paths relative to `root` and gives `None` for what is not there.
    /// `variable` looks up the environment that cargo will be called in.
    ///
    /// Files are named relative to `root`, so that moving a workspace's root between its crates
    /// and the pipeline's folder changes no key.
    pub fn load(
        root: &Path,
        workspace: &str,
        hash_file: &dyn Fn(&RelPath) -> Result<Option<Digest>, FsError>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CodeError> {
        let cargo_root = root.join(workspace);
        let manifest = Root::load(&cargo_root, workspace)?;
        let mut shared = manifest.shared();
        shared.extend(settings::ingredients(root, workspace, variable)?);
        let members = manifest.members(&cargo_root)?;
        let folders: BTreeSet<&str> = members.values().map(|m| m.folder.as_str()).collect();
        let mut sources = BTreeMap::new();
        for member in members.values() {
            let mut digests = Vec::new();
            for path in files::of(&cargo_root, member, &folders)? {
                let path = paths::within(root, workspace, &path)?;
                // A file that vanished since it was listed is not a source.
                if let Some(digest) = hash_file(&path)? {
                    digests.push((path.as_str().to_owned(), digest));
                }
            }
            sources.insert(member.folder.clone(), digests);
        }
        let lock = Lock::load(&cargo_root.join("Cargo.lock"))?;
        Ok(Self {
            workspace: workspace.to_owned(),
            members,
            sources,
            lock,
            shared,
        })
    }

    /// The code that the binary of `package` is built from.
    pub fn of(&self, package: &str) -> Result<CodeDigest, CodeError> {
        let start = self
            .members
            .get(package)
            .ok_or_else(|| CodeError::UnknownPackage {
                package: package.to_owned(),
                known: self.members.keys().cloned().collect(),
            })?;
        let mut files = self.shared.clone();
        let mut locked = BTreeMap::new();
        let mut seen = BTreeSet::from([start.folder.as_str()]);
        let mut queue = vec![start];
        while let Some(member) = queue.pop() {
            files.extend(
                self.sources
                    .get(&member.folder)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            files.push((
                paths::join(&self.workspace, &member.manifest_name()),
                Digest::of(member.manifest.as_bytes()),
            ));
            let beside = self
                .lock
                .pulled_in(&member.name, &member.externals, &mut locked);
            let named = member.path_folders.iter().map(String::as_str);
            // A crate of the registry that `[patch]` replaces by a folder, or that uses one.
            let patched = beside
                .iter()
                .filter_map(|name| Some(self.members.get(name)?.folder.as_str()));
            for folder in named.chain(patched) {
                if seen.insert(folder) {
                    queue.extend(self.members.values().find(|member| member.folder == folder));
                }
            }
        }
        files.extend(locked);
        files.sort();
        files.dedup();
        let mut frame = Frame::new("restage code 1");
        frame.number(files.len() as u64);
        for (name, digest) in &files {
            frame.text(name);
            frame.digest(digest);
        }
        Ok(CodeDigest {
            digest: frame.finish(),
            files,
        })
    }
}

/// A file's table; `None` where there is no file.
fn read_toml(path: &Path) -> Result<Option<toml::Table>, CodeError> {
    let Some(bytes) = fs::read_if_exists(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| malformed(path, &text, &error))
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> CodeError {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count() + 1);
    let message = match line {
        Some(line) => format!("{} (line {line})", error.message()),
        None => error.message().to_owned(),
    };
    CodeError::Malformed {
        path: path.to_owned(),
        message,
    }
}

/// A value as text that neither order nor layout of the file changes.
fn canonical(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let sorted: BTreeMap<&String, &toml::Value> = table.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{key:?}:{}", canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        toml::Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(canonical).collect::<Vec<_>>().join(",")
            )
        }
        toml::Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
