//! Objects: read-only files named by the digest of their bytes.
//!
//! A file is one object without its execute bit; a folder is the object of its manifest and
//! one for each file in it. An out's inode becomes the object: the stage's process group is
//! gone by then, so nobody has it open for writing. An out that has other names already, or
//! that a link leads to, is copied instead.

mod fill;
mod flush;
mod inputs;
mod place;
mod travel;

pub use inputs::SharedFile;
pub use place::Look;
pub use travel::Arrival;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{StoreError, digest_named};
use super::listing::{self, Listing};
use super::location::Location;
use super::trash::Trash;
use super::unflushed::Unflushed;
use restage_core::digest::{
    Digest, Kind, Manifest, Node, PathDigest, StatCache, check_link, copy_to_new_and_digest,
    digest_file, digest_found,
};
use restage_core::fs::{self, FsError, StagedFile};

/// The objects of a store.
#[derive(Debug)]
pub struct Objects {
    location: Location,
    cache: Arc<StatCache>,
    trash: Trash,
    /// The store's folder, opened before anything is written to its disk, so that a flush learns of
    /// all that the disk refused since.
    disk: Option<File>,
    /// What went wrong without doing harm.
    warnings: Mutex<Vec<String>>,
    /// Devices whose files can't be cloned into the workspace's temporary folder.
    never_clone: Mutex<BTreeSet<u64>>,
}

/// How a path gets its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// A separate file, which may be written to.
    Plain,
    /// Read-only: a clone of the object, else a hard link to it, else a copy.
    Linked,
    /// Read-only, for a stage to read: a clone of the object, else a copy of a file that is smaller than
    /// this many bytes, else a hard link, else a copy.
    Input {
        /// The size of the smallest file that is linked.
        link_from: u64,
    },
}

impl Placement {
    /// Whether a file of this size may be a second name of its object.
    fn may_link(self, size: u64) -> bool {
        match self {
            Self::Plain => false,
            Self::Linked => true,
            Self::Input { link_from } => size >= link_from,
        }
    }
}

impl Objects {
    pub(super) fn new(location: &Location, cache: &Arc<StatCache>, trash: &Trash) -> Self {
        Self {
            location: location.clone(),
            cache: Arc::clone(cache),
            trash: trash.clone(),
            disk: fs::open(location.dir()).ok(),
            warnings: Mutex::default(),
            never_clone: Mutex::default(),
        }
    }

    /// What went wrong without doing harm since the last call.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a finished out, a file or folder, into the store and returns its digest. When this
    /// returns, the bytes are on the disk. The path stays, read-only.
    pub fn ingest(&self, path: &Path) -> Result<PathDigest, StoreError> {
        let mut unflushed = Unflushed::default();
        let content = self.ingest_into(path, &mut unflushed)?;
        self.flush(&unflushed)?;
        Ok(content)
    }

    /// Like [`Objects::ingest`], but notes in `unflushed` what must still reach the disk.
    pub fn ingest_into(
        &self,
        path: &Path,
        unflushed: &mut Unflushed,
    ) -> Result<PathDigest, StoreError> {
        let own = !fs::symlink_metadata(path)?.is_symlink();
        self.take_in(path, own, unflushed)
    }

    /// Like [`Objects::ingest_into`], of something that is not ours alone: it is copied, and stays as
    /// it is.
    pub fn ingest_copy_into(
        &self,
        path: &Path,
        unflushed: &mut Unflushed,
    ) -> Result<PathDigest, StoreError> {
        self.take_in(path, false, unflushed)
    }

    /// `may_link`: whether the files may become objects themselves.
    fn take_in(
        &self,
        path: &Path,
        may_link: bool,
        unflushed: &mut Unflushed,
    ) -> Result<PathDigest, StoreError> {
        check_link(path)?;
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            let digest = digest_found(path, &metadata)?;
            self.keep_file(path, &metadata, &digest, may_link, ALL, unflushed)?;
            let kind = Kind::File {
                executable: metadata.mode() & 0o100 != 0,
            };
            return Ok(PathDigest {
                digest,
                kind,
                size: metadata.len(),
                files: 1,
            });
        }
        let tree = self.cache.tree(path)?;
        let mut folders = Folders::below(path);
        for entry in tree.manifest.entries() {
            if let Node::File { digest, .. } = &entry.node {
                let file = path.join(&entry.path);
                let found = fs::metadata(&file)?;
                let may = folders.open_to(file.parent().unwrap_or(path))?;
                // What lies elsewhere is not the stage's to give away.
                let may_link = may_link && !tree.is_behind_link(&entry.path);
                self.keep_file(&file, &found, digest, may_link, may, unflushed)?;
            }
        }
        let bytes = tree.manifest.to_bytes();
        self.keep_bytes(&bytes, &tree.content.digest, unflushed)?;
        Ok(tree.content)
    }

    /// Copies a file that should have this digest into the store; the file stays as it is.
    pub(super) fn keep_copy(&self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let mut unflushed = Unflushed::default();
        let found = fs::metadata(path)?;
        self.keep_file(path, &found, digest, false, ALL, &mut unflushed)?;
        self.flush(&unflushed)
    }

    /// Stores again what is at `path`, a file or folder, if it still is `content`: every byte of what
    /// the store lacks is read. Returns whether it was.
    pub fn keep_placed(&self, path: &Path, content: &PathDigest) -> Result<bool, StoreError> {
        match self.keep_placed_now(path, content) {
            // It was edited or removed, or can't be read.
            Err(StoreError::SourceChanged { .. }) => Ok(false),
            Err(StoreError::Fs(error)) if error.path.starts_with(path) => Ok(false),
            kept => kept,
        }
    }

    fn keep_placed_now(&self, path: &Path, content: &PathDigest) -> Result<bool, StoreError> {
        if self.cache.digest_at(path)?.as_ref() != Some(content) {
            return Ok(false);
        }
        let keep = |file: &Path, digest: &Digest| match self.keep_copy(file, digest) {
            Err(error @ StoreError::SourceChanged { .. }) => {
                // What is remembered of it is wrong.
                self.forget_target(file)?;
                Err(error)
            }
            kept => kept,
        };
        if content.kind != Kind::Tree {
            return keep(path, &content.digest).map(|()| true);
        }
        let manifest = self.cache.tree(path)?.manifest;
        for entry in manifest.entries() {
            if let Node::File { digest, .. } = &entry.node {
                keep(&path.join(&entry.path), digest)?;
            }
        }
        self.keep_manifest(&manifest, &content.digest)?;
        Ok(true)
    }

    /// Forgets what is known of a file that a link may lead to.
    fn forget_target(&self, path: &Path) -> Result<(), StoreError> {
        if let Some(found) = fs::metadata_if_exists(path)? {
            self.cache.forget(&found);
        }
        Ok(())
    }

    /// Makes a folder's object, but not those of its files.
    pub(super) fn keep_manifest(
        &self,
        manifest: &Manifest,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let mut unflushed = Unflushed::default();
        self.keep_bytes(&manifest.to_bytes(), digest, &mut unflushed)?;
        self.flush(&unflushed)
    }

    /// Makes a file with this digest an object, unless it is one already. `may` masks its
    /// permissions.
    fn keep_file(
        &self,
        path: &Path,
        before: &Metadata,
        digest: &Digest,
        may_link: bool,
        may: u32,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let object = self.path(digest);
        let mode = self.location.object_mode(before.mode() & may);
        if self.holds(digest, before.len())? {
            // Another run may have made it a moment ago.
            self.narrow(&object, mode)?;
            unflushed.file(object);
            return Ok(());
        }
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        if may_link && before.nlink() == 1 {
            fs::set_mode(path, mode)?;
            match fs::hard_link(path, &object) {
                Ok(true) => {
                    let after = fs::metadata(&object)?;
                    if (after.len(), after.mtime(), after.mtime_nsec())
                        != (before.len(), before.mtime(), before.mtime_nsec())
                    {
                        fs::remove_file(&object)?;
                        return Err(StoreError::SourceChanged {
                            path: path.to_owned(),
                        });
                    }
                    return Ok(self.cache.seal(&object, *digest)?);
                }
                // Another process made the same object meanwhile.
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
                Ok(false) => {}
            }
        }
        let mut staged = StagedFile::new_in(&self.location.tmp(), &object)?;
        let (copied, _) = copy_to_new_and_digest(path, staged.file(), &object)?;
        if copied != *digest {
            return Err(StoreError::SourceChanged {
                path: path.to_owned(),
            });
        }
        staged.set_mode(mode)?;
        staged.commit_unflushed()?;
        Ok(self.cache.seal(&object, *digest)?)
    }

    fn keep_bytes(
        &self,
        bytes: &[u8],
        digest: &Digest,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let object = self.path(digest);
        if self.holds(digest, bytes.len() as u64)? {
            unflushed.file(object);
            return Ok(());
        }
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        let mut staged = StagedFile::new_in(&self.location.tmp(), &object)?;
        staged.write(bytes)?;
        staged.set_mode(self.location.object_mode(0o444))?;
        staged.commit_unflushed()?;
        Ok(self.cache.seal(&object, *digest)?)
    }

    /// Whether there is a sound object of this digest; a damaged one, or one that this user may
    /// not read, is moved aside.
    fn holds(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        match self.check(digest, size) {
            Ok(()) => Ok(true),
            Err(StoreError::MissingObject { .. }) if fs::exists(&self.path(digest))? => {
                self.quarantine(digest)?;
                Ok(false)
            }
            Err(StoreError::MissingObject { .. } | StoreError::CorruptObject { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the store has the file, or the folder with all that lies in it; sizes are
    /// checked, bytes are not read.
    pub fn has(&self, content: &PathDigest) -> Result<bool, StoreError> {
        if content.kind != Kind::Tree {
            return self.has_blob(&content.digest, content.size);
        }
        let manifest = match self.manifest(&content.digest) {
            Ok(manifest) => manifest,
            Err(StoreError::Fs(error)) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        for (digest, size) in manifest.files() {
            if !self.has_blob(digest, size)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let found = fs::symlink_metadata_if_exists(&self.path(digest))?;
        let Some(found) = found.filter(|found| found.is_file() && found.len() == size) else {
            return Ok(false);
        };
        // Everybody may read most objects; then there is no need to ask.
        Ok(found.mode() & 0o004 != 0 || fs::may_read(&self.path(digest)))
    }

    /// Reads the file, or the folder with all that lies in it, and checks every byte. A
    /// damaged object is moved to the quarantine and counts as missing from then on.
    pub fn verify(&self, content: &PathDigest) -> Result<(), StoreError> {
        if content.kind != Kind::Tree {
            return self.verify_blob(&content.digest);
        }
        for (digest, _) in self.manifest(&content.digest)?.files() {
            self.verify_blob(digest)?;
        }
        Ok(())
    }

    fn verify_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let object = self.path(digest);
        if fs::symlink_metadata_if_exists(&object)?.is_none() {
            return Err(StoreError::MissingObject { digest: *digest });
        }
        match digest_file(&object) {
            Ok(there) if there == *digest => Ok(()),
            Err(error) if !is_unreadable(&error) => Err(error.into()),
            _ => Err(self.quarantine(digest)?),
        }
    }

    /// Checks an object by what `stat` says of it; its bytes are read if the stat cache doesn't
    /// know it.
    pub(super) fn check(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let object = self.path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        self.check_found(digest, size, found)
    }

    /// Like [`Objects::check`], of an object that was looked at already.
    fn check_found(&self, digest: &Digest, size: u64, found: Metadata) -> Result<(), StoreError> {
        let object = self.path(digest);
        if !found.is_file() || found.len() != size {
            return Err(self.quarantine(digest)?);
        }
        let (has, read_only) = (found.mode() & 0o7777, mode(&found));
        match self.cache.digest_of(&object, found) {
            Ok(there) if there == *digest => {}
            Ok(_) => return Err(self.quarantine(digest)?),
            // Another user's, made for that user alone.
            Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                return Err(StoreError::MissingObject { digest: *digest });
            }
            // The disk can't read it, now and in future.
            Err(error) if is_unreadable(&error) => return Err(self.quarantine(digest)?),
            Err(error) => return Err(error.into()),
        }
        if has & 0o222 != 0 {
            fs::set_mode(&object, read_only)?;
        }
        Ok(())
    }

    /// Takes permissions from an object that another stage with the same bytes did not grant: they
    /// are never published wider than any stage made them.
    fn narrow(&self, object: &Path, mode: u32) -> Result<(), StoreError> {
        let found = fs::symlink_metadata(object)?.mode() & 0o777;
        match self.location.shared() {
            None if found & !mode != 0 => Ok(fs::set_mode(object, found & mode)?),
            _ => Ok(()),
        }
    }

    /// The manifest of a folder, checked.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, StoreError> {
        let bytes = fs::read_if_exists(&self.path(digest))?
            .ok_or(StoreError::MissingObject { digest: *digest })?;
        if Digest::of(&bytes) != *digest {
            return Err(self.quarantine(digest)?);
        }
        Manifest::from_bytes(&bytes).map_err(|source| StoreError::NoManifest {
            digest: *digest,
            source,
        })
    }

    /// Every file in `objects/`.
    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        let objects = self.folder();
        let mut listing = Listing::default();
        for shard in fs::read_dir(&objects)? {
            let folder = objects.join(&shard);
            let two = shard.to_str().filter(|name| name.len() == 2);
            let (Some(two), true) = (two, fs::symlink_metadata(&folder)?.is_dir()) else {
                listing.strays.push(folder);
                continue;
            };
            for name in fs::read_dir(&folder)? {
                listing.add(folder.join(&name), digest_named(two, &name));
            }
        }
        Ok(listing)
    }

    /// Moves something that must not stay where it is to the quarantine; returns its new path.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let name = path.file_name().unwrap_or_default();
        self.set_aside_as(path, name.as_ref())
    }

    /// Every path in the quarantine.
    pub(super) fn quarantined(&self) -> Result<Vec<PathBuf>, StoreError> {
        listing::of_temporary(&self.location.quarantine())
    }

    /// Moves a damaged object to the quarantine; returns the error that says so.
    fn quarantine(&self, digest: &Digest) -> Result<StoreError, StoreError> {
        let (path, name) = (self.path(digest), digest.to_string());
        let moved_to = match self.set_aside_as(&path, name.as_ref()) {
            Err(StoreError::Fs(error)) if error.is_forbidden() => path,
            // Somebody else found it damaged, too.
            Err(StoreError::Fs(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                return Ok(StoreError::MissingObject { digest: *digest });
            }
            moved => moved?,
        };
        Ok(StoreError::CorruptObject {
            digest: *digest,
            moved_to,
        })
    }

    fn set_aside_as(&self, path: &Path, name: &Path) -> Result<PathBuf, StoreError> {
        self.forget(path)?;
        let aside = fs::temp_name(&self.location.quarantine().join(name));
        fs::rename(path, &aside)?;
        Ok(aside)
    }

    /// Removes an object.
    pub(super) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.forget(path)?;
        Ok(self.location.remove(path)?)
    }

    /// What is no longer an object is not vouched for: its inode's number may come back.
    fn forget(&self, path: &Path) -> Result<(), StoreError> {
        if let Some(found) = fs::symlink_metadata_if_exists(path)? {
            self.cache.forget(&found);
        }
        Ok(())
    }

    /// Where the object of a digest is.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.folder().join(&hex[..2]).join(&hex[2..])
    }

    fn folder(&self) -> PathBuf {
        self.location.dir().join("objects")
    }

    /// Creates the folder of a new object.
    fn make_folder(&self, object: &Path, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let Some(folder) = object.parent() else {
            return Ok(());
        };
        match fs::create_dir(folder) {
            Ok(()) => unflushed.folder(self.folder()),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.location.share(folder)
    }
}

/// Masks nothing.
const ALL: u32 = 0o777;

/// Who may get to the files in an out: a private folder protects what is in it.
struct Folders<'a> {
    root: &'a Path,
    open_to: BTreeMap<PathBuf, u32>,
}

impl<'a> Folders<'a> {
    fn below(root: &'a Path) -> Self {
        Self {
            root,
            open_to: BTreeMap::new(),
        }
    }

    /// The permission bits that a file in this folder can have for those who may enter the folder.
    fn open_to(&mut self, folder: &Path) -> Result<u32, FsError> {
        if let Some(may) = self.open_to.get(folder) {
            return Ok(*may);
        }
        let mut may = 0o700;
        let mode = fs::metadata(folder)?.mode();
        for class in [0o070, 0o007] {
            if mode & class & 0o111 != 0 {
                may |= class;
            }
        }
        if let Some(parent) = folder.parent().filter(|_| folder != self.root) {
            may &= self.open_to(parent)?;
        }
        self.open_to.insert(folder.to_owned(), may);
        Ok(may)
    }
}

/// The permission bits of an object, of which something may have granted more.
fn mode(found: &Metadata) -> u32 {
    found.mode() & 0o444 | 0o400
}

/// Whether the disk can't read a file.
fn is_unreadable(error: &FsError) -> bool {
    error.source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
