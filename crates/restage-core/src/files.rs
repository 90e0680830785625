//! Files below a folder, as the pipeline names them.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::digest::check_link;
use crate::fs::{self, FsError};
use crate::glob::Glob;
use crate::rel_path::RelPath;

/// Where a run moves what it must not replace.
pub const SET_ASIDE: &str = "restage-set-aside";

/// What one machine has to say of the pipeline in the same folder: uncommitted, and in no key.
pub const LOCAL_FILE: &str = "restage.local.toml";

/// What a project has to say of the places where it runs and keeps results: committed, and in no key.
pub const PROJECT_FILE: &str = "restage.toml";

/// The JSON Schema of a pipeline file, for editors, beside it.
pub const SCHEMA_FILE: &str = "pipeline.schema.json";

/// What no pattern matches or looks into: ours and git's.
pub const HIDDEN: [&str; 6] = [
    ".restage",
    ".git",
    SET_ASIDE,
    LOCAL_FILE,
    PROJECT_FILE,
    SCHEMA_FILE,
];

/// What is below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// Files and links, as paths below the root, sorted.
    pub files: Vec<RelPath>,
    /// Folders that were listed to find them, relative to the root: the first is the start.
    pub folders: Vec<String>,
}

/// The folders from which links were followed to a folder, innermost first.
struct Chain {
    real: PathBuf,
    outer: Option<Rc<Chain>>,
}

/// Files below `root` that a pattern matches, links followed, without what `skip` passes over: it gets a path
/// below the root, and whether that is a folder. If the folder where matches begin does
/// not exist, there are none.
///
/// # Errors
/// A match has a name that no path of a pipeline can have, or is a link that leads nowhere; a folder in
/// which there may be matches is a link to one that it lies in.
pub fn matching(
    root: &Path,
    glob: &Glob,
    skip: &dyn Fn(&Path, bool) -> bool,
) -> Result<Below, FsError> {
    let mut below = Below::default();
    let mut open: Vec<(PathBuf, Option<Rc<Chain>>)> = vec![(glob.base_folder().into(), None)];
    while let Some((folder, chain)) = open.pop() {
        for name in fs::read_dir_if_exists(&root.join(&folder))? {
            let path = folder.join(name);
            let full = root.join(&path);
            let Some(found) = fs::symlink_metadata_if_exists(&full)? else {
                continue;
            };
            if skip(&path, found.is_dir()) {
                continue;
            }
            let is_link = found.is_symlink();
            let is_folder = found.is_dir()
                || (is_link && fs::metadata(&full).is_ok_and(|there| there.is_dir()));
            if is_folder && is_link && glob.may_match_in(&path) {
                let inner = follow(&root.join(&folder), &full, chain.as_ref())?;
                open.push((path, Some(inner)));
            } else if is_folder && glob.may_match_in(&path) {
                open.push((path, chain.clone()));
            } else if !is_folder && glob.matches_path(&path) {
                check_link(&full)?;
                below.files.push(named(glob, &path, &full)?);
            }
        }
        // A name that is not UTF-8 stands for nothing that is there.
        below.folders.push(folder.to_string_lossy().into_owned());
    }
    below.files.sort();
    Ok(below)
}

/// The chain of a folder that the link `full` in `folder` leads to.
fn follow(folder: &Path, full: &Path, chain: Option<&Rc<Chain>>) -> Result<Rc<Chain>, FsError> {
    let there = fs::canonicalize(full)?;
    let outer = chain.cloned();
    let inner = Rc::new(Chain {
        real: fs::canonicalize(folder)?,
        outer,
    });
    let mut all = std::iter::successors(Some(&inner), |chain| chain.outer.as_ref());
    if all.any(|chain| chain.real.starts_with(&there)) {
        let text = format!(
            "it leads to `{}`, a folder that it lies in",
            there.display()
        );
        return Err(FsError {
            op: FsError::FOLLOW,
            path: full.to_owned(),
            source: io::Error::other(text),
        });
    }
    Ok(inner)
}

/// A match as a path of the pipeline.
fn named(glob: &Glob, path: &Path, full: &Path) -> Result<RelPath, FsError> {
    let path = path.to_str().and_then(|text| RelPath::new(text).ok());
    path.ok_or_else(|| FsError {
        op: "read",
        path: full.to_owned(),
        source: io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "`{glob}` matches it, but its name is not UTF-8 or has a control character; \
             rename it, or read the whole folder"
            ),
        ),
    })
}

/// Files below `root/start`. Links are listed, not followed. What `skip` matches is left out, a
/// folder with its contents; so are names that no path of a pipeline can have. If `start` does
/// not exist, there are no files.
pub fn files_below(
    root: &Path,
    start: &str,
    skip: &dyn Fn(&RelPath) -> bool,
) -> Result<Below, FsError> {
    let mut below = Below::default();
    let mut folders = vec![start.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in fs::read_dir_if_exists(&root.join(&folder))? {
            let Some(name) = name.to_str() else { continue };
            let text = match folder.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            match RelPath::new(&text) {
                Ok(path) if !skip(&path) => {
                    if fs::symlink_metadata(&path.under(root))?.is_dir() {
                        folders.push(text);
                    } else {
                        below.files.push(path);
                    }
                }
                _ => {}
            }
        }
        below.folders.push(folder);
    }
    below.files.sort();
    Ok(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        dir
    }

    fn matches(dir: &Path, pattern: &str) -> Result<Vec<String>, String> {
        let found = matching(dir, &Glob::new(pattern).unwrap(), &crate::digest::nothing);
        let found =
            found.map_err(|error| error.to_string().replace(&*dir.to_string_lossy(), ""))?;
        Ok(found.files.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_pattern_follows_links_to_files_and_folders() {
        let dir = made(&[
            "a/1.csv",
            "a/b/2.csv",
            "elsewhere/3.csv",
            "elsewhere/deep/4.csv",
        ]);
        let link = |to: &str, at: &str| fs::symlink(Path::new(to), &dir.path().join(at)).unwrap();
        link("../elsewhere", "a/c");
        link("../elsewhere/3.csv", "a/5.csv");
        let found = |pattern| matches(dir.path(), pattern).unwrap();
        assert_eq!(found("a/*.csv"), ["a/1.csv", "a/5.csv"]);
        assert_eq!(found("a/*/*.csv"), ["a/b/2.csv", "a/c/3.csv"]);
        let all = [
            "a/1.csv",
            "a/5.csv",
            "a/b/2.csv",
            "a/c/3.csv",
            "a/c/deep/4.csv",
        ];
        assert_eq!(found("a/**/*.csv"), all);
        assert_eq!(found("nowhere/*"), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_or_round_are_refused_where_they_count() {
        let dir = made(&["a/1.csv", "b/1.csv"]);
        let link = |to: &str, at: &str| fs::symlink(Path::new(to), &dir.path().join(at)).unwrap();
        link("gone", "a/2.csv");
        link("../b", "a/b");
        link("../a", "b/a");
        assert_eq!(matches(dir.path(), "a/1*").unwrap(), ["a/1.csv"]);
        let refused = |pattern| matches(dir.path(), pattern).unwrap_err();
        assert_eq!(
            refused("a/*.csv"),
            "cannot follow the link `/a/2.csv`: it leads to `gone`, where nothing is"
        );
        let round = refused("b/**/1.csv");
        assert!(round.ends_with("a folder that it lies in"), "{round}");
    }

    #[test]
    fn a_match_with_an_odd_name_is_refused_and_others_are_passed_over() {
        use std::os::unix::ffi::OsStrExt;
        for odd in [&b"b\nc"[..], b"caf\xe9"] {
            let dir = made(&["a/1.csv"]);
            let name = std::ffi::OsStr::from_bytes(odd);
            std::fs::write(dir.path().join("a").join(name), b"").unwrap();
            assert_eq!(matches(dir.path(), "a/*.csv").unwrap(), ["a/1.csv"]);
            let error = matches(dir.path(), "a/*").unwrap_err();
            assert!(
                error.contains("its name is not UTF-8 or has a control"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_folder_that_is_skipped_is_skipped_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/1", "a/b/2", ".git/3", "c"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let skip = |path: &RelPath| path.as_str() == ".git" || path.as_str() == "a/1";
        let listed = |start| -> Vec<String> {
            let below = files_below(dir.path(), start, &skip).unwrap();
            below.files.iter().map(ToString::to_string).collect()
        };
        assert_eq!(listed(""), ["a/b/2", "c"]);
        assert_eq!(listed("a"), ["a/b/2"]);
        assert_eq!(listed("nowhere"), [""; 0]);
    }
}
