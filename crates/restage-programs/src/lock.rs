//! Cargo.lock: which versions a crate pulls in.
//! Dev-dependencies look like all others here: only the manifest tells them apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{CodeError, malformed};
use restage_core::digest::Digest;
use restage_core::fs;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The lock file as a graph.
#[derive(Debug, Default)]
pub(super) struct Lock {
    packages: Vec<Package>,
    by_name: BTreeMap<String, Vec<usize>>,
}

#[derive(Debug, Default, Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// Nothing for a crate of the workspace, or one that `[patch]` takes from a folder.
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Lock {
    /// An absent file locks nothing: cargo will say so when it is to build.
    pub(super) fn load(path: &Path) -> Result<Self, CodeError> {
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(Self::default());
        };
        let text = String::from_utf8_lossy(&bytes);
        let file: LockFile =
            toml::from_str(&text).map_err(|error| malformed(path, &text, &error))?;
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, package) in file.package.iter().enumerate() {
            by_name.entry(package.name.clone()).or_default().push(at);
        }
        Ok(Self {
            packages: file.package,
            by_name,
        })
    }

    /// Adds to `locked` what the workspace's crate `member` pulls in through its direct
    /// dependencies `externals`, by name, and returns those crates that lie in folders.
    ///
    /// Where one name is locked in two versions for this crate, both count: the lock file does
    /// not say which of them is a dev-dependency's.
    pub(super) fn pulled_in(
        &self,
        member: &str,
        externals: &BTreeSet<String>,
        locked: &mut BTreeMap<String, Digest>,
    ) -> BTreeSet<String> {
        let mut in_folders = BTreeSet::new();
        let own = self
            .named(member)
            .filter(|package| package.source.is_none());
        let direct: Vec<&str> = own
            .flat_map(|package| &package.dependencies)
            .map(String::as_str)
            .collect();
        let mut queue = Vec::new();
        for name in externals {
            let before = queue.len();
            let of_this_name = direct
                .iter()
                .filter(|dependency| first_word(dependency) == name);
            queue.extend(of_this_name.flat_map(|dependency| self.meant_by(dependency)));
            if queue.len() == before {
                locked.insert(format!("Cargo.lock: {name} is not locked"), Digest::of(b""));
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(at) = queue.pop() {
            if !seen.insert(at) {
                continue;
            }
            let package = &self.packages[at];
            if let Some(source) = &package.source {
                let mut name = format!("Cargo.lock: {} {}", package.name, package.version);
                if source != CRATES_IO {
                    name = format!("{name} ({source})");
                }
                let checksum = package.checksum.as_deref().unwrap_or_default();
                locked.insert(name, Digest::of(format!("{source}\n{checksum}").as_bytes()));
                queue.extend(
                    package
                        .dependencies
                        .iter()
                        .flat_map(|name| self.meant_by(name)),
                );
            } else {
                in_folders.insert(package.name.clone());
            }
        }
        in_folders
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Package> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| &self.packages[*at])
    }

    /// `name`, `name version` or `name version (source)`, as short as is unambiguous.
    fn meant_by(&self, dependency: &str) -> Vec<usize> {
        let mut words = dependency.splitn(3, ' ');
        let name = words.next().unwrap_or_default();
        let version = words.next();
        let source = words.next().map(|source| source.trim_matches(['(', ')']));
        let fits = |at: &&usize| {
            let package = &self.packages[**at];
            version.is_none_or(|version| version == package.version)
                && source.is_none_or(|source| package.source.as_deref() == Some(source))
        };
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .filter(fits)
            .copied()
            .collect()
    }
}

fn first_word(dependency: &str) -> &str {
    dependency.split(' ').next().unwrap_or_default()
}
