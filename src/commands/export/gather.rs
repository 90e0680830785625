//! The files and folders that stages read and wrote, for an RO-Crate.

use std::collections::BTreeMap;

use restage_core::digest::{Found, Node, Tree};
use restage_core::fs::FsError;
use restage_core::rel_path::RelPath;
use restage_engine::{FactsError, Workspace};
use restage_report::export::package::Package;
use restage_report::export::ro_crate::Item;

/// Paths and what is there.
pub(super) struct Gathered<'a> {
    workspace: &'a Workspace,
    pub(super) items: BTreeMap<String, Item>,
}

/// What was copied.
#[derive(Default)]
pub(super) struct Copies {
    /// Files that are in the crate.
    pub(super) files: usize,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Files that are only listed with their digests.
    pub(super) left_out: Vec<String>,
    /// Files that changed after they were digested.
    pub(super) changed: Vec<String>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(workspace: &'a Workspace) -> Self {
        let items = BTreeMap::new();
        Self { workspace, items }
    }

    /// Adds a file, or a folder with everything in it; nothing if the path does not exist.
    pub(super) fn add(&mut self, path: &RelPath) -> Result<(), FactsError> {
        if self.items.contains_key(path.as_str()) {
            return Ok(());
        }
        let Some(found) = self.workspace.found(path)? else {
            return Ok(());
        };
        let item = match found {
            Found::File(found) => Item::File {
                size: found.size,
                blake3: found.digest.to_string(),
                sha256: None,
                included: false,
            },
            Found::Folder(Tree {
                manifest,
                content: whole,
                ..
            }) => {
                let mut files = Vec::new();
                for entry in manifest.entries() {
                    // Links and empty folders are part of the folder's digest alone.
                    if let Node::File { digest, size, .. } = &entry.node {
                        let inside = format!("{path}/{}", entry.path);
                        let item = Item::File {
                            size: *size,
                            blake3: digest.to_string(),
                            sha256: None,
                            included: false,
                        };
                        self.items.insert(inside.clone(), item);
                        files.push(inside);
                    }
                }
                Item::Folder {
                    files,
                    digest: whole.digest.to_string(),
                }
            }
        };
        self.items.insert(path.to_string(), item);
        Ok(())
    }

    /// Copies the files of at most `up_to` bytes, and those of `always`; none of data from outside the
    /// pipeline's folder, which may not be ours to give away.
    pub(super) fn copy(
        &mut self,
        package: &mut Package,
        up_to: u64,
        always: &str,
    ) -> Result<Copies, FsError> {
        let mut copies = Copies::default();
        for (path, item) in &mut self.items {
            let Item::File {
                size,
                blake3,
                sha256,
                included,
            } = item
            else {
                continue;
            };
            let is_data = || {
                let path = RelPath::new(path).ok();
                path.is_some_and(|path| self.workspace.is_data(&path))
            };
            if (*size > up_to && path != always) || is_data() {
                copies.left_out.push(path.clone());
                continue;
            }
            let copied = package.copy(path, &self.workspace.root.join(path))?;
            if copied.digest.to_string() != *blake3 {
                copies.changed.push(path.clone());
            }
            *sha256 = Some(copied.sha256);
            *included = true;
            copies.files += 1;
            copies.bytes += copied.size;
        }
        for (path, item) in &self.items {
            let Item::Folder { files, .. } = item else {
                continue;
            };
            let is_left_out = |file: &String| copies.left_out.contains(file);
            if !files.iter().all(is_left_out) {
                package.folder(path)?;
            }
        }
        Ok(copies)
    }
}
