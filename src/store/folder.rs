//! Writes and flushes the entries of a folder that is put somewhere.
//! It must not know where an entry's bytes come from.

use std::path::Path;

use super::StoreError;
use super::place::FLUSH_ALL_FROM;
use crate::base::fs::{self, FsError};
use crate::digest::{Manifest, ManifestEntry, Node};

/// Waits until every file of a folder that was put at `root` is on the disk.
pub(super) fn flush_tree(manifest: &Manifest, root: &Path) -> Result<(), FsError> {
    if manifest.entries().len() >= FLUSH_ALL_FROM {
        return fs::sync_file_system(root);
    }
    for entry in manifest.entries() {
        if matches!(entry.node, Node::File { .. }) {
            fs::sync_file(&root.join(&entry.path))?;
        }
    }
    Ok(())
}

/// Makes a folder, whose entries are made by `make`.
pub(super) fn put_folder(
    manifest: &Manifest,
    to: &Path,
    make: &dyn Fn(&ManifestEntry, &Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    fs::create_dir(to)?;
    let mut made = to.to_owned();
    for entry in manifest.entries() {
        let path = to.join(&entry.path);
        if let Some(parent) = path.parent()
            && parent != made
        {
            fs::create_dir_all(parent)?;
            made = parent.to_owned();
        }
        make(entry, &path)?;
    }
    Ok(())
}
