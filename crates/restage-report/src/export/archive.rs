//! A zip archive that an export makes: the same files give the same bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::replace::{PackageError, may_replace};
use restage_core::fs::{self, Context, FsError, StagedFile};

/// The archive's comment, which is its end: a file with this end may be replaced.
const MARK: &str = "Made by `restage export`, which replaces it whole.";

/// An unfinished archive; removed on drop.
#[derive(Debug)]
pub(super) struct Archive {
    writer: ZipArchiveWriter<File>,
    staged: StagedFile,
    target: PathBuf,
}

impl Archive {
    pub(super) fn start(target: &Path) -> Result<Self, PackageError> {
        ours(target)?;
        if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        let mut staged = StagedFile::new(target)?;
        let file = staged.file().try_clone().at("write", target)?;
        let mut writer = ZipArchiveWriter::new(file);
        writer.set_comment(MARK);
        Ok(Self {
            writer,
            staged,
            target: target.to_owned(),
        })
    }

    /// A new file, written by `write`. Without times and permissions, which are not results.
    pub(super) fn create<T>(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        let at = &self.target;
        let entry = self.writer.new_file(path);
        let entry = entry.compression_method(CompressionMethod::DEFLATE).start();
        let (mut entry, config) = entry.map_err(io::Error::other).at("write", at)?;
        let encoder = DeflateEncoder::new(&mut entry, Compression::default());
        let mut writer = config.wrap(encoder);
        let written = write(&mut writer)?;
        let (encoder, descriptor) = writer.finish().map_err(io::Error::other).at("write", at)?;
        encoder.finish().at("write", at)?;
        let finished = entry.finish(descriptor).map_err(io::Error::other);
        finished.at("write", at)?;
        Ok(written)
    }

    /// An entry for the folder itself: some readers look it up.
    pub(super) fn create_folder(&mut self, path: &str) -> Result<(), FsError> {
        let created = self.writer.new_dir(format!("{path}/").as_str()).create();
        let created = created.map_err(io::Error::other);
        created.at("write", &self.target).map(drop)
    }

    pub(super) fn commit(self) -> Result<(), PackageError> {
        ours(&self.target)?;
        let done = self.writer.finish().map_err(io::Error::other);
        done.at("write", &self.target)?;
        self.staged.commit()?;
        Ok(())
    }
}

/// Whether the file may be replaced: it is not there, or an export's.
fn ours(path: &Path) -> Result<(), PackageError> {
    may_replace(path, |found| {
        if !found.is_file() {
            return Ok(Err("no file"));
        }
        let mut file = fs::open(path)?;
        let start = found.len().saturating_sub(MARK.len() as u64);
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(start)).at("read", path)?;
        file.read_to_end(&mut end).at("read", path)?;
        Ok(match end == MARK.as_bytes() {
            true => Ok(()),
            false => Err("an archive that no export made"),
        })
    })
}
