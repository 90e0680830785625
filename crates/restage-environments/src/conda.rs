//! What conda and its relatives install: explicit lists of addresses, and `conda-lock.yml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::error::EnvironmentError;
use crate::resolved::{Resolved, content};
use restage_core::digest::KeyPackage;
use restage_core::fs;

/// The line that makes a list explicit.
const EXPLICIT: &str = "@EXPLICIT";
/// The part of a `conda-lock.yml` that is installed.
const MAIN: &str = "main";

/// Before the names of packages that come from PyPI.
pub(crate) const PYPI: &str = "pypi/";

/// Packages for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CondaPackages {
    /// As keys have them.
    pub resolved: Resolved,
    /// The explicit list that installs them.
    pub list: String,
}

/// What conda calls this platform; `None` where it has no name for it.
pub fn conda_platform() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-64"),
        ("linux", "aarch64") => Some("linux-aarch64"),
        ("linux", "powerpc64") => Some("linux-ppc64le"),
        ("macos", "x86_64") => Some("osx-64"),
        ("macos", "aarch64") => Some("osx-arm64"),
        _ => None,
    }
}

/// What the text of a lock file installs on a platform.
pub fn conda_packages(
    file: &str,
    text: &str,
    platform: &str,
) -> Result<CondaPackages, EnvironmentError> {
    match text.lines().any(|line| line.trim() == EXPLICIT) {
        true => of_list(file, text, platform),
        false => of_lock(file, text, platform),
    }
}

/// A package's file, as its address names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) name: &'a str,
    version: &'a str,
    build: &'a str,
    pub(crate) platform: &'a str,
}

impl<'a> Address<'a> {
    /// `https://host/channel/linux-64/name-version-build.conda`.
    pub(crate) fn of(url: &'a str) -> Option<Self> {
        // In a list it is a line, and a hash may follow.
        if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return None;
        }
        let (folder, file) = url.rsplit_once('/')?;
        let platform = folder.rsplit('/').next()?;
        let stem = file
            .strip_suffix(".conda")
            .or_else(|| file.strip_suffix(".tar.bz2"))?;
        let (rest, build) = stem.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        let whole = [name, version, build, platform];
        whole.iter().all(|part| !part.is_empty()).then_some(Self {
            name,
            version,
            build,
            platform,
        })
    }

    /// Two builds of one version are different packages.
    pub(crate) fn add(&self, url: &str, hashes: &BTreeSet<String>, resolved: &mut Resolved) {
        let mut source = String::new();
        // A file with a hash is the same wherever it comes from.
        if hashes.is_empty() {
            source = without_secrets(url);
            resolved.unhashed.insert(self.name.to_owned());
        }
        let package = KeyPackage {
            version: format!("{} {}", self.version, self.build),
            content: content(&source, hashes),
        };
        resolved.add(self.name, package);
    }
}

/// An address without the name, password or token of who may fetch it; other texts as they are.
pub(crate) fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or(host);
    let token = path
        .strip_prefix("t/")
        .and_then(|rest| rest.split_once('/'));
    let path = token.map_or(path, |(_token, path)| path);
    format!("{scheme}://{host}/{path}")
}

fn of_list(file: &str, text: &str, platform: &str) -> Result<CondaPackages, EnvironmentError> {
    let mut resolved = Resolved::default();
    let mut list = format!("{EXPLICIT}\n");
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == EXPLICIT {
            continue;
        }
        let wrong = |problem: String, hint: &str| EnvironmentError::Line {
            file: file.to_owned(),
            line: at + 1,
            text: without_secrets(line),
            problem,
            hint: hint.to_owned(),
        };
        let (url, hash) = match line.split_once('#') {
            Some((url, hash)) => (url, Some(hash)),
            None => (line, None),
        };
        let hint =
            "`conda list --explicit --md5` and `micromamba env export --explicit` write such lists";
        let address = Address::of(url).filter(|_| url.contains("://"));
        let Some(address) = address else {
            return Err(wrong("is not the address of a package".to_owned(), hint));
        };
        let hashes: BTreeSet<String> = match hash.map(known_hash) {
            None => BTreeSet::new(),
            Some(Some(hash)) => [hash].into(),
            Some(None) => return Err(wrong("ends in what is not a hash".to_owned(), hint)),
        };
        if hashes.is_empty() && url.starts_with("file:") {
            let problem = "is a file without a hash, which may have other bytes tomorrow";
            return Err(wrong(problem.to_owned(), hint));
        }
        if ![platform, "noarch"].contains(&address.platform) {
            let problem = format!(
                "is for {}, and this machine is {platform}",
                address.platform
            );
            let hint = "an explicit list is for one platform: write one here, or use `conda-lock.yml` or pixi";
            return Err(wrong(problem, hint));
        }
        address.add(url, &hashes, &mut resolved);
        let _ = writeln!(list, "{line}");
    }
    Ok(CondaPackages { resolved, list })
}

/// `md5:..` or `sha256:..` of what may stand behind an address.
fn known_hash(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = digits.to_ascii_lowercase();
    match digits.len() {
        32 if hex && !text.starts_with("sha256:") => Some(format!("md5:{digits}")),
        64 if hex => Some(format!("sha256:{digits}")),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
struct Lock {
    version: u64,
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manager: String,
    platform: String,
    url: String,
    #[serde(default)]
    hash: BTreeMap<String, Option<String>>,
    #[serde(default = "main")]
    category: String,
}

fn main() -> String {
    MAIN.to_owned()
}

fn of_lock(file: &str, text: &str, platform: &str) -> Result<CondaPackages, EnvironmentError> {
    let malformed = |message: String| EnvironmentError::Malformed {
        file: file.to_owned(),
        message,
    };
    let open = text
        .lines()
        .any(|line| line.trim_end() == "dependencies:" || line.starts_with("channels:"));
    if open && !text.lines().any(|line| line.trim_end() == "package:") {
        return Err(EnvironmentError::Unsupported {
            file: file.to_owned(),
            what: "it leaves versions open".to_owned(),
            hint: "name a lock file: `conda-lock` writes `conda-lock.yml`, and `conda list --explicit --md5 > conda.txt` \
                   lists what is installed"
                .to_owned(),
        });
    }
    let lock: Lock = serde_saphyr::from_str(text).map_err(|error| malformed(first_line(&error)))?;
    if lock.version != 1 {
        let version = lock.version;
        return Err(malformed(format!(
            "version {version} of the format is not known here"
        )));
    }
    let mut resolved = Resolved::default();
    let mut list = format!("{EXPLICIT}\n");
    let here = |package: &&Package| package.platform == platform;
    if !lock.package.iter().any(|package| here(&package)) {
        let all: BTreeSet<&str> = lock.package.iter().map(|it| it.platform.as_str()).collect();
        return Err(other_platform(file, platform, all));
    }
    for package in lock.package.iter().filter(here) {
        if package.category != MAIN {
            continue;
        }
        if package.manager != "conda" {
            return Err(EnvironmentError::Unsupported {
                file: file.to_owned(),
                what: format!("`{}` comes from {}", package.name, package.manager),
                hint: "restage installs conda's packages of it alone: use pixi for both (`pixi init --import \
                       environment.yml`), or take the others out"
                    .to_owned(),
            });
        }
        let address = Address::of(&package.url);
        let is_its_own = |address: &Address<'_>| {
            address.name == package.name
                && [platform, "noarch"].contains(&address.platform)
                && package.url.contains("://")
        };
        let (name, url) = (&package.name, without_secrets(&package.url));
        let Some(address) = address.filter(is_its_own) else {
            return Err(malformed(format!(
                "`{url}` is not the address of `{name}` for {platform}"
            )));
        };
        let hashes = package.hash.iter();
        let hashes = hashes
            .filter_map(|(kind, hash)| Some(format!("{kind}:{}", hash.as_ref()?)))
            .collect();
        address.add(&package.url, &hashes, &mut resolved);
        // All installers know this form, and conda-lock requires MD5.
        let md5 = package.hash.get("md5").and_then(Option::as_ref);
        let Some(md5) =
            md5.filter(|md5| known_hash(md5).is_some_and(|hash| hash.starts_with("md5")))
        else {
            return Err(malformed(format!("it has no MD5 of `{url}`")));
        };
        let _ = writeln!(list, "{}#{md5}", package.url);
    }
    Ok(CondaPackages { resolved, list })
}

pub(crate) fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    text.lines().next().unwrap_or(text).to_owned()
}

pub(crate) fn other_platform(file: &str, platform: &str, all: BTreeSet<&str>) -> EnvironmentError {
    let all: Vec<&str> = all.into_iter().collect();
    EnvironmentError::Unsupported {
        file: file.to_owned(),
        what: format!("it has nothing for {platform}"),
        hint: format!(
            "it is for {}: add {platform} to its platforms and lock again",
            all.join(", ")
        ),
    }
}

/// What is written beside each package that is installed.
#[derive(Debug, Deserialize)]
struct Meta {
    name: String,
    version: String,
    build: String,
    md5: Option<String>,
    sha256: Option<String>,
}

/// Compares what is installed in a folder with what was to be. `file` is where that was read.
pub fn check_conda(file: &str, resolved: &Resolved, at: &Path) -> Result<(), EnvironmentError> {
    let packages = resolved.packages.iter();
    let wanted: BTreeMap<&str, &KeyPackage> = packages
        .filter(|(name, _)| !name.starts_with(PYPI))
        .map(|(name, package)| (name.as_str(), package))
        .collect();
    let folder = at.join("conda-meta");
    let mut there = BTreeSet::new();
    let mut wrong = Vec::new();
    for name in fs::read_dir_if_exists(&folder)? {
        let path = folder.join(&name);
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let bytes = fs::read_if_exists(&path)?.unwrap_or_default();
        let Ok(meta) = serde_json::from_slice::<Meta>(&bytes) else {
            wrong.push(format!("`{}` can't be read", path.display()));
            continue;
        };
        let version = format!("{} {}", meta.version, meta.build);
        match wanted.get(meta.name.as_str()) {
            None => wrong.push(format!("`{}` {version} is there too", meta.name)),
            Some(package) if package.version != version => wrong.push(format!(
                "`{}` is {version}, not {}",
                meta.name, package.version
            )),
            Some(package) if !resolved.unhashed.contains(&meta.name) && !meta.may_be(package) => {
                wrong.push(format!("`{}` has another hash", meta.name));
            }
            Some(_) => {}
        }
        there.insert(meta.name);
    }
    let missing = wanted.keys().filter(|name| !there.contains(**name));
    wrong.extend(missing.map(|name| format!("`{name}` is missing")));
    EnvironmentError::unless_none(file, &wrong)
}

impl Meta {
    /// Whether its hashes are those of a package; one of which they are not known may be any.
    fn may_be(&self, package: &KeyPackage) -> bool {
        let md5 = self.md5.as_ref().map(|hash| format!("md5:{hash}"));
        let sha256 = self.sha256.as_ref().map(|hash| format!("sha256:{hash}"));
        let (Some(md5), Some(sha256)) = (md5, sha256) else {
            return true;
        };
        let both = BTreeSet::from([md5.clone(), sha256.clone()]);
        let sets = [both, [md5].into(), [sha256].into()];
        sets.iter().any(|set| content("", set) == package.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &str = "# platform: linux-64
@EXPLICIT
https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-hab00c5b_1_cpython.conda#0123456789abcdef0123456789abcdef
https://conda.anaconda.org/conda-forge/noarch/tzdata-2024a-h0c530f3_0.conda#fedcba9876543210fedcba9876543210
";
    const LOCK: &str = "
version: 1
metadata:
  platforms: [linux-64, osx-64]
package:
- name: python
  version: 3.12.1
  manager: conda
  platform: linux-64
  url: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-hab00c5b_1_cpython.conda
  hash:
    md5: 0123456789abcdef0123456789abcdef
    sha256: aa
  category: main
  optional: false
- name: pytest
  version: '8.0'
  manager: conda
  platform: linux-64
  url: https://conda.anaconda.org/conda-forge/noarch/pytest-8.0-pyhd8ed1ab_0.conda
  hash: {md5: 00000000000000000000000000000000, sha256: null}
  category: dev
- name: python
  version: 3.12.1
  manager: conda
  platform: osx-64
  url: https://conda.anaconda.org/conda-forge/osx-64/python-3.12.1-h1_1_cpython.conda
  hash: {md5: 11111111111111111111111111111111}
  category: main
";

    fn of(text: &str) -> Result<CondaPackages, EnvironmentError> {
        conda_packages("conda.txt", text, "linux-64")
    }

    fn versions(packages: &CondaPackages) -> Vec<String> {
        let all = packages.resolved.packages.iter();
        all.map(|(name, package)| format!("{name} {}", package.version))
            .collect()
    }

    #[test]
    fn a_list_counts_by_builds_and_hashes_and_not_by_channel_or_order() {
        let one = of(LIST).unwrap();
        let python = "python 3.12.1 hab00c5b_1_cpython";
        assert_eq!(versions(&one), [python, "tzdata 2024a h0c530f3_0"]);
        assert_eq!(one.list, LIST.split_once('\n').unwrap().1);
        let mirror = LIST.replace("conda.anaconda.org/conda-forge", "mirror.org/forge");
        assert_eq!(of(&mirror).unwrap().resolved, one.resolved);
        for (from, to) in [
            ("cpython.", "cpypy."),
            ("#0123", "#1123"),
            ("3.12.1", "3.12.2"),
        ] {
            let other = of(&LIST.replace(from, to)).unwrap();
            assert_ne!(other.resolved.packages, one.resolved.packages, "{from}");
        }
    }

    #[test]
    fn without_a_hash_the_address_counts_but_not_who_may_fetch_it() {
        let plain =
            |host: &str| of(&format!("@EXPLICIT\nhttps://{host}/c/noarch/a-1-0.conda\n")).unwrap();
        let one = plain("host");
        assert_eq!(plain("me:secret@host").resolved, one.resolved);
        assert_eq!(plain("host/t/secret").resolved, one.resolved);
        assert_ne!(plain("other").resolved, one.resolved);
        let error = of("@EXPLICIT\nhttps://me:secret@host/t/secret/c/x\n").unwrap_err();
        let text = "`conda.txt`, line 2: `https://host/c/x` is not the address of a package";
        assert_eq!(error.to_string(), text);
        assert!(one.resolved.unhashed.contains("a"));
    }

    #[test]
    fn of_a_lock_only_this_platform_and_the_main_packages_count() {
        let one = of(LOCK).unwrap();
        assert_eq!(versions(&one), ["python 3.12.1 hab00c5b_1_cpython"]);
        assert!(
            one.list
                .ends_with("cpython.conda#0123456789abcdef0123456789abcdef\n")
        );
        for (from, to) in [
            ("md5: 11", "md5: 12"),
            ("pytest-8.0", "pytest-8.1"),
            ("md5: 00", "md5: 01"),
        ] {
            assert_eq!(of(&LOCK.replace(from, to)).unwrap(), one, "{from}");
        }
        assert_ne!(of(&LOCK.replace("sha256: aa", "sha256: ab")).unwrap(), one);
    }

    #[test]
    fn what_cannot_be_installed_here_is_refused_and_says_what_to_do() {
        let refused = |text: &str, message: &str| {
            let error = of(text).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.hint().is_some());
        };
        refused(
            &LIST.replace("linux-64/python", "osx-64/python"),
            "line 3: ",
        );
        refused(
            &LIST.replace("linux-64/python", "osx-64/python"),
            "is for osx-64, and this machine is linux-64",
        );
        refused("@EXPLICIT\nnumpy=1.2\n", "is not the address of a package");
        refused(
            "@EXPLICIT\nhttps://h/c/noarch/a-1-0.conda#xyz\n",
            "ends in what is not a hash",
        );
        refused(
            "@EXPLICIT\nfile:///c/noarch/a-1-0.conda\n",
            "is a file without a hash",
        );
        refused(
            "name: x\ndependencies:\n- numpy\n",
            "it leaves versions open",
        );
        refused(
            &LOCK.replace("version: 1\n", "version: 2\n"),
            "version 2 of the format",
        );
        refused(
            &LOCK.replace("linux-64\n", "win-64\n"),
            "it has nothing for linux-64",
        );
        refused(
            &LOCK.replacen("manager: conda", "manager: pip", 1),
            "`python` comes from pip",
        );
        let elsewhere = LOCK.replacen("linux-64/python", "osx-64/python", 1);
        refused(&elsewhere, "is not the address of `python` for linux-64");
        let without = LOCK.replacen("md5: 0123456789abcdef", "sha1: 0123456789abcdef", 1);
        refused(&without, "it has no MD5 of `https://conda.anaconda.org/");
        let line = LOCK.replacen(
            "url: https://conda",
            "url: \"https://h/a\\nhttps://conda",
            1,
        );
        refused(
            &line.replacen("cpython.conda", "cpython.conda\"", 1),
            "is not the address of `python`",
        );
        refused("package:\n- [", "cannot understand `conda.txt`");
    }

    #[test]
    fn what_is_installed_is_compared_by_build_and_by_hash() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("conda-meta");
        std::fs::create_dir(&meta).unwrap();
        let write = |name: &str, version: &str, md5: &str| {
            let text = format!(
                r#"{{"name": "{name}", "version": "{version}", "build": "0", "md5": "{md5}", "sha256": "cc"}}"#
            );
            std::fs::write(meta.join(format!("{name}.json")), text).unwrap();
        };
        let hash = "0123456789abcdef0123456789abcdef";
        let wanted = of(&format!(
            "@EXPLICIT\nhttps://h/c/noarch/a-1-0.conda#{hash}\n"
        ))
        .unwrap()
        .resolved;
        let check =
            || check_conda("conda.txt", &wanted, dir.path()).map_err(|error| error.to_string());
        let start = "what was installed is not what `conda.txt` says: ";
        assert_eq!(check(), Err(format!("{start}`a` is missing")));
        write("a", "1", hash);
        assert_eq!(check(), Ok(()));
        write("a", "1", "ff");
        assert_eq!(check(), Err(format!("{start}`a` has another hash")));
        write("a", "2", hash);
        assert_eq!(check(), Err(format!("{start}`a` is 2 0, not 1 0")));
        write("a", "1", hash);
        write("b", "1", hash);
        assert_eq!(check(), Err(format!("{start}`b` 1 0 is there too")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z@EXPLICT:/#\\-. \n]{0,80}") {
            let _ = of(&text);
        }
    }
}
