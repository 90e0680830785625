//! A zip archive that an export makes: the same files, the same bytes.
//! It must not know what is in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::package::{PackageError, may_replace};
use crate::base::fs::{self, Context, FsError, StagedFile};

/// The archive's comment, which is its end: what ends so may be replaced.
const MARK: &str = "Made by `restage export`, which replaces it whole.";

/// An archive in the making; dropped, it is removed.
#[derive(Debug)]
pub(super) struct Archive {
    writer: ZipWriter<File>,
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
        let mut writer = ZipWriter::new(file);
        let marked = writer.set_comment(MARK);
        marked.map_err(io::Error::from).at("write", target)?;
        Ok(Self {
            writer,
            staged,
            target: target.to_owned(),
        })
    }

    /// A new file, to be written to until the next one.
    pub(super) fn create(&mut self, path: &str) -> Result<&mut dyn Write, FsError> {
        // No time and no permissions but the default ones: they are nobody's result.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(true);
        let started = self.writer.start_file(path, options);
        started.map_err(io::Error::from).at("write", &self.target)?;
        Ok(&mut self.writer)
    }

    pub(super) fn commit(self) -> Result<(), PackageError> {
        ours(&self.target)?;
        let done = self.writer.finish();
        done.map_err(io::Error::from).at("write", &self.target)?;
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
