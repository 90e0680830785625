//! `uv.lock`: which packages it installs for some groups and extras on one platform.
//!
//! The project and other members of its workspace are not installed: their code is what the stages
//! declare. What their manifests depend on is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::EnvironmentError;
use crate::marker::{self, Context};
use crate::names::normal;
use crate::resolved::{Resolved, content};
use restage_core::digest::{Digest, KeyPackage};

/// The part of a project that is installed, besides its dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UvWanted {
    /// Groups of `[dependency-groups]`; no group is there by default.
    pub groups: BTreeSet<String>,
    /// Whether the groups are all: what the project itself depends on is left out.
    pub only_groups: bool,
    /// Extras of `[project.optional-dependencies]`.
    pub extras: BTreeSet<String>,
}

/// A lock file.
#[derive(Debug)]
pub struct UvLock {
    file: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Content {
    version: u64,
    #[serde(default)]
    requires_python: String,
    #[serde(default)]
    manifest: Manifest,
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Debug, Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    source: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    source: Option<BTreeMap<String, toml::Value>>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    hash: Option<String>,
    /// Relative to the folder that is the package's registry.
    path: Option<String>,
    url: Option<String>,
}

/// The versions of the format that are known.
const FORMATS: [u64; 1] = [1];

impl UvLock {
    /// Reads the text of `file`.
    pub fn parse(file: &str, text: &str) -> Result<Self, EnvironmentError> {
        let malformed = |message: String| EnvironmentError::Malformed {
            file: file.to_owned(),
            message,
        };
        let content: Content = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map_or(1, |before| before.matches('\n').count() + 1);
            malformed(format!("{} (line {line})", error.message()))
        })?;
        if !FORMATS.contains(&content.version) {
            let version = content.version;
            return Err(malformed(format!(
                "version {version} of the format is not known here"
            )));
        }
        Ok(Self {
            file: file.to_owned(),
            content,
        })
    }

    /// Which interpreters it is for.
    pub fn requires_python(&self) -> &str {
        &self.content.requires_python
    }

    /// What is installed for an interpreter. `hash_file` digests a file that lies beside the lock file;
    /// it takes a path relative to that one's folder, or an absolute one.
    pub fn resolve(
        &self,
        wanted: &UvWanted,
        variables: &BTreeMap<String, String>,
        hash_file: &dyn Fn(&str) -> Result<Option<Digest>, EnvironmentError>,
    ) -> Result<Resolved, EnvironmentError> {
        let root = self.root()?;
        let package = &self.content.packages[root];
        self.check("group", &wanted.groups, &package.dev_dependencies)?;
        self.check("extra", &wanted.extras, &package.optional_dependencies)?;
        let name = &package.name;
        let conflicts = |kind: &'static str, names: &BTreeSet<String>| -> Vec<String> {
            let all = names.iter();
            all.map(|one| format!("{kind}-{}-{name}-{one}", name.len()))
                .collect()
        };
        let mut given: BTreeSet<String> = wanted.extras.clone();
        given.extend(conflicts("extra", &wanted.extras));
        given.extend(conflicts("group", &wanted.groups));
        let mut walk = Walk {
            lock: self,
            context: Context {
                variables,
                extras: &given,
            },
            seen: BTreeMap::new(),
            queue: Vec::new(),
            conditions: BTreeSet::new(),
        };
        if !wanted.only_groups {
            walk.visit(root, wanted.extras.iter().cloned().collect(), true);
        }
        for group in &wanted.groups {
            for dependency in &package.dev_dependencies[group] {
                walk.follow(dependency, true);
            }
        }
        walk.carry_out();
        let mut resolved = Resolved {
            conditions: walk.conditions,
            ..Resolved::default()
        };
        for (at, sure) in walk.seen {
            self.add(at, sure, &mut resolved, hash_file)?;
        }
        Ok(resolved)
    }

    /// The project beside the lock file.
    fn root(&self) -> Result<usize, EnvironmentError> {
        let packages = self.content.packages.iter();
        let is_root = |package: &Package| {
            let folders = ["virtual", "editable", "directory"].iter();
            folders
                .into_iter()
                .any(|kind| text(&package.source, kind) == Some("."))
        };
        let mut roots = packages.enumerate().filter(|(_, package)| is_root(package));
        roots.next().map(|(at, _)| at).ok_or_else(|| EnvironmentError::Malformed {
            file: self.file.clone(),
            message: "it has no package for the project in its folder; a workspace without `[project]` \
                      can't be installed, its members can"
                .to_owned(),
        })
    }

    fn check(
        &self,
        what: &'static str,
        wanted: &BTreeSet<String>,
        there: &BTreeMap<String, Vec<Dependency>>,
    ) -> Result<(), EnvironmentError> {
        let Some(name) = wanted.iter().find(|name| !there.contains_key(*name)) else {
            return Ok(());
        };
        Err(EnvironmentError::Unknown {
            file: self.file.clone(),
            what,
            name: name.clone(),
            known: there.keys().cloned().collect(),
        })
    }

    fn is_member(&self, package: &Package) -> bool {
        let members = &self.content.manifest.members;
        members.contains(&package.name)
            || text(&package.source, "virtual").is_some()
            || ["editable", "directory"]
                .iter()
                .any(|kind| text(&package.source, kind) == Some("."))
    }

    fn add(
        &self,
        at: usize,
        sure: bool,
        resolved: &mut Resolved,
        hash_file: &dyn Fn(&str) -> Result<Option<Digest>, EnvironmentError>,
    ) -> Result<(), EnvironmentError> {
        let package = &self.content.packages[at];
        if self.is_member(package) {
            return Ok(());
        }
        let source = &package.source;
        for kind in ["editable", "directory"] {
            if let Some(path) = text(source, kind) {
                return Err(EnvironmentError::Folder {
                    file: self.file.clone(),
                    package: package.name.clone(),
                    path: path.to_owned(),
                });
            }
        }
        let registry = text(source, "registry");
        let mut hashes = BTreeSet::new();
        for file in package.sdist.iter().chain(&package.wheels) {
            if let Some(hash) = &file.hash {
                hashes.insert(hash.clone());
                continue;
            }
            let beside = match (&file.path, registry) {
                (Some(path), Some(folder)) => Some(joined(folder, path)),
                (Some(path), None) => Some(path.clone()),
                (None, _) => None,
            };
            match beside {
                Some(path) => {
                    let content = Resolved::local(hash_file(&path)?);
                    hashes.insert(format!("{} {content}", base_name(&path)));
                    resolved.files.insert(path);
                }
                // An address alone.
                None => drop(hashes.insert(file.url.clone().unwrap_or_default())),
            }
        }
        if let Some(path) = text(source, "path")
            && hashes.is_empty()
        {
            let content = Resolved::local(hash_file(path)?);
            hashes.insert(format!("{} {content}", base_name(path)));
            resolved.files.insert(path.to_owned());
        }
        // Where an index lies decides nothing: its files have hashes.
        let from: Vec<String> = match registry.is_some() || text(source, "path").is_some() {
            true => Vec::new(),
            false => source
                .iter()
                .map(|(kind, value)| format!("{kind} {value}"))
                .collect(),
        };
        let key = KeyPackage {
            version: package.version.clone(),
            content: content(&from.join(" "), &hashes),
        };
        let name = normal(&package.name);
        resolved.add(&name, key);
        if !sure {
            resolved.unsure.insert(name);
        }
        Ok(())
    }
}

fn text<'a>(source: &'a BTreeMap<String, toml::Value>, kind: &str) -> Option<&'a str> {
    source.get(kind)?.as_str()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn joined(folder: &str, path: &str) -> String {
    let folder = folder.strip_prefix("file://").unwrap_or(folder);
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", folder.trim_end_matches('/')),
    }
}

struct Walk<'a> {
    lock: &'a UvLock,
    context: Context<'a>,
    /// By place in the lock file: whether it is certain that it is installed.
    seen: BTreeMap<usize, bool>,
    /// A package, extras of it, and whether it is certain.
    queue: Vec<(usize, Vec<String>, bool)>,
    conditions: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, at: usize, extras: Vec<String>, sure: bool) {
        self.queue.push((at, extras, sure));
    }

    fn carry_out(&mut self) {
        let mut done = BTreeSet::new();
        while let Some((at, extras, sure)) = self.queue.pop() {
            let known = self.seen.entry(at).or_insert(sure);
            *known |= sure;
            let package = &self.lock.content.packages[at];
            if done.insert((at, String::new(), sure)) {
                for dependency in &package.dependencies {
                    self.follow(dependency, sure);
                }
            }
            for extra in extras {
                if !done.insert((at, extra.clone(), sure)) {
                    continue;
                }
                for dependency in package
                    .optional_dependencies
                    .get(&extra)
                    .into_iter()
                    .flatten()
                {
                    self.follow(dependency, sure);
                }
            }
        }
    }

    fn follow(&mut self, dependency: &Dependency, sure: bool) {
        let holds = match &dependency.marker {
            None => Some(true),
            Some(marker) => marker::holds(marker, self.context),
        };
        if holds == Some(false) {
            return;
        }
        if let (None, Some(marker)) = (holds, &dependency.marker) {
            self.conditions
                .insert(format!("{}: {marker}", dependency.name));
        }
        let packages = self.lock.content.packages.iter().enumerate();
        let named: Vec<usize> = packages
            .filter(|(_, package)| package.name == dependency.name)
            .filter(|(_, package)| {
                dependency
                    .version
                    .as_ref()
                    .is_none_or(|v| *v == package.version)
            })
            .filter(|(_, package)| {
                dependency
                    .source
                    .as_ref()
                    .is_none_or(|s| *s == package.source)
            })
            .map(|(at, _)| at)
            .collect();
        let sure = sure && holds == Some(true) && named.len() == 1;
        for at in named {
            self.visit(at, dependency.extra.clone(), sure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
revision = 3
requires-python = ">=3.9"

[manifest]
members = ["demo", "member"]

[[package]]
name = "numpy"
version = "2.0.2"
source = { registry = "https://pypi.org/simple" }
resolution-markers = ["python_full_version < '3.10'"]
wheels = [{ url = "https://x/numpy-2.0.2.whl", hash = "sha256:aa" }]

[[package]]
name = "numpy"
version = "2.2.6"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://x/numpy-2.2.6.tar.gz", hash = "sha256:bb" }
wheels = [{ url = "https://x/numpy-2.2.6.whl", hash = "sha256:cc" }]

[[package]]
name = "colorama"
version = "0.4"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/colorama.whl", hash = "sha256:dd" }]

[[package]]
name = "tqdm"
version = "4.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }]
wheels = [{ url = "https://x/tqdm.whl", hash = "sha256:ee" }]
[package.optional-dependencies]
notebook = [{ name = "widgets" }]

[[package]]
name = "widgets"
version = "8.0"
source = { git = "https://git/widgets?rev=v8#0123" }

[[package]]
name = "beside"
version = "1.0"
source = { registry = "wheels" }
wheels = [{ path = "beside-1.0-py3-none-any.whl" }]

[[package]]
name = "member"
version = "0.1.0"
source = { editable = "packages/member" }
dependencies = [{ name = "beside" }]

[[package]]
name = "demo"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "member" },
    { name = "numpy", version = "2.0.2", source = { registry = "https://pypi.org/simple" }, marker = "python_full_version < '3.10'" },
    { name = "numpy", version = "2.2.6", source = { registry = "https://pypi.org/simple" }, marker = "python_full_version >= '3.10'" },
    { name = "tqdm" },
]
[package.optional-dependencies]
all = [{ name = "tqdm", extra = ["notebook"] }]
[package.dev-dependencies]
dev = [{ name = "colorama" }]
"#;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [("python_full_version", "3.11.7"), ("sys_platform", "linux")];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn resolve(text: &str, groups: &[&str], extras: &[&str]) -> Result<Resolved, EnvironmentError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = UvWanted {
            groups: owned(groups),
            only_groups: false,
            extras: owned(extras),
        };
        let hash = |path: &str| {
            Ok((path == "wheels/beside-1.0-py3-none-any.whl").then(|| Digest::of(b"w")))
        };
        UvLock::parse("uv.lock", text)?.resolve(&wanted, &variables(), &hash)
    }

    fn versions(resolved: &Resolved) -> Vec<String> {
        let packages = resolved.packages.iter();
        packages
            .map(|(name, package)| format!("{name} {}", package.version))
            .collect()
    }

    #[test]
    fn what_this_platform_and_these_groups_get_is_what_counts() {
        let plain = resolve(LOCK, &[], &[]).unwrap();
        assert_eq!(versions(&plain), ["beside 1.0", "numpy 2.2.6", "tqdm 4.0"]);
        assert!(plain.unsure.is_empty() && plain.conditions.is_empty());
        let dev = resolve(LOCK, &["dev"], &[]).unwrap();
        assert!(versions(&dev).contains(&"colorama 0.4".to_owned()));
        let all = resolve(LOCK, &[], &["all"]).unwrap();
        assert!(versions(&all).contains(&"widgets 8.0".to_owned()));
    }

    #[test]
    fn groups_that_are_all_leave_out_what_the_project_depends_on() {
        let lock = UvLock::parse("uv.lock", LOCK).unwrap();
        let of = |groups: &[&str]| {
            let wanted = UvWanted {
                groups: groups.iter().map(|name| (*name).to_owned()).collect(),
                only_groups: true,
                extras: BTreeSet::new(),
            };
            lock.resolve(&wanted, &variables(), &|_| Ok(None))
        };
        assert_eq!(versions(&of(&["dev"]).unwrap()), ["colorama 0.4"]);
        let error = of(&["dve"]).unwrap_err().to_string();
        assert_eq!(error, "`uv.lock` has no group `dve`");
    }

    #[test]
    fn what_is_not_installed_here_changes_nothing_and_what_is_does() {
        let before = resolve(LOCK, &[], &[]).unwrap();
        let after = |from: &str, to: &str| {
            assert!(LOCK.contains(from));
            resolve(&LOCK.replace(from, to), &[], &[]).unwrap()
        };
        for (from, to) in [
            ("version = \"2.0.2\"\nsource", "version = \"2.0.3\"\nsource"),
            ("sha256:aa", "sha256:ab"),
            ("sha256:dd", "sha256:de"),
            ("widgets?rev=v8#0123", "widgets?rev=v9#4567"),
            ("revision = 3", "revision = 4"),
            ("https://pypi.org/simple", "https://mirror.org/simple"),
        ] {
            assert_eq!(after(from, to), before, "{from}");
        }
        for (from, to) in [("sha256:cc", "sha256:cd"), ("sha256:bb", "sha256:bc")] {
            assert_ne!(after(from, to), before, "{from}");
        }
        let newer = after("2.2.6", "2.4.6");
        assert_eq!(versions(&newer), ["beside 1.0", "numpy 2.4.6", "tqdm 4.0"]);
    }

    #[test]
    fn a_wheel_beside_the_lock_counts_by_its_bytes() {
        let before = resolve(LOCK, &[], &[]).unwrap();
        assert_eq!(
            before.files.iter().collect::<Vec<_>>(),
            ["wheels/beside-1.0-py3-none-any.whl"]
        );
        let lock = UvLock::parse("uv.lock", LOCK).unwrap();
        let other = lock.resolve(&UvWanted::default(), &variables(), &|_| {
            Ok(Some(Digest::of(b"x")))
        });
        assert_ne!(other.unwrap().packages, before.packages);
    }

    #[test]
    fn a_commit_counts() {
        let one = resolve(LOCK, &[], &["all"]).unwrap();
        let other = resolve(&LOCK.replace("#0123", "#4567"), &[], &["all"]).unwrap();
        assert_ne!(one.packages["widgets"], other.packages["widgets"]);
    }

    #[test]
    fn a_condition_that_is_not_understood_counts_with_its_text() {
        let odd = LOCK.replace("sys_platform == 'win32'", "platform_release == '6'");
        let resolved = resolve(&odd, &[], &[]).unwrap();
        assert!(resolved.packages.contains_key("colorama"));
        assert_eq!(resolved.unsure.iter().collect::<Vec<_>>(), ["colorama"]);
        let conditions: Vec<&String> = resolved.conditions.iter().collect();
        assert_eq!(conditions, ["colorama: platform_release == '6'"]);
    }

    #[test]
    fn folders_and_unknown_names_are_refused() {
        let folder = LOCK.replace("{ registry = \"wheels\" }", "{ directory = \"../lib\" }");
        let error = resolve(&folder, &[], &[]).unwrap_err();
        assert!(
            error.to_string().contains("is the folder `../lib`"),
            "{error}"
        );
        let error = resolve(LOCK, &["dve"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "`uv.lock` has no group `dve`");
        assert_eq!(error.hint().unwrap(), "did you mean `dev`?");
        let error = resolve(LOCK, &[], &["gpu"]).unwrap_err();
        assert!(error.hint().unwrap().contains("it has the extras: `all`"));
    }

    #[test]
    fn a_file_that_is_not_uvs_is_refused_with_its_line() {
        let error = resolve("version = 1\n[[package]]\nname = 3\n", &[], &[]).unwrap_err();
        assert!(error.to_string().contains("(line 3)"), "{error}");
        let error = resolve("version = 9\n", &[], &[]).unwrap_err();
        assert!(
            error.to_string().contains("version 9 of the format"),
            "{error}"
        );
        let error = resolve("version = 1\n", &[], &[]).unwrap_err();
        assert!(
            error.to_string().contains("no package for the project"),
            "{error}"
        );
    }
}
