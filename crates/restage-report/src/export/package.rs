//! What an export writes to: a folder or a zip archive, which appears as a whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::folder::Folder;
use super::replace::PackageError;
use restage_core::digest::{Digest, copy_and_digest};
use restage_core::fs::{Context, FsError};

/// An unfinished folder or archive; removed on drop.
#[derive(Debug)]
pub struct Package(Kind);

#[derive(Debug)]
enum Kind {
    Folder(Folder),
    Archive(Box<Archive>),
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// In bytes.
    pub size: u64,
    /// BLAKE3.
    pub digest: Digest,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Package {
    /// Starts the export to `target`: an archive if its name ends in `.zip`, else a folder.
    ///
    /// # Errors
    /// `target` was not made by an export, or the disk fails.
    pub fn start(target: &Path) -> Result<Self, PackageError> {
        let zip = target
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        Ok(Self(match zip {
            true => Kind::Archive(Box::new(Archive::start(target)?)),
            false => Kind::Folder(Folder::start(target)?),
        }))
    }

    /// Writes a new file; `path` is relative, `/` between its parts.
    ///
    /// # Errors
    /// There is such a file already, or the disk fails.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), FsError> {
        self.with(path, |out, at| out.write_all(bytes).at("write", at))
    }

    /// Copies a file to `path`.
    ///
    /// # Errors
    /// The file can't be read, there is one at `path` already, or the disk fails.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<Copied, FsError> {
        self.with(path, |out, at| {
            let mut tee = Tee {
                out,
                sha256: Sha256::new(),
            };
            let (digest, size) = copy_and_digest(from, &mut tee, at)?;
            let sha256 = tee.sha256.finalize();
            Ok(Copied {
                size,
                digest,
                sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            })
        })
    }

    /// Adds an entry for the folder at `path`, whose files are there already.
    ///
    /// # Errors
    /// The disk fails.
    pub fn folder(&mut self, path: &str) -> Result<(), FsError> {
        match &mut self.0 {
            // Its files created it.
            Kind::Folder(_) => Ok(()),
            Kind::Archive(archive) => archive.create_folder(path),
        }
    }

    fn with<T>(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut dyn Write, &Path) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        let at = Path::new(path);
        match &mut self.0 {
            Kind::Folder(folder) => {
                let mut file: File = folder.create(path)?;
                write(&mut file, at)
            }
            Kind::Archive(archive) => archive.create(path, |out| write(out, at)),
        }
    }

    /// Moves it into place.
    ///
    /// # Errors
    /// Something else has been put there meanwhile, or the disk fails.
    pub fn commit(self) -> Result<(), PackageError> {
        match self.0 {
            Kind::Folder(folder) => folder.commit(),
            Kind::Archive(archive) => archive.commit(),
        }
    }
}

/// Passes writes on and digests them.
struct Tee<'a> {
    out: &'a mut dyn Write,
    sha256: Sha256,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_both_digests() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("abc"), b"abc").unwrap();
        for target in ["folder", "archive.zip"] {
            let target = dir.path().join(target);
            let mut package = Package::start(&target).unwrap();
            let copied = package.copy("a/b", &dir.path().join("abc")).unwrap();
            assert_eq!((copied.size, copied.digest), (3, Digest::of(b"abc")));
            assert_eq!(
                copied.sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            );
            package.commit().unwrap();
        }
        assert_eq!(
            std::fs::read(dir.path().join("folder/a/b")).unwrap(),
            b"abc"
        );
    }

    #[test]
    fn an_archive_is_the_same_bytes_each_time_and_replaces_only_an_exports() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.ZIP");
        let make = || {
            let mut package = Package::start(&target).unwrap();
            package.write("one/two.txt", b"12").unwrap();
            package.folder("one").unwrap();
            package.commit().unwrap();
            std::fs::read(&target).unwrap()
        };
        assert_eq!(make(), make());
        std::fs::write(&target, b"PK, but not ours").unwrap();
        let error = Package::start(&target).unwrap_err();
        assert!(matches!(error, PackageError::NotOurs { .. }), "{error}");
        let names = restage_core::fs::read_dir(dir.path()).unwrap();
        assert_eq!(names, ["a.ZIP"]);
    }
}
