//! What is installed in a Python environment, and whether that is what the lock file says.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::EnvironmentError;
use crate::names::{normal, same_version};
use crate::resolved::Resolved;
use restage_core::fs;

/// Versions of what is installed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed(pub BTreeMap<String, String>);

/// Looks into an environment's `site-packages`.
pub fn installed(environment: &Path) -> Result<Installed, EnvironmentError> {
    let mut found = BTreeMap::new();
    let lib = environment.join("lib");
    for folder in fs::read_dir_if_exists(&lib)? {
        let packages = lib.join(folder).join("site-packages");
        for name in fs::read_dir_if_exists(&packages)? {
            let named = name.to_str().and_then(|name| {
                let (name, version) = name.strip_suffix(".dist-info")?.rsplit_once('-')?;
                Some((normal(name), version.to_owned()))
            });
            found.extend(named);
        }
    }
    Ok(Installed(found))
}

impl Installed {
    /// Compares it with what `file` says. Then the key has all that is there: a package too many, or
    /// another version, would be in no key.
    pub fn check(&self, file: &str, wanted: &Resolved) -> Result<(), EnvironmentError> {
        let mut wrong = Vec::new();
        for (name, version) in &self.0 {
            let entry = |(key, _): &(&String, _)| key.split(' ').next() == Some(name);
            let mut entries = wanted.packages.iter().filter(entry).peekable();
            if entries.peek().is_none() {
                wrong.push(format!("`{name}` {version} is there too"));
            } else if !entries.clone().any(|(_, package)| {
                // A commit may have no version of its own.
                package.version.is_empty() || same_version(&package.version, version)
            }) {
                let expected: Vec<&str> = entries
                    .map(|(_, package)| package.version.as_str())
                    .collect();
                wrong.push(format!(
                    "`{name}` is {version}, not {}",
                    expected.join(" or ")
                ));
            }
        }
        for name in wanted.packages.keys() {
            if !name.contains(' ') && !wanted.unsure.contains(name) && !self.0.contains_key(name) {
                wrong.push(format!("`{name}` is missing"));
            }
        }
        EnvironmentError::unless_none(file, &wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_core::digest::{Digest, KeyPackage};

    fn wanted(packages: &[(&str, &str)], unsure: &[&str]) -> Resolved {
        let mut resolved = Resolved::default();
        for (name, version) in packages {
            let package = KeyPackage {
                version: (*version).to_owned(),
                content: Digest::of(version.as_bytes()),
            };
            resolved.add(name, package);
        }
        resolved
            .unsure
            .extend(unsure.iter().map(|name| (*name).to_owned()));
        resolved
    }

    fn check(there: &[(&str, &str)], wanted: &Resolved) -> String {
        let owned = |(name, version): &(&str, &str)| ((*name).to_owned(), (*version).to_owned());
        let installed = Installed(there.iter().map(owned).collect());
        installed
            .check("uv.lock", wanted)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_package_too_many_too_few_or_of_another_version_is_named() {
        let two = wanted(&[("a", "1.0"), ("b", "2")], &[]);
        assert_eq!(check(&[("a", "1.0.0"), ("b", "2")], &two), "");
        let start = "what was installed is not what `uv.lock` says: ";
        assert_eq!(
            check(&[("a", "1.0")], &two),
            format!("{start}`b` is missing")
        );
        assert_eq!(
            check(&[("a", "1.1"), ("b", "2")], &two),
            format!("{start}`a` is 1.1, not 1.0")
        );
        let three = [("a", "1"), ("b", "2"), ("pip", "24")];
        assert_eq!(check(&three, &two), format!("{start}`pip` 24 is there too"));
    }

    #[test]
    fn what_is_not_sure_may_be_there_or_not_in_either_version() {
        let unsure = wanted(&[("a", "1"), ("a", "2")], &["a"]);
        for there in [&[][..], &[("a", "1")], &[("a", "2")]] {
            assert_eq!(check(there, &unsure), "");
        }
        assert_ne!(check(&[("a", "3")], &unsure), "");
    }

    #[test]
    fn names_are_read_as_indexes_spell_them() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("lib/python3.11/site-packages");
        for name in [
            "Ruamel.Yaml-0.18.dist-info",
            "a_b-1.0+cpu.dist-info",
            "a_b",
            "x.egg-info",
        ] {
            std::fs::create_dir_all(packages.join(name)).unwrap();
        }
        let found = installed(dir.path()).unwrap().0;
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, [("a-b", "1.0+cpu"), ("ruamel-yaml", "0.18")]);
    }
}
