//! Cargo.toml: a workspace's crates, what they depend on, and what of a manifest matters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

use super::paths::join;
use super::{CodeError, canonical, read_toml};
use restage_core::digest::Digest;
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::{RelPath, RelPathError};

/// The manifest at the workspace's root.
#[derive(Debug)]
pub(super) struct Root {
    table: Table,
    /// Its folder, relative to the pipeline's.
    folder: String,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    /// The package's name.
    pub(super) name: String,
    /// Its folder relative to the workspace; empty at the root itself.
    pub(super) folder: String,
    /// The part of its manifest that matters, with inherited values, as canonical text.
    pub(super) manifest: String,
    /// Folders of its path dependencies.
    pub(super) path_folders: BTreeSet<String>,
    /// Names of its other dependencies.
    pub(super) externals: BTreeSet<String>,
    /// Source files that its targets name.
    pub(super) targets: Vec<String>,
}

impl Member {
    pub(super) fn manifest_name(&self) -> String {
        join(&self.folder, "Cargo.toml")
    }
}

impl Root {
    pub(super) fn load(root: &Path, folder: &str) -> Result<Self, CodeError> {
        let table = read_toml(&root.join("Cargo.toml"))?;
        let table = table.ok_or_else(|| CodeError::NoWorkspace {
            root: root.to_owned(),
        })?;
        Ok(Self {
            table,
            folder: folder.to_owned(),
        })
    }

    fn workspace(&self) -> Option<&Table> {
        self.table.get("workspace")?.as_table()
    }

    /// The parts of the root's manifest that belong to every crate's code.
    pub(super) fn shared(&self) -> Vec<(String, Digest)> {
        let parts = [
            (
                "resolver",
                self.workspace()
                    .and_then(|workspace| workspace.get("resolver")),
            ),
            (
                "profile.release",
                self.table.get("profile").and_then(|all| all.get("release")),
            ),
            ("patch", self.table.get("patch")),
            ("replace", self.table.get("replace")),
        ];
        let name = |part| format!("Cargo.toml: {part}");
        parts
            .into_iter()
            .filter_map(|(part, value)| {
                Some((name(part), Digest::of(canonical(value?).as_bytes())))
            })
            .collect()
    }

    /// All crates: the root's, the listed ones, and those that they depend on by path.
    pub(super) fn members(&self, root: &Path) -> Result<BTreeMap<String, Member>, CodeError> {
        let mut folders = self.listed(root)?;
        folders.extend(self.patches()?);
        folders.insert(String::new());
        let mut members = BTreeMap::new();
        let mut seen = BTreeSet::new();
        while let Some(folder) = folders.pop_first() {
            if !seen.insert(folder.clone()) {
                continue;
            }
            if let Some(member) = self.member(root, &folder)? {
                folders.extend(member.path_folders.iter().cloned());
                members.insert(member.name.clone(), member);
            }
        }
        Ok(members)
    }

    /// Folders that `workspace.members` names or matches.
    fn listed(&self, root: &Path) -> Result<BTreeSet<String>, CodeError> {
        let texts = |key: &str| -> Vec<&str> {
            let list = self
                .workspace()
                .and_then(|workspace| workspace.get(key)?.as_array());
            list.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        };
        let mut folders = BTreeSet::new();
        for pattern in texts("members") {
            match RelPath::new(pattern) {
                Ok(pattern) => folders.extend(expand(root, &pattern)?),
                Err(RelPathError::Empty) => {}
                Err(error) => {
                    let message = format!("workspace member `{pattern}`: {error}");
                    return Err(CodeError::Malformed {
                        path: root.join("Cargo.toml"),
                        message,
                    });
                }
            }
        }
        for excluded in texts("exclude")
            .into_iter()
            .filter_map(|text| RelPath::new(text).ok())
        {
            folders.retain(|folder| !RelPath::new(folder).is_ok_and(|f| f.is_within(&excluded)));
        }
        Ok(folders)
    }

    /// Folders that `[patch]` replaces crates by.
    fn patches(&self) -> Result<BTreeSet<String>, CodeError> {
        let sources = self.table.get("patch").and_then(Value::as_table);
        let crates = sources
            .into_iter()
            .flatten()
            .filter_map(|(_, source)| source.as_table());
        let paths = crates
            .flatten()
            .filter_map(|(name, entry)| Some((name, entry.get("path")?.as_str()?)));
        let folder = |(name, path): (&String, &str)| {
            below("", path).ok_or_else(|| CodeError::Outside {
                package: "[patch]".to_owned(),
                dependency: name.clone(),
                path: path.to_owned(),
            })
        };
        paths.map(folder).collect()
    }

    /// The crate in `folder`; `None` where there is none, or only a workspace.
    fn member(&self, root: &Path, folder: &str) -> Result<Option<Member>, CodeError> {
        let path = root.join(folder).join("Cargo.toml");
        let read;
        let table = if folder.is_empty() {
            &self.table
        } else {
            read = read_toml(&path)?;
            match &read {
                Some(table) => table,
                None => return Ok(None),
            }
        };
        let Some(package) = table.get("package").and_then(Value::as_table) else {
            return Ok(None);
        };
        let Some(name) = package.get("name").and_then(Value::as_str) else {
            let message = "the package has no name".to_owned();
            return Err(CodeError::Malformed { path, message });
        };
        let mut member = Member {
            name: name.to_owned(),
            folder: folder.to_owned(),
            manifest: String::new(),
            path_folders: BTreeSet::new(),
            externals: BTreeSet::new(),
            targets: Vec::new(),
        };
        let matters = self.matters(table, package, &mut member)?;
        member.manifest = canonical(&Value::Table(matters));
        Ok(Some(member))
    }

    /// The part of a manifest that changes its binary.
    fn matters(
        &self,
        table: &Table,
        package: &Table,
        member: &mut Member,
    ) -> Result<Table, CodeError> {
        let mut matters = Table::new();
        for key in ["name", "build", "links", "autobins", "autolib"] {
            matters.extend(
                package
                    .get(key)
                    .map(|value| (key.to_owned(), value.clone())),
            );
        }
        let edition = package
            .get("edition")
            .map(|edition| match inherits(edition) {
                true => self
                    .workspace()
                    .and_then(|all| all.get("package")?.get("edition")),
                false => Some(edition),
            });
        matters.extend(
            edition
                .flatten()
                .map(|edition| ("edition".to_owned(), edition.clone())),
        );
        for key in ["features", "cargo-features"] {
            matters.extend(table.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        for key in ["lib", "bin"] {
            matters.extend(table.get(key).map(|value| (key.to_owned(), target(value))));
        }
        member.targets = targets(table, package);
        matters.extend(self.dependencies(table, member)?);
        let platforms = table.get("target").and_then(Value::as_table);
        for (platform, table) in platforms.into_iter().flatten() {
            if let Some(table) = table.as_table() {
                let dependencies = self.dependencies(table, member)?;
                matters.insert(format!("target.{platform}"), Value::Table(dependencies));
            }
        }
        Ok(matters)
    }

    /// The normal and build dependencies of a table, inherited values filled in.
    fn dependencies(&self, table: &Table, member: &mut Member) -> Result<Table, CodeError> {
        let mut resolved = Table::new();
        for kind in ["dependencies", "build-dependencies"] {
            let Some(entries) = table.get(kind).and_then(Value::as_table) else {
                continue;
            };
            let mut list = Table::new();
            for (key, entry) in entries {
                let (mut entry, base) = self.inherit(key, entry, &member.folder);
                match entry.get("path").and_then(Value::as_str) {
                    Some(path) => {
                        let folder = below(&base, path).ok_or_else(|| CodeError::Outside {
                            package: member.name.clone(),
                            dependency: key.clone(),
                            path: path.to_owned(),
                        })?;
                        // Paths of the workspace's table are given relative to the pipeline's
                        // folder, as the names of files are.
                        if base.is_empty() && !self.folder.is_empty() {
                            let path = Value::String(join(&self.folder, &folder));
                            entry.insert("path".to_owned(), path);
                        }
                        member.path_folders.insert(folder);
                    }
                    None => {
                        let renamed = entry.get("package").and_then(Value::as_str);
                        member.externals.insert(renamed.unwrap_or(key).to_owned());
                    }
                }
                list.insert(key.clone(), Value::Table(entry));
            }
            resolved.insert(kind.to_owned(), Value::Table(list));
        }
        Ok(resolved)
    }

    /// A dependency as a table, `workspace = true` filled in, and the folder of its `path`.
    fn inherit(&self, key: &str, entry: &Value, folder: &str) -> (Table, String) {
        let own = as_table(entry);
        let shared = self
            .workspace()
            .filter(|_| inherits(entry))
            .and_then(|workspace| workspace.get("dependencies")?.get(key));
        let Some(shared) = shared else {
            return (own, folder.to_owned());
        };
        let mut merged = as_table(shared);
        for (field, value) in own {
            match (field.as_str(), &value, merged.get_mut("features")) {
                ("workspace", ..) => {}
                ("features", Value::Array(more), Some(Value::Array(features))) => {
                    features.extend(more.iter().cloned());
                }
                _ => {
                    merged.insert(field, value);
                }
            }
        }
        (merged, String::new())
    }
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// `"1.0"` is `{ version = "1.0" }`.
fn as_table(dependency: &Value) -> Table {
    match dependency {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    }
}

/// `[lib]`, or the list of `[[bin]]`, without what concerns tests and documentation only.
fn target(value: &Value) -> Value {
    match value {
        Value::Array(targets) => Value::Array(targets.iter().map(target).collect()),
        Value::Table(table) => {
            let mut table = table.clone();
            for key in [
                "test",
                "doctest",
                "bench",
                "doc",
                "doc-scrape-examples",
                "harness",
            ] {
                table.remove(key);
            }
            Value::Table(table)
        }
        other => other.clone(),
    }
}

/// Source files that `[lib]`, `[[bin]]` and `package.build` name.
fn targets(table: &Table, package: &Table) -> Vec<String> {
    let bins = table
        .get("bin")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let paths = table
        .get("lib")
        .into_iter()
        .chain(bins)
        .filter_map(|target| target.get("path"));
    let build = package.get("build");
    paths
        .chain(build)
        .filter_map(Value::as_str)
        .filter_map(normal)
        .collect()
}

/// A path in the manifest of `folder`, as one relative to the workspace.
fn below(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    normal(&join(folder, path))
}

/// A path relative to the workspace: empty for its own folder, `None` outside.
fn normal(path: &str) -> Option<String> {
    match RelPath::new(path) {
        Ok(path) => Some(path.as_str().to_owned()),
        Err(RelPathError::Empty) => Some(String::new()),
        Err(_) => None,
    }
}

/// The folders that a member pattern matches.
fn expand(root: &Path, pattern: &RelPath) -> Result<Vec<String>, CodeError> {
    let mut folders = vec![String::new()];
    for part in pattern.as_str().split('/') {
        if !Glob::is_glob(part) {
            folders
                .iter_mut()
                .for_each(|folder| *folder = join(folder, part));
            continue;
        }
        let malformed = |error: &dyn std::fmt::Display| CodeError::Malformed {
            path: root.join("Cargo.toml"),
            message: format!("workspace member `{pattern}`: {error}"),
        };
        if part == "**" {
            return Err(malformed(&"`**` is not supported here"));
        }
        let glob = Glob::new(part).map_err(|error| malformed(&error))?;
        let mut matched = Vec::new();
        for folder in folders {
            for name in fs::read_dir_if_exists(&root.join(&folder))? {
                let Some(name) = name.to_str() else { continue };
                if RelPath::new(name).is_ok_and(|name| glob.matches(&name)) {
                    matched.push(join(&folder, name));
                }
            }
        }
        folders = matched;
    }
    Ok(folders)
}
