//! `pixi.lock`: what one of a project's environments has on a platform, from conda and from PyPI.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::conda::{Address, PYPI, first_line, other_platform, without_secrets};
use crate::error::EnvironmentError;
use crate::installed::Installed;
use crate::names::{normal, same_version};
use crate::resolved::{Resolved, content};
use restage_core::digest::KeyPackage;

/// The versions of the format that are known.
const FORMATS: std::ops::RangeInclusive<u64> = 5..=7;

#[derive(Debug, Deserialize)]
struct Lock {
    version: u64,
    environments: BTreeMap<String, Environment>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Environment {
    #[serde(default)]
    packages: BTreeMap<String, Vec<Reference>>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    conda: Option<String>,
    pypi: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    // Since version 6.
    conda: Option<String>,
    pypi: Option<String>,
    // Version 5.
    url: Option<String>,
    path: Option<String>,
    name: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    md5: Option<String>,
}

impl Package {
    fn place(&self) -> Option<&str> {
        let places = [&self.conda, &self.pypi, &self.url, &self.path];
        places.into_iter().flatten().next().map(String::as_str)
    }

    fn hashes(&self) -> BTreeSet<String> {
        let md5 = self.md5.iter().map(|hash| format!("md5:{hash}"));
        let sha256 = self.sha256.iter().map(|hash| format!("sha256:{hash}"));
        md5.chain(sha256).collect()
    }
}

/// What the text of a lock file installs in one of its environments on a platform.
pub fn pixi_packages(
    file: &str,
    text: &str,
    environment: &str,
    platform: &str,
) -> Result<Resolved, EnvironmentError> {
    let malformed = |message: String| EnvironmentError::Malformed {
        file: file.to_owned(),
        message,
    };
    let lock: Lock = serde_saphyr::from_str(text).map_err(|error| malformed(first_line(&error)))?;
    if !FORMATS.contains(&lock.version) {
        let version = lock.version;
        return Err(malformed(format!(
            "version {version} of the format is not known here"
        )));
    }
    let Some(found) = lock.environments.get(environment) else {
        return Err(EnvironmentError::Unknown {
            file: file.to_owned(),
            what: "environment",
            name: environment.to_owned(),
            known: lock.environments.keys().cloned().collect(),
        });
    };
    let Some(references) = found.packages.get(platform) else {
        let all = found.packages.keys().map(String::as_str).collect();
        return Err(other_platform(file, platform, all));
    };
    let known: BTreeMap<&str, &Package> = lock
        .packages
        .iter()
        .filter_map(|package| Some((package.place()?, package)))
        .collect();
    let mut resolved = Resolved::default();
    for reference in references {
        let places = [&reference.conda, &reference.pypi];
        let Some(place) = places.into_iter().flatten().next() else {
            return Err(malformed(format!(
                "a package of environment `{environment}` is neither from conda nor from PyPI"
            )));
        };
        let Some(package) = known.get(place.as_str()) else {
            let place = without_secrets(place);
            return Err(malformed(format!("it does not describe `{place}`")));
        };
        let hashes = package.hashes();
        // A file of a channel that is a folder has a hash; restage's copy of the project finds it by a whole path.
        let is_file = place.starts_with('/') && reference.conda.is_some() && !hashes.is_empty();
        if !place.contains("://") && !is_file {
            return Err(EnvironmentError::Folder {
                file: file.to_owned(),
                package: package.name.clone().unwrap_or_else(|| place.clone()),
                path: place.clone(),
            });
        }
        if reference.conda.is_some() {
            let address = Address::of(place).ok_or_else(|| {
                let place = without_secrets(place);
                malformed(format!("`{place}` is not the address of a package"))
            })?;
            address.add(place, &hashes, &mut resolved);
            continue;
        }
        let Some(name) = &package.name else {
            let place = without_secrets(place);
            return Err(malformed(format!("it does not say what `{place}` is")));
        };
        let source = match hashes.is_empty() {
            true => without_secrets(place),
            false => String::new(),
        };
        let package = KeyPackage {
            version: package.version.clone().unwrap_or_default(),
            content: content(&source, &hashes),
        };
        resolved.add(&format!("{PYPI}{}", normal(name)), package);
    }
    Ok(resolved)
}

/// Compares the distributions that are installed with those that were to be. Others may be there: packages
/// from conda bring theirs.
pub fn check_pypi(
    file: &str,
    resolved: &Resolved,
    there: &Installed,
) -> Result<(), EnvironmentError> {
    let mut wrong = Vec::new();
    for (key, package) in &resolved.packages {
        let Some(name) = key.strip_prefix(PYPI) else {
            continue;
        };
        let wanted = &package.version;
        match there.0.get(name) {
            None => wrong.push(format!("`{name}` is missing")),
            Some(version) if !wanted.is_empty() && !same_version(version, wanted) => {
                wrong.push(format!("`{name}` is {version}, not {wanted}"));
            }
            Some(_) => {}
        }
    }
    EnvironmentError::unless_none(file, &wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOCK: &str = "
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h1_0.conda
      - pypi: https://files.org/numpy-2.2.6.whl
      osx-64:
      - conda: https://conda.anaconda.org/conda-forge/osx-64/python-3.12.1-h2_0.conda
  plot:
    packages:
      osx-64: []
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h1_0.conda
  sha256: aa
  md5: bb
  depends: [libc]
- conda: https://conda.anaconda.org/conda-forge/osx-64/python-3.12.1-h2_0.conda
  sha256: cc
- pypi: https://files.org/numpy-2.2.6.whl
  name: NumPy
  version: 2.2.6
  sha256: dd
";

    fn of(text: &str, environment: &str) -> Result<Resolved, EnvironmentError> {
        pixi_packages("pixi.lock", text, environment, "linux-64")
    }

    #[test]
    fn only_this_platforms_packages_count_by_their_hashes() {
        let one = of(LOCK, "default").unwrap();
        let names: Vec<(&str, &str)> = one
            .packages
            .iter()
            .map(|(name, package)| (name.as_str(), package.version.as_str()))
            .collect();
        assert_eq!(names, [("pypi/numpy", "2.2.6"), ("python", "3.12.1 h1_0")]);
        for (from, to) in [
            ("sha256: cc", "sha256: cd"),
            ("anaconda.org", "mirror.org"),
            ("[libc]", "[musl]"),
        ] {
            assert_eq!(
                of(&LOCK.replace(from, to), "default").unwrap(),
                one,
                "{from}"
            );
        }
        for (from, to) in [
            ("sha256: aa", "sha256: ab"),
            ("sha256: dd", "sha256: de"),
            ("h1_0", "h1_1"),
        ] {
            assert_ne!(
                of(&LOCK.replace(from, to), "default").unwrap(),
                one,
                "{from}"
            );
        }
    }

    #[test]
    fn the_format_before_counts_alike() {
        let older = LOCK
            .replace("version: 6", "version: 5")
            .replace("\n- conda: ", "\n- kind: conda\n  url: ")
            .replace("\n- pypi: ", "\n- kind: pypi\n  url: ");
        assert_eq!(of(&older, "default").unwrap(), of(LOCK, "default").unwrap());
    }

    #[test]
    fn a_file_that_rattler_wrote_is_understood() {
        let text = "version: 7
platforms:
- name: linux-64
- name: osx-64
environments:
  default:
    channels:
    - url: file:///srv/ch
    packages:
      linux-64:
      - conda: /srv/ch/noarch/a-1.0-h1_0.tar.bz2
      - conda: /srv/ch/noarch/b-2-0.tar.bz2
      - pypi: https://files.pythonhosted.org/packages/six-1.16.0-py2.py3-none-any.whl
packages:
- conda: /srv/ch/noarch/a-1.0-h1_0.tar.bz2
  subdir: noarch
  sha256: 14ff0655264dff4032d4916c962b10889e9fe8520187b2e22cf1c0ab5a31217d
  md5: fdbe58ba8db660382197db1245e1c688
  channel: file:///srv/ch
  license: MIT
  size: 570
  timestamp: 1000
- conda: /srv/ch/noarch/b-2-0.tar.bz2
  subdir: noarch
  sha256: 9eac2e73444861ad1d57479cca34fda2e56cf8153612f1e037b64831893faae4
- pypi: https://files.pythonhosted.org/packages/six-1.16.0-py2.py3-none-any.whl
  name: six
  version: 1.16.0
";
        let resolved = of(text, "default").unwrap();
        let names: Vec<&String> = resolved.packages.keys().collect();
        assert_eq!(names, ["a", "b", "pypi/six"]);
        // Elsewhere, the same files.
        assert_eq!(
            of(&text.replace("/srv", "/mnt"), "default").unwrap(),
            resolved
        );
        let error = of(&text.replace("conda: /srv", "conda: ./srv"), "default").unwrap_err();
        assert!(error.to_string().contains("is the folder"), "{error}");
    }

    #[test]
    fn what_cannot_be_installed_here_is_refused() {
        let refused = |text: &str, environment: &str, message: &str| {
            let error = of(text, environment).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.hint().is_some());
        };
        refused(LOCK, "plots", "has no environment `plots`");
        refused(LOCK, "plot", "it has nothing for linux-64");
        refused(
            &LOCK.replace("version: 6", "version: 9"),
            "default",
            "version 9 of the format",
        );
        refused(
            &LOCK.replace("https://files.org/numpy-2.2.6.whl", "./lib"),
            "default",
            "is the folder `./lib`",
        );
        let without = LOCK.replace(
            "- pypi: https://files.org/numpy-2.2.6.whl\n  name",
            "- pypi: https://f/a.whl\n  name",
        );
        refused(
            &without,
            "default",
            "it does not describe `https://files.org/numpy-2.2.6.whl`",
        );
        refused("version: [", "default", "cannot understand `pixi.lock`");
    }

    #[test]
    fn distributions_of_conda_may_be_there_and_those_of_pypi_must() {
        let wanted = of(LOCK, "default").unwrap();
        let check = |there: &[(&str, &str)]| {
            let owned =
                |(name, version): &(&str, &str)| ((*name).to_owned(), (*version).to_owned());
            let there = Installed(there.iter().map(owned).collect());
            check_pypi("pixi.lock", &wanted, &there).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[("numpy", "2.2.6"), ("pip", "24")]), Ok(()));
        let start = "what was installed is not what `pixi.lock` says: ";
        assert_eq!(check(&[]), Err(format!("{start}`numpy` is missing")));
        assert_eq!(
            check(&[("numpy", "2.2.7")]),
            Err(format!("{start}`numpy` is 2.2.7, not 2.2.6"))
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z:\\-{}\\[\\]# \n]{0,60}") {
            let _ = of(&text, "default");
        }
    }
}
