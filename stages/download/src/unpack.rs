//! Takes CIFAR-10's files out of a tar archive, gzipped or plain, and nothing else.
//! It must not trust the archive: names, kinds and sizes are checked before any byte is kept.
//!
//! Kept are the six files by name, with or without their folder. Other regular files, such
//! as the official archive's `readme.html`, are read over. Links, devices, names that lead
//! outside and anything too large end it all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use contract::Stage;
use contract::files::{self, FileError};
use dataset::cifar;
use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use crate::meter::Meter;

/// The folder that the official archive holds.
const FOLDER: &str = "cifar-10-batches-bin";

/// What an archive may unpack to; the official one has 184 MB in 8 entries of at most 31 MB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the whole tar file.
    pub(crate) total: u64,
    /// Bytes of one entry.
    pub(crate) entry: u64,
    /// Files and folders.
    pub(crate) entries: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        total: 2 << 30,
        entry: 512 << 20,
        entries: 10_000,
    };
}

/// An archive that is damaged, dangerous or not CIFAR-10's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("archive `{}` is damaged or truncated", path.display())]
    Damaged { path: PathBuf, source: io::Error },
    #[error("archive `{}` has an unsafe entry `{name}`: {reason}", path.display())]
    Unsafe {
        path: PathBuf,
        name: String,
        reason: &'static str,
    },
    #[error("archive `{}` unpacks to more than {limit} {what}", path.display())]
    TooLarge {
        path: PathBuf,
        limit: u64,
        what: &'static str,
    },
    #[error("archive `{}` has two entries `{name}`", path.display())]
    Duplicate { path: PathBuf, name: String },
    #[error("archive `{}` lacks {}", path.display(), missing.join(", "))]
    Missing { path: PathBuf, missing: Vec<String> },
}

/// Unpacks `archive` into `folder`, which exists and is empty.
pub(crate) fn unpack(
    stage: &Stage,
    archive: &Path,
    folder: &Path,
    limits: Limits,
    span: (f64, f64),
) -> Result<(), UnpackError> {
    let unpacking = Unpacking {
        archive,
        folder,
        limits,
    };
    let file = File::open(archive).map_err(FileError::new("read", archive))?;
    let length = file
        .metadata()
        .map_err(FileError::new("read", archive))?
        .len();
    let metered = Metered {
        inner: file,
        meter: Meter::new(stage, span, 0, length),
    };
    let mut input = BufReader::with_capacity(1 << 17, metered);
    let gzipped = io::BufRead::fill_buf(&mut input)
        .map_err(FileError::new("read", archive))?
        .starts_with(&[0x1f, 0x8b]);
    if gzipped {
        unpacking.tar(MultiGzDecoder::new(input))
    } else {
        unpacking.tar(input)
    }
}

struct Unpacking<'a> {
    archive: &'a Path,
    folder: &'a Path,
    limits: Limits,
}

impl Unpacking<'_> {
    fn tar(&self, input: impl Read) -> Result<(), UnpackError> {
        // One byte more than allowed, so that reaching it means too much.
        let mut archive = tar::Archive::new(input.take(self.limits.total + 1));
        let mut found = BTreeSet::new();
        let result = self.entries(&mut archive, &mut found);
        let mut rest = archive.into_inner();
        // Also when an entry fails: a bomb is a bomb, not a damaged file.
        if rest.limit() == 0 {
            return Err(self.too_large(self.limits.total, "bytes"));
        }
        result?;
        // What follows the last entry must be sound too: gzip's checksum is there.
        io::copy(&mut rest, &mut io::sink()).map_err(|error| self.damaged(error))?;
        if rest.limit() == 0 {
            return Err(self.too_large(self.limits.total, "bytes"));
        }
        let missing: Vec<String> = wanted()
            .filter(|name| !found.contains(*name))
            .map(|name| format!("`{name}`"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(UnpackError::Missing {
            path: self.archive.to_owned(),
            missing,
        })
    }

    fn entries(
        &self,
        archive: &mut tar::Archive<impl Read>,
        found: &mut BTreeSet<&'static str>,
    ) -> Result<(), UnpackError> {
        for (index, entry) in archive.entries().map_err(|e| self.damaged(e))?.enumerate() {
            let mut entry = entry.map_err(|error| self.damaged(error))?;
            if index >= self.limits.entries {
                return Err(self.too_large(self.limits.entries as u64, "entries"));
            }
            let path = entry.path_bytes().into_owned();
            let kind = entry.header().entry_type();
            // Notes for the whole archive, as git writes them; no file.
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let parts = parts(&path).map_err(|reason| self.refuse(&path, reason))?;
            match kind {
                EntryType::Regular | EntryType::Continuous => {}
                EntryType::Directory => continue,
                EntryType::Symlink | EntryType::Link => {
                    return Err(self.refuse(&path, "it is a link"));
                }
                EntryType::Char | EntryType::Block | EntryType::Fifo => {
                    return Err(self.refuse(&path, "it is a device"));
                }
                _ => return Err(self.refuse(&path, "it is neither a file nor a folder")),
            }
            let size = entry.size();
            if size > self.limits.entry {
                return Err(self.refuse(&path, "it is far larger than any batch"));
            }
            let Some(name) = wanted().find(|&name| is_at(&parts, name)) else {
                continue;
            };
            if !found.insert(name) {
                return Err(UnpackError::Duplicate {
                    path: self.archive.to_owned(),
                    name: name.to_owned(),
                });
            }
            self.keep(&mut entry, name, size)?;
        }
        Ok(())
    }

    fn keep(&self, entry: &mut impl Read, name: &str, size: u64) -> Result<(), UnpackError> {
        // The reader's error and the writer's have different causes; keep them apart.
        let mut read = Ok(0);
        files::write_atomic(self.folder.join(name), |out| {
            let mut source = Source {
                inner: entry,
                failed: None,
            };
            let copied = io::copy(&mut source, out);
            read = match source.failed {
                Some(error) => Err(error),
                None => copied.as_ref().map_or(Ok(size), |&count| Ok(count)),
            };
            match &read {
                Ok(_) => copied.map(|_| ()),
                Err(_) => Ok(()),
            }
        })?;
        match read {
            Ok(count) if count == size => Ok(()),
            Ok(_) => Err(self.damaged(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.damaged(error)),
        }
    }

    fn damaged(&self, source: io::Error) -> UnpackError {
        UnpackError::Damaged {
            path: self.archive.to_owned(),
            source,
        }
    }

    fn refuse(&self, name: &[u8], reason: &'static str) -> UnpackError {
        UnpackError::Unsafe {
            path: self.archive.to_owned(),
            name: String::from_utf8_lossy(name).escape_debug().collect(),
            reason,
        }
    }

    fn too_large(&self, limit: u64, what: &'static str) -> UnpackError {
        UnpackError::TooLarge {
            path: self.archive.to_owned(),
            limit,
            what,
        }
    }
}

/// The files that are kept.
fn wanted() -> impl Iterator<Item = &'static str> {
    cifar::TRAIN_FILES
        .into_iter()
        .chain([cifar::TEST_FILE, cifar::META_FILE])
}

/// A path's parts, without `.`; an error if it leads outside.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if path.starts_with(b"/") {
        return Err("its path is absolute");
    }
    if path.contains(&0) || path.contains(&b'\\') {
        return Err("its path has a character that no such name needs");
    }
    let parts = path.split(|&byte| byte == b'/');
    let parts: Vec<&[u8]> = parts
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    if parts.contains(&b"..".as_slice()) {
        return Err("its path contains `..`");
    }
    Ok(parts)
}

fn is_at(parts: &[&[u8]], name: &str) -> bool {
    parts == [name.as_bytes()] || parts == [FOLDER.as_bytes(), name.as_bytes()]
}

/// A reader that remembers its own failure.
struct Source<'a, R> {
    inner: &'a mut R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

/// A file whose bytes are counted as they are read.
struct Metered<'a> {
    inner: File,
    meter: Meter<'a>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
