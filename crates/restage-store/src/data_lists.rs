//! Which files data from outside the pipeline's folder had when it was pinned, in `.restage/data`: only to
//! say later which of them differ. Losing a list costs that sentence, never a result.

use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::listing::{self, Listing};
use restage_core::digest::{Digest, Manifest};
use restage_core::fs::{self, StagedFile};

fn folder(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Keeps the list of a folder's files. `dir` is the workspace's own folder.
pub fn write(dir: &Path, list: &Manifest) -> Result<(), StoreError> {
    let bytes = list.to_bytes();
    let path = folder(dir).join(Digest::of(&bytes).to_string());
    if fs::exists(&path)? {
        return Ok(());
    }
    fs::create_dir_all(&folder(dir))?;
    let mut staged = StagedFile::new_in(&dir.join("tmp"), &path)?;
    staged.write(&bytes)?;
    Ok(staged.commit_unflushed()?)
}

/// The list of the folder with this digest; `None` where it was not kept, or is damaged.
pub fn read(dir: &Path, digest: &Digest) -> Result<Option<Manifest>, StoreError> {
    let bytes = fs::read_if_exists(&folder(dir).join(digest.to_string()))?;
    let sound = bytes.filter(|bytes| Digest::of(bytes) == *digest);
    Ok(sound.and_then(|bytes| Manifest::from_bytes(&bytes).ok()))
}

/// All lists that are kept.
pub(super) fn all(dir: &Path) -> Result<Listing, StoreError> {
    listing::of_digests(&folder(dir), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_core::digest::{ManifestEntry, Node};

    #[test]
    fn a_list_reads_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("tmp")).unwrap();
        let entry = ManifestEntry {
            path: "a/b".to_owned(),
            node: Node::EmptyFolder,
        };
        let list = Manifest::new(vec![entry]).unwrap();
        let digest = list.content().digest;
        assert_eq!(read(dir.path(), &digest).unwrap(), None);
        write(dir.path(), &list).unwrap();
        assert_eq!(read(dir.path(), &digest).unwrap(), Some(list));
        let path = folder(dir.path()).join(digest.to_string());
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(dir.path(), &digest).unwrap(), None);
        assert_eq!(all(dir.path()).unwrap().named, [(digest, path)]);
    }
}
