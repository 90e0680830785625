//! Fills a folder that can't be replaced: a link leads to it, or something is mounted there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Look, Objects, Placement};
use crate::error::StoreError;
use restage_core::digest::{Kind, Manifest, Node, PathDigest};
use restage_core::fs;

impl Objects {
    /// Makes the folder at `dest`, which stays the folder that it is, have the stored folder
    /// `content`. Files are replaced one by one by separate, writable copies, and what the stored
    /// folder lacks is removed, but for what `look` moves away. If this fails or is interrupted,
    /// some of the files are there.
    pub fn fill(
        &self,
        content: &PathDigest,
        dest: &Path,
        look: Look<'_>,
    ) -> Result<(), StoreError> {
        if self
            .cache
            .digest_at(dest)
            .is_ok_and(|there| there.as_ref() == Some(content))
        {
            return Ok(());
        }
        let manifest = self.manifest(&content.digest)?;
        remove_others(dest, &manifest, look)?;
        for entry in manifest.entries() {
            let inside = Path::new(&entry.path);
            let to = dest.join(inside);
            match &entry.node {
                Node::File {
                    digest,
                    size,
                    executable,
                } => {
                    let kind = Kind::File {
                        executable: *executable,
                    };
                    let file = PathDigest {
                        digest: *digest,
                        kind,
                        size: *size,
                        files: 1,
                    };
                    self.replace(&file, &to, Placement::Plain, &|_, at| look(inside, at))?;
                }
                Node::Link(target) => {
                    remove(inside, &to, look)?;
                    if let Some(parent) = to.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    fs::symlink(Path::new(target), &to)?;
                }
                Node::EmptyFolder => fs::create_dir_all(&to)?,
            }
        }
        Ok(())
    }
}

/// Removes what a folder has and the manifest does not name. Links are removed, not followed.
fn remove_others(folder: &Path, manifest: &Manifest, look: Look<'_>) -> Result<(), StoreError> {
    let mut leaves = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for entry in manifest.entries() {
        let path = Path::new(&entry.path);
        match entry.node {
            Node::EmptyFolder => drop(folders.insert(path)),
            Node::File { .. } | Node::Link(_) => drop(leaves.insert(path)),
        }
        folders.extend(path.ancestors().skip(1));
    }
    let mut below: Vec<PathBuf> = names(folder)?.into_iter().map(PathBuf::from).collect();
    while let Some(path) = below.pop() {
        let at = folder.join(&path);
        let is_folder = fs::symlink_metadata(&at)?.is_dir();
        match is_folder {
            true if folders.contains(path.as_path()) => {
                below.extend(names(&at)?.into_iter().map(|name| path.join(name)));
            }
            false if leaves.contains(path.as_path()) => {}
            _ => remove(&path, &at, look)?,
        }
    }
    Ok(())
}

fn remove(inside: &Path, at: &Path, look: Look<'_>) -> Result<(), StoreError> {
    if fs::exists(at)? {
        look(inside, at)?;
    }
    Ok(fs::remove_all(at)?)
}

fn names(folder: &Path) -> Result<Vec<OsString>, StoreError> {
    let mut names = fs::read_dir(folder)?;
    // What `mkfs` puts at the top of a new file system is nobody's.
    names.retain(|name| name.as_bytes() != b"lost+found");
    Ok(names)
}
