//! Takes everything out of an archive that nobody vouches for: names, kinds and sizes are checked first.
//!
//! What leads out of the folder, what is neither file, folder nor link, two entries of one name, and more than
//! an archive of this size should hold end it all. Links are made last, when nothing can be written through
//! them any more, and each must lead to something in the folder.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lzma_rust2::XzReader;
use tar::EntryType;

use super::error::UnpackError;
use super::streams::{Frames, Headers, Members};
use super::zip;
use restage_core::fs::{self, Context};

/// What a file is packed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// A tar file.
    Tar,
    /// A tar file in gzip.
    TarGz,
    /// A tar file in xz.
    TarXz,
    /// A tar file in zstd.
    TarZst,
    /// A zip file.
    Zip,
}

impl Unpack {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tar, Self::TarGz, Self::TarXz, Self::TarZst, Self::Zip];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::TarXz => "tar.xz",
            Self::TarZst => "tar.zst",
            Self::Zip => "zip",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an archive may unpack to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes, whatever its size.
    pub bytes: u64,
    /// And this many for each byte of the archive.
    pub ratio: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl Limits {
    /// Text compresses to a twentieth, sparse tables to less; a bomb to a thousandth and below.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 30,
        ratio: 200,
        entries: 50_000_000,
    };

    fn total(&self, archive: u64) -> u64 {
        self.bytes
            .saturating_add(self.ratio.saturating_mul(archive))
    }
}

/// Between the content of two entries; the longest name that a system has is a thousandth.
const MOST_HEADER_BYTES: u64 = 4 << 20;
/// Of a path, and of a name in it: Linux has no longer ones.
const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;

/// Unpacks `archive` into `folder`, which exists and is empty.
pub(super) fn unpack(
    archive: &Path,
    kind: Unpack,
    folder: &Path,
    limits: &Limits,
) -> Result<(), UnpackError> {
    let file = fs::open(archive)?;
    let size = file.metadata().at("read", archive)?.len();
    let mut unpacking = Unpacking {
        folder: fs::canonicalize(folder)?,
        kind,
        most_bytes: limits.total(size),
        most_entries: limits.entries,
        bytes: 0,
        entries: 0,
        links: BTreeMap::new(),
    };
    let input = || BufReader::with_capacity(1 << 17, &file);
    match kind {
        Unpack::Tar => unpacking.tar(input())?,
        Unpack::TarGz => unpacking.tar(Members::new(input()))?,
        // The dictionary of `xz -9` takes 64 MiB.
        Unpack::TarXz => unpacking.tar(XzReader::new_mem_limit(input(), true, 1 << 20))?,
        Unpack::TarZst => unpacking.tar(Frames::new(input()))?,
        Unpack::Zip => zip::unpack(&file, &mut unpacking)?,
    }
    unpacking.finish()
}

/// An archive that is being unpacked.
pub(super) struct Unpacking {
    /// Without links on the way to it.
    folder: PathBuf,
    kind: Unpack,
    most_bytes: u64,
    most_entries: u64,
    bytes: u64,
    entries: u64,
    /// To be made at the end, with what they lead to.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Unpacking {
    fn tar(&mut self, input: impl Read) -> Result<(), UnpackError> {
        // One byte more than allowed, so that reaching it means too much.
        let input = input.take(self.most_bytes.saturating_add(1));
        let left = Rc::new(Cell::new(u64::MAX));
        let mut archive = tar::Archive::new(Headers::new(input, Rc::clone(&left)));
        let mut result = self.tar_entries(&mut archive, &left);
        let mut input = archive.into_inner().into_inner();
        if result.is_ok() {
            // What is packed has its own end, and a checksum there.
            let rest = io::copy(&mut input, &mut io::sink());
            result = rest.map(drop).map_err(|error| self.damaged(error));
        }
        // Also when an entry fails: a bomb is a bomb, not a damaged file.
        match input.limit() {
            0 => Err(self.too_large()),
            _ => result,
        }
    }

    fn tar_entries(
        &mut self,
        archive: &mut tar::Archive<impl Read>,
        left: &Cell<u64>,
    ) -> Result<(), UnpackError> {
        let mut none = true;
        let mut entries = archive.entries().map_err(|error| self.damaged(error))?;
        loop {
            // Names and the like are kept in memory, however long they say they are.
            left.set(MOST_HEADER_BYTES);
            let Some(entry) = entries.next() else {
                break;
            };
            let mut entry = entry.map_err(|error| self.damaged(error))?;
            left.set(u64::MAX);
            none = false;
            let name = entry.path_bytes().into_owned();
            let header = entry.header();
            let kind = header.entry_type();
            let mode = header.mode().unwrap_or(0o644);
            let target = entry.link_name_bytes().map(|target| target.into_owned());
            match kind {
                // Notes for the whole archive, as git writes them; no file.
                EntryType::XGlobalHeader => {}
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    self.file(&name, mode & 0o100 != 0, &mut entry)?;
                }
                EntryType::Directory => self.folder(&name)?,
                EntryType::Symlink => self.link(&name, &target.unwrap_or_default())?,
                EntryType::Link => self.second_name(&name, &target.unwrap_or_default())?,
                EntryType::Char | EntryType::Block | EntryType::Fifo => {
                    return Err(refused(&name, "it is a device"));
                }
                _ => return Err(refused(&name, "it is neither a file, a folder nor a link")),
            }
            let rest = io::copy(&mut entry, &mut io::sink());
            rest.map_err(|error| self.damaged(error))?;
        }
        match none {
            true => Err(self.damaged(io::Error::other("it has no entries"))),
            false => Ok(()),
        }
    }

    /// A file; `input` has its bytes, which are counted.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        executable: bool,
        input: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let path = self.new_path(name)?;
        let mut file = fs::create_new(&path)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(error)),
            };
            self.bytes += count as u64;
            if self.bytes > self.most_bytes {
                return Err(self.too_large());
            }
            file.write_all(&buffer[..count]).at("write", &path)?;
        }
        Ok(fs::set_mode(&path, if executable { 0o755 } else { 0o644 })?)
    }

    /// A folder, which may be there already.
    pub(super) fn folder(&mut self, name: &[u8]) -> Result<(), UnpackError> {
        self.count()?;
        let Some(path) = self.inside(name)? else {
            return Ok(());
        };
        self.make_folders(name, &path)
    }

    /// A link with the text of its target.
    pub(super) fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let path = self.new_path(name)?;
        let target = text(target).ok_or_else(|| refused(name, "its target is not UTF-8"))?;
        if target.is_empty() || target.starts_with('/') {
            return Err(refused(name, "it is a link that leads out of the folder"));
        }
        self.links.insert(path, target.into());
        Ok(())
    }

    /// A second name of a file that came before: a file of its own here.
    fn second_name(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let from = self.inside(target)?;
        let from =
            from.filter(|from| fs::symlink_metadata(from).is_ok_and(|found| found.is_file()));
        let from =
            from.ok_or_else(|| refused(name, "it is a second name of no file in the archive"))?;
        let mut file = fs::open(&from)?;
        let found = file.metadata().at("read", &from)?;
        let executable = restage_core::digest::is_executable(&found);
        self.file(name, executable, &mut file)
    }

    /// Where something new goes; the folders above it are made.
    fn new_path(&mut self, name: &[u8]) -> Result<PathBuf, UnpackError> {
        self.count()?;
        let path = self
            .inside(name)?
            .ok_or_else(|| refused(name, "it has no name"))?;
        let taken =
            self.links.contains_key(&path) || fs::symlink_metadata_if_exists(&path)?.is_some();
        if taken {
            return Err(refused(name, "another entry has the same name"));
        }
        if let Some(parent) = path.parent() {
            self.make_folders(name, parent)?;
        }
        Ok(path)
    }

    /// Makes a folder and those above it. None of them is a link: links come last.
    fn make_folders(&self, name: &[u8], path: &Path) -> Result<(), UnpackError> {
        let above = path.ancestors().take_while(|above| *above != self.folder);
        for above in above {
            let is_file = || {
                fs::symlink_metadata_if_exists(above)
                    .map(|found| found.is_some_and(|it| !it.is_dir()))
            };
            if self.links.contains_key(above) || is_file()? {
                return Err(refused(name, "it lies in what is no folder"));
            }
        }
        Ok(fs::create_dir_all(path)?)
    }

    fn inside(&self, name: &[u8]) -> Result<Option<PathBuf>, UnpackError> {
        let parts = parts(name).map_err(|reason| refused(name, reason))?;
        let mut path = self.folder.clone();
        path.extend(&parts);
        let long = |part: &&str| part.len() > LONGEST_NAME;
        if path.as_os_str().len() > LONGEST_PATH || parts.iter().any(long) {
            let start = name.get(..LONGEST_NAME.min(name.len())).unwrap_or_default();
            return Err(refused(
                start,
                "its path is longer than a file system takes",
            ));
        }
        Ok((!parts.is_empty()).then_some(path))
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        self.entries += 1;
        match self.entries > self.most_entries {
            true => Err(UnpackError::TooLarge {
                limit: self.most_entries,
                what: "entries",
            }),
            false => Ok(()),
        }
    }

    /// Makes the links, and checks where each really leads.
    fn finish(self) -> Result<(), UnpackError> {
        for (path, target) in &self.links {
            fs::symlink(target, path)?;
        }
        for path in self.links.keys() {
            let name = path.strip_prefix(&self.folder).unwrap_or(path);
            let name = name.to_string_lossy();
            let refused = |reason| refused(name.as_bytes(), reason);
            let real = fs::canonicalize(path);
            let real = real.map_err(|_| refused("it is a link that leads nowhere"))?;
            if !real.starts_with(&self.folder) {
                return Err(refused("it is a link that leads out of the folder"));
            }
        }
        Ok(())
    }

    pub(super) fn damaged(&self, source: io::Error) -> UnpackError {
        UnpackError::Damaged {
            kind: self.kind.name(),
            source,
        }
    }

    fn too_large(&self) -> UnpackError {
        UnpackError::TooLarge {
            limit: self.most_bytes,
            what: "bytes",
        }
    }
}

pub(super) fn refused(name: &[u8], reason: &'static str) -> UnpackError {
    UnpackError::Unsafe {
        name: String::from_utf8_lossy(name).escape_debug().collect(),
        reason,
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// A path's parts, without `.`; an error if it leads outside, or no path of a pipeline can have it.
fn parts(path: &[u8]) -> Result<Vec<&str>, &'static str> {
    let path = text(path).ok_or("its name is not UTF-8 or has a control character")?;
    if path.starts_with('/') {
        return Err("its path is absolute");
    }
    let parts = path.split('/');
    let parts: Vec<&str> = parts
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    match parts.contains(&"..") {
        true => Err("its path has `..`"),
        false => Ok(parts),
    }
}
