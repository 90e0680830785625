//! A remote that is a folder of this machine, or one that is mounted here.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::RemoteError;
use super::transport::{Body, Sink, Transport};
use restage_core::clock::WallTime;
use restage_core::fs::{self, Context, StagedFile};

/// Where files are written before they get their names; on the same file system as these.
const TMP: &str = "v1/tmp";

/// Nobody writes to a file for so long, whatever clocks say.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// A folder.
#[derive(Debug)]
pub(crate) struct FileTransport {
    root: PathBuf,
    address: String,
}

impl FileTransport {
    pub(crate) fn new(root: PathBuf, address: String) -> Self {
        Self { root, address }
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// A folder that is not there may be a disk that is not mounted: that nothing is in it says nothing.
    fn check_root(&self) -> Result<(), RemoteError> {
        match fs::metadata_if_exists(&self.root)? {
            Some(found) if found.is_dir() => Ok(()),
            _ => Err(RemoteError::NoFolder(self.root.display().to_string())),
        }
    }

    /// Makes the folder in one that is there.
    fn make_root(&self) -> Result<(), RemoteError> {
        if fs::metadata_if_exists(&self.root)?.is_none() {
            let parent = self.root.parent().unwrap_or(Path::new("/"));
            if fs::metadata_if_exists(parent)?.is_some_and(|found| found.is_dir()) {
                // Somebody else may make it just now.
                fs::create_dir_all(&self.root)?;
            }
        }
        self.check_root()
    }
}

impl Transport for FileTransport {
    fn address(&self) -> &str {
        &self.address
    }

    fn make(&self) -> Result<(), RemoteError> {
        self.named(self.make_root())?;
        self.tidy();
        Ok(())
    }

    fn size(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        self.named(self.size_of(name))
    }

    fn get(
        &self,
        name: &str,
        part: Option<&Range<u64>>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, RemoteError> {
        self.named(self.read(name, part, sink))
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError> {
        self.named(self.write(name, body))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(&str, u64)) -> Result<bool, RemoteError> {
        self.named(self.walk(prefix, each))
    }
}

impl FileTransport {
    /// Removes what pushes that were killed left. Who can't, leaves it to others.
    fn tidy(&self) {
        let tmp = self.root.join(TMP);
        let long_ago = WallTime::now().earlier(ABANDONED).seconds;
        for name in fs::read_dir_if_exists(&tmp).unwrap_or_default() {
            let path = tmp.join(&name);
            let found = fs::symlink_metadata_if_exists(&path).ok().flatten();
            let old = found.is_some_and(|found| found.is_file() && found.mtime() < long_ago);
            if old && fs::is_temp_name(&name) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// An error of the remote's disk is the remote's.
    fn named<T>(&self, done: Result<T, RemoteError>) -> Result<T, RemoteError> {
        done.map_err(|error| match error {
            RemoteError::Fs(error) if error.path.starts_with(&self.root) => {
                RemoteError::Folder(error)
            }
            error => error,
        })
    }

    fn size_of(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        let found = fs::symlink_metadata_if_exists(&self.root.join(name))?;
        match found.filter(std::fs::Metadata::is_file) {
            Some(found) => Ok(Some(found.len())),
            None => self.check_root().map(|()| None),
        }
    }

    fn read(
        &self,
        name: &str,
        part: Option<&Range<u64>>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, RemoteError> {
        let path = self.root.join(name);
        // Not what a link leads to: other people may write to the folder.
        let mut file = match fs::open_own(&path) {
            Ok(file) => file,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
                return self.check_root().map(|()| false);
            }
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata().at("look at", &path)?.len();
        let wanted = part.cloned().unwrap_or(0..length);
        file.seek(SeekFrom::Start(wanted.start)).at("read", &path)?;
        let mut left = wanted.end.saturating_sub(wanted.start);
        let mut buffer = vec![0; 1 << 18];
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let count = file.read(&mut buffer[..most]).at("read", &path)?;
            if count == 0 {
                let expected = wanted.end - wanted.start;
                return Err(RemoteError::Cut {
                    what: self.shown(name),
                    got: expected - left,
                    expected,
                });
            }
            sink(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(true)
    }

    fn write(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError> {
        self.check_root()?;
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        let tmp = self.root.join(TMP);
        fs::create_dir_all(&tmp)?;
        fs::create_dir_all(folder)?;
        let mut staged = StagedFile::new_in(&tmp, &path)?;
        match body {
            Body::Bytes(bytes) => staged.write(bytes)?,
            Body::File(from) => {
                let mut from_file = fs::open_own(from)?;
                io::copy(&mut from_file, staged.file()).at("write", &path)?;
            }
        }
        staged.commit()?;
        Ok(fs::sync_dir(folder)?)
    }

    fn walk(&self, prefix: &str, each: &mut dyn FnMut(&str, u64)) -> Result<bool, RemoteError> {
        self.check_root()?;
        // Up to the last folder that the prefix names.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let at = self.root.join(&folder);
            for name in fs::read_dir_if_exists(&at)? {
                let Some(name) = name.to_str() else { continue };
                let path = format!("{folder}/{name}");
                if !path.starts_with(prefix) {
                    continue;
                }
                // It may be removed, or replaced by a link, while we look.
                match fs::symlink_metadata_if_exists(&at.join(name))? {
                    Some(found) if found.is_dir() => open.push(path),
                    Some(found) if found.is_file() => each(&path, found.len()),
                    _ => {}
                }
            }
        }
        Ok(true)
    }
}
