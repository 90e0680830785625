//! Puts a file or folder from the store, or a source, at a path: whole or not at all.
//! It must not know what the path is for, beyond whether people may write to it.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::folder::{flush_tree, put_folder};
use super::{Store, StoreError};
use crate::base::fs::{self, FsError};
use crate::digest::{Digest, Kind, Manifest, ManifestEntry, Node, PathDigest, copy_and_digest};

/// How a path gets its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// A file of its own, which may be written to.
    Plain,
    /// Read-only: sharing blocks with the object, else a second name of it, else a copy.
    Linked,
}

/// From this many files on, flushing the whole file system once is cheaper than each file.
pub(super) const FLUSH_ALL_FROM: usize = 64;

impl Store {
    /// Puts `content` at `dest`, replacing what is there in one step once the new one is
    /// complete; folders above are made. What is there already and equal is left alone. A
    /// damaged object is an error, and counts as missing from then on.
    pub fn materialize(
        &self,
        content: &PathDigest,
        dest: &Path,
        placement: Placement,
    ) -> Result<(), StoreError> {
        if placement == Placement::Linked
            && content.kind == (Kind::File { executable: false })
            && self.link_fresh(&content.digest, content.size, dest)?
        {
            return Ok(());
        }
        if self.is_in_place(content, dest, placement)? {
            return Ok(());
        }
        match content.kind {
            Kind::File { executable } => {
                let blob = Blob {
                    digest: &content.digest,
                    size: content.size,
                    executable,
                };
                self.put(dest, &|temp| {
                    self.put_blob(blob, temp, placement)?;
                    match placement {
                        Placement::Plain => Ok(fs::sync_file(temp)?),
                        Placement::Linked => Ok(()),
                    }
                })?;
            }
            Kind::Tree => {
                let manifest = self.manifest(&content.digest)?;
                self.put(dest, &|temp| self.put_tree(&manifest, temp, placement))?;
            }
        }
        match (placement, dest.parent()) {
            // What is linked can be linked again; people's files are worth a flush.
            (Placement::Plain, Some(parent)) if !parent.as_os_str().is_empty() => {
                Ok(fs::sync_dir(parent)?)
            }
            _ => Ok(()),
        }
    }

    /// Puts what lies at `inside` a stored folder, a file or a folder, at `dest`.
    pub fn materialize_part(
        &self,
        tree: &PathDigest,
        inside: &str,
        dest: &Path,
        placement: Placement,
    ) -> Result<(), StoreError> {
        let manifest = self.manifest(&tree.digest)?;
        let at = |entry: &&ManifestEntry| entry.path == inside;
        if let Some(entry) = manifest.entries().iter().find(at) {
            return self.put(dest, &|temp| self.put_node(&entry.node, temp, placement));
        }
        let below = manifest.entries().iter().filter_map(|entry| {
            let path = entry.path.strip_prefix(inside)?.strip_prefix('/')?;
            Some(ManifestEntry {
                path: path.to_owned(),
                node: entry.node.clone(),
            })
        });
        let part = Manifest::new(below.collect()).map_err(|source| StoreError::NoManifest {
            digest: tree.digest,
            source,
        })?;
        if part.entries().is_empty() {
            let path = inside.to_owned();
            return Err(StoreError::NotInTree {
                digest: tree.digest,
                path,
            });
        }
        self.put(dest, &|temp| self.put_tree(&part, temp, placement))
    }

    /// Puts a file or folder that no stage wrote at `dest`, read-only and never sharing its
    /// inode with the source, so that a stage cannot write to it. It must still be what it
    /// was when `expected` was found.
    pub fn place_source(
        &self,
        source: &Path,
        expected: &PathDigest,
        dest: &Path,
    ) -> Result<(), StoreError> {
        let changed = || StoreError::SourceChanged {
            path: source.to_owned(),
        };
        let found = self.stat_cache().digest_at(source)?;
        if found.as_ref() != Some(expected) {
            return Err(changed());
        }
        match expected.kind {
            Kind::File { executable } => self.put(dest, &|temp| {
                let digest = &expected.digest;
                self.put_source(source, digest, expected.size, executable, temp)
            }),
            Kind::Tree => {
                let (manifest, content) = self.stat_cache().tree(source)?;
                if content != *expected {
                    return Err(changed());
                }
                self.put(dest, &|temp| {
                    put_folder(&manifest, temp, &|entry, to| match &entry.node {
                        Node::File {
                            digest,
                            size,
                            executable,
                        } => {
                            let from = source.join(&entry.path);
                            self.put_source(&from, digest, *size, *executable, to)
                        }
                        other => self.put_node(other, to, Placement::Linked),
                    })
                })
            }
        }
    }

    fn put_source(
        &self,
        from: &Path,
        digest: &Digest,
        size: u64,
        executable: bool,
        to: &Path,
    ) -> Result<(), StoreError> {
        if self.clone_file(from, to)? {
            return Ok(seal(to, executable)?);
        }
        // An equal object costs a name, a copy costs the bytes.
        if !executable
            && self.has_object(&blob_content(digest, size))?
            && self
                .put_blob(
                    Blob {
                        digest,
                        size,
                        executable,
                    },
                    to,
                    Placement::Linked,
                )
                .is_ok()
        {
            return Ok(());
        }
        fs::remove_all(to)?;
        let mut file = fs::create_new(to)?;
        let (copied, _) = copy_and_digest(from, &mut file, to)?;
        if copied != *digest {
            return Err(StoreError::SourceChanged {
                path: from.to_owned(),
            });
        }
        Ok(seal(to, executable)?)
    }

    fn is_in_place(
        &self,
        content: &PathDigest,
        dest: &Path,
        placement: Placement,
    ) -> Result<bool, StoreError> {
        let Some(found) = fs::symlink_metadata_if_exists(dest)? else {
            return Ok(false);
        };
        let writable = found.permissions().mode() & 0o200 != 0;
        if found.is_symlink() || (placement == Placement::Plain && !writable) {
            return Ok(false);
        }
        // What can't be digested (a pipe, a strange name) is simply not it.
        Ok(self
            .stat_cache()
            .digest_at(dest)
            .is_ok_and(|there| there.as_ref() == Some(content)))
    }

    /// Makes something in the workspace's temporary folder, or beside `dest` if that is on another
    /// file system, and then swaps it in.
    fn put(
        &self,
        dest: &Path,
        make: &dyn Fn(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(parent) = dest
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            let parent_device = match fs::metadata_if_exists(parent)? {
                Some(found) => found.dev(),
                None => {
                    fs::create_dir_all(parent)?;
                    fs::metadata(parent)?.dev()
                }
            };
            let tmp = self.own_tmp();
            if parent_device == fs::metadata(&tmp)?.dev() {
                let temp = fs::temp_name(&tmp.join(dest.file_name().unwrap_or_default()));
                match self.put_from(temp, dest, make) {
                    // One file system mounted twice.
                    Err(StoreError::Fs(error))
                        if error.source.kind() == io::ErrorKind::CrossesDevices => {}
                    done => return done,
                }
            }
        }
        self.put_from(fs::temp_name(dest), dest, make)
    }

    fn put_from(
        &self,
        temp: PathBuf,
        dest: &Path,
        make: &dyn Fn(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        fs::remove_all(&temp)?;
        let done = make(&temp).and_then(|()| self.swap_in(&temp, dest));
        if done.is_err() {
            // Already failing: the first error is the one to report.
            let _ = fs::remove_all(&temp);
        }
        done
    }

    /// Renames `temp` to `dest`; what was there is removed.
    fn swap_in(&self, temp: &Path, dest: &Path) -> Result<(), StoreError> {
        let Some(old) = fs::symlink_metadata_if_exists(dest)? else {
            return match fs::rename(temp, dest) {
                // Another put a folder there meanwhile.
                Err(error) if error.source.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    self.swap_in(temp, dest)
                }
                done => Ok(done?),
            };
        };
        if !old.is_dir() && !fs::symlink_metadata(temp)?.is_dir() {
            return Ok(fs::rename(temp, dest)?);
        }
        if fs::exchange(temp, dest)? {
            return self.discard(temp);
        }
        // No exchange here (some network file systems): for a moment nothing is there.
        let aside = fs::temp_name(dest);
        fs::rename(dest, &aside)?;
        if let Err(error) = fs::rename(temp, dest) {
            fs::rename(&aside, dest)?;
            return Err(error.into());
        }
        self.discard(&aside)
    }

    fn put_tree(
        &self,
        manifest: &Manifest,
        to: &Path,
        placement: Placement,
    ) -> Result<(), StoreError> {
        put_folder(manifest, to, &|entry, to| {
            self.put_node(&entry.node, to, placement)
        })?;
        if placement == Placement::Plain {
            flush_tree(manifest, to)?;
        }
        Ok(())
    }

    fn put_node(&self, node: &Node, to: &Path, placement: Placement) -> Result<(), StoreError> {
        match node {
            Node::File {
                digest,
                size,
                executable,
            } => {
                let blob = Blob {
                    digest,
                    size: *size,
                    executable: *executable,
                };
                self.put_blob(blob, to, placement)
            }
            Node::Link(target) => Ok(fs::symlink(Path::new(target), to)?),
            Node::EmptyFolder => Ok(fs::create_dir(to)?),
        }
    }

    /// Makes a new file of an object.
    fn put_blob(&self, blob: Blob<'_>, to: &Path, placement: Placement) -> Result<(), StoreError> {
        let Blob {
            digest,
            size,
            executable,
        } = blob;
        let object = self.object_path(digest);
        if fs::symlink_metadata_if_exists(&object)?.is_none() {
            return Err(StoreError::MissingObject { digest: *digest });
        }
        if self.clone_file(&object, to)? {
            self.check_object(digest, size)?;
        } else {
            // The execute bit is the inode's: an executable file needs one of its own.
            if placement == Placement::Linked && !executable {
                self.check_object(digest, size)?;
                if fs::hard_link(&object, to)? {
                    return self.adopt(&object, digest);
                }
            }
            let mut file = fs::create_new(to)?;
            let (copied, _) = copy_and_digest(&object, &mut file, to)?;
            if copied != *digest {
                return Err(self.quarantine(digest)?);
            }
        }
        match placement {
            Placement::Linked => Ok(seal(to, executable)?),
            Placement::Plain => {
                if executable {
                    let mode = fs::metadata(to)?.permissions().mode();
                    fs::set_mode(to, mode | (mode & 0o444) >> 2)?;
                }
                Ok(())
            }
        }
    }
}

/// A file's object, and the bit that the object does not have.
#[derive(Clone, Copy)]
struct Blob<'a> {
    digest: &'a Digest,
    size: u64,
    executable: bool,
}

fn blob_content(digest: &Digest, size: u64) -> PathDigest {
    PathDigest {
        digest: *digest,
        kind: Kind::File { executable: false },
        size,
        files: 1,
    }
}

fn seal(path: &Path, executable: bool) -> Result<(), FsError> {
    fs::set_mode(path, if executable { 0o555 } else { 0o444 })
}
