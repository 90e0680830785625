//! `renv.lock`: the packages of an R project, and what of them is in a library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::EnvironmentError;
use crate::resolved::{Resolved, content};
use restage_core::digest::KeyPackage;
use restage_core::fs;

/// renv keeps itself apart from what it installs.
const ITSELF: &str = "renv";
/// Where a package is that no repository has.
const FOLDERS: [&str; 2] = ["local", "unknown"];
/// What a lock file says of where a package comes from, as far as that decides its bytes.
const ORIGIN: [&str; 6] = [
    "RemoteType",
    "RemoteHost",
    "RemoteUsername",
    "RemoteRepo",
    "RemoteSubdir",
    "RemoteSha",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lock {
    packages: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What the text of a lock file installs.
pub fn renv_packages(file: &str, text: &str) -> Result<Resolved, EnvironmentError> {
    let malformed = |message: String| EnvironmentError::Malformed {
        file: file.to_owned(),
        message,
    };
    let lock: Lock = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let mut resolved = Resolved::default();
    for (name, fields) in &lock.packages {
        let field = |field: &str| fields.get(field).and_then(Value::as_str);
        let Some(version) = field("Version") else {
            return Err(malformed(format!("it names no version of `{name}`")));
        };
        let source = field("Source").unwrap_or_default();
        if FOLDERS.contains(&source.to_lowercase().as_str()) {
            return Err(EnvironmentError::Unsupported {
                file: file.to_owned(),
                what: format!(
                    "`{name}` was installed from a folder, whose content no lock file says"
                ),
                hint: format!(
                    "install `{name}` from a repository or a commit and run `renv::snapshot()`; or source its code, and \
                     declare that under `deps` of the stages that use it"
                ),
            });
        }
        let origin = ORIGIN.iter();
        let mut origin: Vec<String> = origin
            .filter_map(|name| Some(format!("{name} {}", field(name)?)))
            .collect();
        // A version of a repository is the same in each of its mirrors.
        if field("RemoteType").is_none_or(|kind| kind == "standard") {
            origin.clear();
        }
        let hashes: BTreeSet<String> = field("Hash").map(str::to_owned).into_iter().collect();
        let package = KeyPackage {
            version: version.to_owned(),
            content: content(&origin.join(" "), &hashes),
        };
        resolved.add(name, package);
    }
    if resolved.packages.contains_key(ITSELF) {
        resolved.unsure.insert(ITSELF.to_owned());
    }
    Ok(resolved)
}

/// A package in a library.
struct Description {
    name: String,
    version: String,
    /// Whether it comes with R, in R's version.
    is_base: bool,
    /// The file that says so.
    file: PathBuf,
}

fn descriptions(library: &Path) -> Result<Vec<Description>, EnvironmentError> {
    let mut found = Vec::new();
    for name in fs::read_dir_if_exists(library)? {
        let file = library.join(&name).join("DESCRIPTION");
        let Some(text) = fs::read_if_exists(&file)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&text);
        let field = |field: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| {
                let value = line.strip_prefix(field)?.strip_prefix(':')?;
                Some(value.trim().to_owned())
            })
        };
        found.push(Description {
            name: field("Package").unwrap_or_else(|| name.to_string_lossy().into_owned()),
            version: field("Version").unwrap_or_default(),
            is_base: field("Priority").as_deref() == Some("base"),
            file,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What R's own library has besides R, for which all that run this R can look: as text, and the files that say
/// so.
pub fn r_library(library: &Path) -> Result<(String, Vec<PathBuf>), EnvironmentError> {
    let mut found = descriptions(library)?;
    found.retain(|package| !package.is_base);
    let named = found.iter();
    let named: Vec<String> = named
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    let files = found.into_iter().map(|package| package.file).collect();
    Ok((named.join(", "), files))
}

/// Compares the packages in a library with those that were to be there.
pub fn check_library(
    file: &str,
    resolved: &Resolved,
    library: &Path,
) -> Result<(), EnvironmentError> {
    let mut wrong = Vec::new();
    let mut there = BTreeSet::new();
    for Description { name, version, .. } in descriptions(library)? {
        match resolved.packages.get(&name) {
            None if name == ITSELF => {}
            None => wrong.push(format!("`{name}` {version} is there too")),
            Some(package) if package.version != version => {
                wrong.push(format!("`{name}` is {version}, not {}", package.version));
            }
            Some(_) => {}
        }
        there.insert(name);
    }
    for name in resolved.packages.keys() {
        if !there.contains(name) && !resolved.unsure.contains(name) {
            wrong.push(format!("`{name}` is missing"));
        }
    }
    EnvironmentError::unless_none(file, &wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOCK: &str = r#"{
  "R": {"Version": "4.3.1", "Repositories": [{"Name": "CRAN", "URL": "https://cloud.r-project.org"}]},
  "Packages": {
    "renv": {"Package": "renv", "Version": "1.0.3", "Source": "Repository", "Repository": "CRAN", "Hash": "aa"},
    "R6": {"Package": "R6", "Version": "2.5.1", "Source": "Repository", "Repository": "CRAN", "Hash": "bb"},
    "mine": {"Package": "mine", "Version": "0.1", "Source": "GitHub", "RemoteType": "github", "RemoteSha": "cc", "Hash": "dd"}
  }
}"#;

    fn of(text: &str) -> Result<Resolved, EnvironmentError> {
        renv_packages("renv.lock", text)
    }

    #[test]
    fn versions_hashes_and_commits_count_and_repositories_do_not() {
        let one = of(LOCK).unwrap();
        assert_eq!(one.packages.len(), 3);
        for (from, to) in [
            ("cloud.r-project.org", "mirror.org"),
            ("\"CRAN\", \"Hash\"", "\"RSPM\", \"Hash\""),
            ("4.3.1", "4.3.2"),
        ] {
            assert_eq!(of(&LOCK.replace(from, to)).unwrap(), one, "{from}");
        }
        for (from, to) in [
            ("2.5.1", "2.5.2"),
            ("\"bb\"", "\"bc\""),
            ("\"cc\"", "\"cd\""),
        ] {
            assert_ne!(of(&LOCK.replace(from, to)).unwrap(), one, "{from}");
        }
    }

    #[test]
    fn what_no_lock_file_can_vouch_for_is_refused() {
        let local = LOCK.replace("\"GitHub\"", "\"Local\"");
        let error = of(&local).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`mine` was installed from a folder"),
            "{error}"
        );
        let error = of(&LOCK.replace("\"Version\": \"0.1\",", "")).unwrap_err();
        assert!(
            error.to_string().contains("it names no version of `mine`"),
            "{error}"
        );
        assert!(
            of("{")
                .unwrap_err()
                .to_string()
                .contains("cannot understand `renv.lock`")
        );
    }

    #[test]
    fn a_library_must_have_what_was_locked_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let install = |name: &str, version: &str| {
            let folder = dir.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!("Package: {name}\nTitle: x\nVersion: {version}\n");
            std::fs::write(folder.join("DESCRIPTION"), text).unwrap();
        };
        let wanted = of(LOCK).unwrap();
        let check =
            || check_library("renv.lock", &wanted, dir.path()).map_err(|error| error.to_string());
        let start = "what was installed is not what `renv.lock` says: ";
        install("mine", "0.1");
        assert_eq!(check(), Err(format!("{start}`R6` is missing")));
        install("R6", "2.5.1");
        assert_eq!(check(), Ok(()));
        install("renv", "1.0.3");
        assert_eq!(check(), Ok(()));
        install("R6", "2.5.2");
        assert_eq!(check(), Err(format!("{start}`R6` is 2.5.2, not 2.5.1")));
        install("R6", "2.5.1");
        install("other", "1");
        assert_eq!(check(), Err(format!("{start}`other` 1 is there too")));
    }

    #[test]
    fn of_rs_own_library_what_others_have_put_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, version, priority) in [
            ("stats", "4.3.1", "Priority: base\n"),
            ("MASS", "7.3", "Priority: recommended\n"),
            ("A", "1", ""),
        ] {
            let folder = dir.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!("Package: {name}\nVersion: {version}\n{priority}");
            std::fs::write(folder.join("DESCRIPTION"), text).unwrap();
        }
        let (named, files) = r_library(dir.path()).unwrap();
        assert_eq!(named, "A 1, MASS 7.3");
        assert_eq!(files.len(), 2);
        assert_eq!(r_library(Path::new("/no/library")).unwrap().0, "");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-zA-Z:{}\\[\\]\", ]{0,60}") {
            let _ = of(&text);
        }
    }
}
