//! Reading and writing files: the path in every error, and no half-written file under its name.
//! It must not know any file's format.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An I/O error with what was tried and on which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct FileError {
    /// What was tried, such as `read`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Puts what was tried and the path to a system's error; made for `map_err`.
    pub fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Reads a whole file.
///
/// # Errors
/// The system's error, with the path.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    fs::read(path).map_err(FileError::new("read", path))
}

/// Reads a whole file as UTF-8 text.
///
/// # Errors
/// The system's error, or text that is not UTF-8, with the path.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String, FileError> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(FileError::new("read", path))
}

/// Makes a folder and those above it; one that is already there is fine.
///
/// # Errors
/// The system's error, with the path.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(FileError::new("create the folder", path))
}

/// Writes a file under a temporary name beside it, syncs it, and gives it its name.
///
/// Whenever the process is killed, `path` is the old file or the whole new one. The
/// folder must exist. The file's mode is 0666 less the umask, as of any new file.
///
/// # Errors
/// The system's error, or the one that `write` returned, with the path; nothing stays
/// behind under the temporary name.
pub fn write_atomic(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    // A bare file name has an empty parent, which means the current folder.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let error = |source| FileError::new("write", path)(source);
    let mut temporary = tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(error)?;
    let mut buffered = BufWriter::new(temporary.as_file_mut());
    write(&mut buffered).map_err(error)?;
    buffered.flush().map_err(error)?;
    drop(buffered);
    temporary.as_file().sync_all().map_err(error)?;
    temporary
        .persist(path)
        .map_err(|failed| error(failed.error))?;
    // The new name is a change to the folder, which has to reach the disk too.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_was_tried_and_the_path() {
        let error = crate::StageError::from(read("/nonexistent/file").unwrap_err());
        insta::assert_snapshot!(error.report(), @"
        error: cannot read `/nonexistent/file`
          caused by: No such file or directory (os error 2)
        ");
    }

    #[test]
    fn a_written_file_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        write_atomic(&path, |out| out.write_all(b"one")).unwrap();
        write_atomic(&path, |out| out.write_all(b"two")).unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
        assert_eq!(mode & 0o111, 0);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        write_atomic(&path, |out| out.write_all(b"old")).unwrap();
        let error = write_atomic(&path, |out| {
            out.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("cannot write `{}`", path.display())
        );
        assert_eq!(read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
