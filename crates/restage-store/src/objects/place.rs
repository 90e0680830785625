//! Puts a file or folder from the store, or a source, at a path: completely or not at all.
//!
//! What comes out shares as much as it may: the object's blocks (a clone), else, if nobody may
//! write to it, its inode (a hard link), else nothing (a copy).

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::{Objects, Placement, is_unreadable, mode};
use crate::error::StoreError;
use restage_core::digest::{
    Digest, Found, Kind, Manifest, ManifestEntry, Node, PathDigest, Skip, copy_to_new_and_digest,
    nothing,
};
use restage_core::fs;

/// Is shown what is about to be removed to make way: its path inside what is put there, and where
/// it is now. It may move it away, in part or as a whole; if it fails, everything stays as it was.
pub type Look<'a> = &'a dyn Fn(&Path, &Path) -> Result<(), StoreError>;

/// For places where nothing can be lost.
pub(super) fn nothing_to_lose(_: &Path, _: &Path) -> Result<(), StoreError> {
    Ok(())
}

impl Objects {
    /// Puts `content` at `dest`, replacing what is there in one step once the new content is
    /// complete; missing parent folders are created. What is already there and equal is left
    /// alone. A damaged object is an error and counts as missing from then on. What was written may
    /// be only in memory when this returns.
    pub fn materialize(
        &self,
        content: &PathDigest,
        dest: &Path,
        placement: Placement,
    ) -> Result<(), StoreError> {
        self.replace(content, dest, placement, &nothing_to_lose)
    }

    /// Like [`Objects::materialize`], where what is there may have to be kept. `look` sees it once the
    /// new content is complete, and again what came meanwhile, once it is out of the way: a large
    /// folder takes minutes to copy.
    pub fn replace(
        &self,
        content: &PathDigest,
        dest: &Path,
        placement: Placement,
        look: Look<'_>,
    ) -> Result<(), StoreError> {
        if placement.may_link(content.size)
            && content.kind == (Kind::File { executable: false })
            && self.link_directly(&content.digest, content.size, dest)?
        {
            return Ok(());
        }
        if self.is_in_place(content, dest, placement)? {
            return Ok(());
        }
        self.put_content(content, dest, placement, look)
    }

    /// Puts `content` at `dest`, whatever is there.
    pub(super) fn put_content(
        &self,
        content: &PathDigest,
        dest: &Path,
        placement: Placement,
        look: Look<'_>,
    ) -> Result<(), StoreError> {
        match content.kind {
            Kind::File { executable } => {
                let blob = Blob {
                    digest: &content.digest,
                    size: content.size,
                    executable,
                };
                self.put(dest, look, &|temp| self.put_blob(blob, temp, placement))
            }
            Kind::Tree => {
                let manifest = self.manifest(&content.digest)?;
                self.put(dest, look, &|temp| {
                    self.put_tree(&manifest, temp, placement)
                })
            }
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
        let part = manifest
            .part(inside)
            .map_err(|source| StoreError::NoManifest {
                digest: tree.digest,
                source,
            })?
            .ok_or_else(|| StoreError::NotInTree {
                digest: tree.digest,
                path: inside.to_owned(),
            })?;
        let look = &nothing_to_lose;
        match (part.folder, part.content.kind) {
            (Some(folder), _) => {
                self.put(dest, look, &|temp| self.put_tree(&folder, temp, placement))
            }
            (None, kind) => {
                let blob = Blob {
                    digest: &part.content.digest,
                    size: part.content.size,
                    executable: kind == (Kind::File { executable: true }),
                };
                self.put(dest, look, &|temp| self.put_blob(blob, temp, placement))
            }
        }
    }

    /// Puts a file or folder that no stage wrote at `dest`, read-only and never by a hard link to
    /// the source, so that a stage can't write to it. Of a folder, what `skip` passes over is left
    /// out. It must still have the content `expected`.
    pub fn place_source(
        &self,
        source: &Path,
        skip: &Skip<'_>,
        expected: &PathDigest,
        dest: &Path,
    ) -> Result<(), StoreError> {
        let changed = || StoreError::SourceChanged {
            path: source.to_owned(),
        };
        let found = self.cache.found_at(source, skip)?;
        let found = found.filter(|found| found.content() == *expected);
        match found.ok_or_else(changed)? {
            Found::File(_) => self.put(dest, &nothing_to_lose, &|temp| {
                let digest = &expected.digest;
                let executable = expected.kind == (Kind::File { executable: true });
                self.put_source(source, digest, executable, temp)
            }),
            Found::Folder(tree) => self.put(dest, &nothing_to_lose, &|temp| {
                put_folder(&tree.manifest, temp, &|entry, to| match &entry.node {
                    Node::File {
                        digest, executable, ..
                    } => {
                        let from = source.join(&entry.path);
                        self.put_source(&from, digest, *executable, to)
                    }
                    other => self.put_node(other, to, Placement::Linked),
                })
            }),
        }
    }

    fn put_source(
        &self,
        from: &Path,
        digest: &Digest,
        executable: bool,
        to: &Path,
    ) -> Result<(), StoreError> {
        let changed = || StoreError::SourceChanged {
            path: from.to_owned(),
        };
        if self.clone_file(from, to)? {
            // It was not read, as a copy is: its bytes are these if nobody has written to it by now.
            let now = self.cache.found_at(from, &nothing)?;
            let now = now.filter(|now| now.content().digest == *digest);
            return now.map_or_else(|| Err(changed()), |_| seal(from, to, executable));
        }
        let mut file = fs::create_new(to)?;
        let (copied, _) = copy_to_new_and_digest(from, &mut file, to)?;
        if copied != *digest {
            return Err(changed());
        }
        seal(from, to, executable)
    }

    /// Puts data that lies outside the workspace at `dest`: its files as clones where the file system can, else
    /// as copies if `copy`, else as links to where they are. Its folders are always separate ones, so that nobody
    /// adds to the data or removes from it.
    pub fn place_data(
        &self,
        source: &Path,
        found: &Found,
        dest: &Path,
        copy: bool,
    ) -> Result<(), StoreError> {
        let put_file = |from: &Path, digest: &Digest, executable: bool, to: &Path| {
            if copy {
                return self.put_source(from, digest, executable, to);
            }
            match self.clone_file(from, to)? {
                true => seal(from, to, executable),
                // Where it leads to must not depend on where it lies.
                false => Ok(fs::symlink(&fs::canonicalize(from)?, to)?),
            }
        };
        self.put(dest, &nothing_to_lose, &|temp| match found {
            Found::File(content) => {
                let executable = content.kind == (Kind::File { executable: true });
                put_file(source, &content.digest, executable, temp)
            }
            Found::Folder(tree) => {
                put_folder(&tree.manifest, temp, &|entry, to| match &entry.node {
                    Node::File {
                        digest, executable, ..
                    } => put_file(&source.join(&entry.path), digest, *executable, to),
                    other => self.put_node(other, to, Placement::Linked),
                })
            }
        })
    }

    pub(super) fn is_in_place(
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
        // What can't be digested (a pipe, a strange name) is something else.
        Ok(self
            .cache
            .digest_at(dest)
            .is_ok_and(|there| there.as_ref() == Some(content)))
    }

    /// Makes something in the workspace's temporary folder, or beside `dest` if that is on another
    /// file system, and then renames it to `dest`.
    fn put(
        &self,
        dest: &Path,
        look: Look<'_>,
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
            let tmp = self.location.own_tmp();
            if parent_device == fs::metadata(&tmp)?.dev() {
                let temp = fs::temp_name(&tmp.join(dest.file_name().unwrap_or_default()));
                match self.put_from(temp, dest, look, make) {
                    // One file system mounted twice.
                    Err(StoreError::Fs(error))
                        if error.source.kind() == ErrorKind::CrossesDevices => {}
                    done => return done,
                }
            }
        }
        self.put_from(fs::temp_name(dest), dest, look, make)
    }

    fn put_from(
        &self,
        temp: PathBuf,
        dest: &Path,
        look: Look<'_>,
        make: &dyn Fn(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        fs::remove_all(&temp)?;
        let done = make(&temp).and_then(|()| self.swap_in(&temp, dest, look));
        if done.is_err() {
            // Already failing: the first error is the one to report.
            let _ = fs::remove_all(&temp);
        }
        done
    }

    /// Renames `temp` to `dest`; what was there is removed, but for what `look` moves away.
    fn swap_in(&self, temp: &Path, dest: &Path, look: Look<'_>) -> Result<(), StoreError> {
        let whole = Path::new("");
        let Some(old) = fs::symlink_metadata_if_exists(dest)? else {
            return match fs::rename(temp, dest) {
                // Another process put a folder there meanwhile.
                Err(error) if error.source.kind() == ErrorKind::DirectoryNotEmpty => {
                    self.swap_in(temp, dest, look)
                }
                done => Ok(done?),
            };
        };
        look(whole, dest)?;
        if !fs::exists(dest)? {
            return self.swap_in(temp, dest, look);
        }
        // A folder that was made read-only can't be renamed. If it is another user's, that fails.
        if old.is_dir() && !fs::may_write(dest) {
            let _ = fs::set_mode(dest, old.permissions().mode() & 0o7777 | 0o700);
        }
        let exchanged = match fs::exchange(temp, dest) {
            // Beside each other and yet apart: a folder of an image's layer (overlayfs), which can't
            // be renamed.
            Err(error)
                if error.source.kind() == ErrorKind::CrossesDevices
                    && temp.parent() == dest.parent() =>
            {
                fs::remove_all(dest)?;
                return Ok(fs::rename(temp, dest)?);
            }
            exchanged => exchanged?,
        };
        if exchanged {
            // Nobody finds it any more, so what it has now is all that it will have.
            let seen = match is_as_it_was(temp, &old)? {
                true => Ok(()),
                false => look(whole, temp),
            };
            if seen.is_err() {
                fs::exchange(temp, dest)?;
                return seen;
            }
            return match fs::symlink_metadata_if_exists(temp)? {
                Some(left) if !left.is_dir() => Ok(fs::remove_file(temp)?),
                _ => {
                    self.trash.remove(temp);
                    Ok(())
                }
            };
        }
        // No exchange here (some network file systems).
        if !old.is_dir() && !fs::symlink_metadata(temp)?.is_dir() {
            return Ok(fs::rename(temp, dest)?);
        }
        // For a moment nothing is there.
        let aside = fs::temp_name(dest);
        fs::rename(dest, &aside)?;
        if let Err(error) = look(whole, &aside).and_then(|()| Ok(fs::rename(temp, dest)?)) {
            fs::rename(&aside, dest)?;
            return Err(error);
        }
        self.trash.remove(&aside);
        Ok(())
    }

    fn put_tree(
        &self,
        manifest: &Manifest,
        to: &Path,
        placement: Placement,
    ) -> Result<(), StoreError> {
        put_folder(manifest, to, &|entry, to| {
            self.put_node(&entry.node, to, placement)
        })
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
        let object = self.path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        if self.clone_file(&object, to)? {
            self.check(digest, size)?;
        } else {
            // The execute bit belongs to the inode: an executable file needs a separate one.
            if placement.may_link(size) && !executable {
                self.check(digest, size)?;
                if fs::hard_link(&object, to)? {
                    return self.adopt(&object, digest);
                }
            }
            let mut file = fs::create_new(to)?;
            match copy_to_new_and_digest(&object, &mut file, to) {
                Ok((copied, _)) if copied == *digest => {}
                Ok(_) => return Err(self.quarantine(digest)?),
                Err(error) if error.path == object && is_unreadable(&error) => {
                    return Err(self.quarantine(digest)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The object may be read by those who may read what the stage wrote.
        let may_read = mode(&found);
        let execute = if executable { may_read >> 2 } else { 0 };
        match placement {
            Placement::Linked | Placement::Input { .. } => {
                Ok(fs::set_mode(to, may_read | execute)?)
            }
            Placement::Plain => {
                let old = fs::metadata(to)?.permissions().mode() & 0o777;
                let narrowed = old & (may_read | may_read >> 1);
                let new = narrowed | execute & (old & 0o444) >> 2;
                match new == old {
                    true => Ok(()),
                    false => Ok(fs::set_mode(to, new)?),
                }
            }
        }
    }

    /// Hard-links the object to `dest` in one step, the fast path for many linked files. `false`
    /// if something is there already, if the file system may clone instead, or if it can't link.
    fn link_directly(&self, digest: &Digest, size: u64, dest: &Path) -> Result<bool, StoreError> {
        let object = self.path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        if !self.cannot_clone(found.dev()) {
            return Ok(false);
        }
        self.check_found(digest, size, found)?;
        let linked = match fs::hard_link(&object, dest) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {
                dest.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::hard_link(&object, dest)
            }
            linked => linked,
        };
        match linked {
            Ok(true) => {
                self.adopt(&object, digest)?;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) if error.source.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// In a shared store, remembers an object that another workspace made, so that its links are
    /// not read again.
    fn adopt(&self, object: &Path, digest: &Digest) -> Result<(), StoreError> {
        match self.location.shared() {
            Some(_) => Ok(self.cache.adopt(object, *digest)?),
            None => Ok(()),
        }
    }

    /// Like [`fs::reflink`], but a file system that can't is asked only once.
    fn clone_file(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        // Outside our own folder, `to` may be on any file system.
        let ours = to.starts_with(self.location.own_tmp());
        let device = fs::metadata(from)?.dev();
        if ours && self.cannot_clone(device) {
            return Ok(false);
        }
        let cloned = fs::reflink(from, to)?;
        if ours && cloned == fs::Clone::Never {
            self.never_clone().insert(device);
        }
        Ok(cloned == fs::Clone::Made)
    }

    /// Whether files of this device are known not to be clonable.
    fn cannot_clone(&self, device: u64) -> bool {
        self.never_clone().contains(&device)
    }

    fn never_clone(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        let devices = self.never_clone.lock();
        devices.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file's object, and the execute bit, which the object does not have.
#[derive(Clone, Copy)]
struct Blob<'a> {
    digest: &'a Digest,
    size: u64,
    executable: bool,
}

/// Whether a file is the one that was there, unwritten since. Of a folder only a look can tell. A
/// rename changes the time of change, so that alone does not count.
fn is_as_it_was(path: &Path, was: &Metadata) -> Result<bool, StoreError> {
    let stamp = |found: &Metadata| {
        let modified = (found.mtime(), found.mtime_nsec());
        (found.dev(), found.ino(), found.len(), modified)
    };
    let now = fs::symlink_metadata(path)?;
    Ok(!now.is_dir() && stamp(&now) == stamp(was))
}

/// Makes a copy of a source read-only, for those who may read the source.
fn seal(source: &Path, copy: &Path, executable: bool) -> Result<(), StoreError> {
    let may_read = mode(&fs::metadata(source)?);
    let execute = if executable { may_read >> 2 } else { 0 };
    Ok(fs::set_mode(copy, may_read | execute)?)
}

/// Creates a folder, whose entries are made by `make`.
fn put_folder(
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
