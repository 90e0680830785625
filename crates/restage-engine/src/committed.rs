//! Files whose bytes the checked-out commit has: git can put them back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::standing::Stranger;

/// Paths passed to git at once: the length of a command line is limited.
const AT_ONCE: usize = 500;

/// The names of those of `files` that the commit at HEAD has byte for byte where they stand or stood.
/// None where there is no git, no repository or no commit.
pub(super) fn among(root: &Path, files: &[Stranger]) -> BTreeSet<PathBuf> {
    files
        .chunks(AT_ONCE)
        .flat_map(|some| held(root, some).unwrap_or_default())
        .collect()
}

/// `None` if git gives no answer.
fn held(root: &Path, files: &[Stranger]) -> Option<Vec<PathBuf>> {
    let in_commit = in_commit(root, files)?;
    let files: Vec<&Stranger> = files
        .iter()
        // git is asked one path a line.
        .filter(|file| {
            in_commit.contains_key(&file.name) && !file.at.as_os_str().as_bytes().contains(&b'\n')
        })
        .collect();
    if files.is_empty() {
        return Some(Vec::new());
    }
    // Unfiltered: with line breaks rewritten it would not be the same file.
    let mut git = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["hash-object", "--no-filters", "--stdin-paths"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut asks = git.stdin.take()?;
    let mut asked = Vec::new();
    for file in &files {
        asked.extend(file.at.as_os_str().as_bytes());
        asked.push(b'\n');
    }
    // It answers while it is asked: nobody may wait for the other. If it ends early, it has failed.
    let writer = std::thread::spawn(move || drop(asks.write_all(&asked)));
    let answer = git.wait_with_output().ok()?;
    drop(writer.join());
    if !answer.status.success() {
        return None;
    }
    let ids = answer.stdout.split(|byte| *byte == b'\n');
    let same = files
        .into_iter()
        .zip(ids)
        .filter(|(file, id)| in_commit.get(&file.name).is_some_and(|held| held == id));
    Some(same.map(|(file, _)| file.name.clone()).collect())
}

/// The files among these that the commit has, with the ids of their contents.
fn in_commit(root: &Path, files: &[Stranger]) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let answer = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-tree", "-z", "HEAD", "--"])
        .args(files.iter().map(|file| &file.name))
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !answer.status.success() {
        return None;
    }
    let mut found = BTreeMap::new();
    for entry in answer.stdout.split(|byte| *byte == 0) {
        // MODE, blank, TYPE, blank, ID, tab, PATH.
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let mut words = entry[..tab].split(|byte| *byte == b' ');
        let (mode, id) = (words.next()?, words.nth(1)?);
        if mode.starts_with(b"100") {
            let path = OsString::from_vec(entry[tab + 1..].to_vec());
            found.insert(PathBuf::from(path), id.to_vec());
        }
    }
    Some(found)
}
