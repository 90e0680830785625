//! A failed file operation: what was tried, on which path, why it failed, what may help.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed. Its text includes the cause, so `source` starts below that.
#[derive(Debug)]
pub struct FsError {
    /// The verb, as in "cannot {op} `{path}`".
    pub op: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

impl FsError {
    /// Whether this user, or nobody, may write there.
    pub fn is_forbidden(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }

    /// Whether the path leads through a folder that this user may not look into, or is too long.
    pub fn is_out_of_reach(&self) -> bool {
        let denied = self.source.kind() == io::ErrorKind::PermissionDenied;
        denied
            || rustix::io::Errno::from_io_error(&self.source)
                == Some(rustix::io::Errno::NAMETOOLONG)
    }

    /// What is tried with a link.
    pub const FOLLOW: &str = "follow the link";

    /// Whether a link leads nowhere, or round in a circle.
    pub fn is_bad_link(&self) -> bool {
        self.op == Self::FOLLOW
    }

    /// Whether what was found is to blame, and not the machine: a bad link, a pipe, a name that can't
    /// be written down.
    pub fn is_about_content(&self) -> bool {
        let own = self.source.raw_os_error().is_none();
        self.is_bad_link() || (own && self.source.kind() == io::ErrorKind::InvalidInput)
    }

    /// What the user can do about it, if the cause is a common one.
    pub fn hint(&self) -> Option<&'static str> {
        use rustix::io::Errno;
        if self.is_bad_link() {
            return Some("make it lead to a file or folder that is there, or remove it");
        }
        let errno = Errno::from_io_error(&self.source)?;
        Some(match errno {
            Errno::NOSPC => {
                "the disk is full: free some space (`restage gc` drops what no record needs), then run again; nothing finished is lost"
            }
            Errno::DQUOT => {
                "your disk quota is used up: free some space, then run again; nothing finished is lost"
            }
            Errno::FBIG => {
                "the file would pass the size limit of this process (`ulimit -f`) or of the file system"
            }
            Errno::ACCESS | Errno::PERM => "check who owns the path and its permissions",
            Errno::ROFS => {
                "the file system is mounted read-only: work in a folder that can be written"
            }
            Errno::MFILE => "this process has too many open files: raise `ulimit -n` or lower `-j`",
            Errno::NFILE => "the machine has too many open files: close programs or lower `-j`",
            Errno::LOOP => "a symbolic link leads back to itself",
            Errno::NAMETOOLONG if self.path.iter().any(|name| name.len() > 255) => {
                "a file name may have 255 bytes: shorten it"
            }
            Errno::NAMETOOLONG => "a path may have 4095 bytes: nest fewer folders",
            Errno::IO => "the disk reported an error: check its health before running again",
            Errno::STALE => {
                "the network file system lost the file: check that it is mounted, then run again"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} `{}`: {}",
            self.op,
            shown(&self.path),
            cause(&self.source)
        )
    }
}

impl std::error::Error for FsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// The path; of one that fills a screen only both ends.
fn shown(path: &Path) -> String {
    const MOST: usize = 1024;
    let text = path.to_string_lossy();
    if text.len() <= MOST {
        return text.into_owned();
    }
    let (first, last) = (
        text.chars().take(MOST / 2),
        text.chars().rev().take(MOST / 8),
    );
    let last: Vec<char> = last.collect();
    first
        .chain(" .. ".chars())
        .chain(last.into_iter().rev())
        .collect()
}

/// The system's message in this program's style: lower case, without the error number.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => error.kind().to_string(),
    }
}

/// Adds operation and path to a bare I/O result.
pub trait Context<T> {
    /// Names the operation, as in "cannot {op} `{path}`", and the path.
    fn at(self, op: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|error| FsError {
            op,
            path: path.to_owned(),
            source: error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: rustix::io::Errno) -> FsError {
        Err::<(), _>(errno)
            .at("write", Path::new("a/b"))
            .unwrap_err()
    }

    #[test]
    fn a_full_disk_says_so_and_what_to_do() {
        let full = error(rustix::io::Errno::NOSPC);
        assert_eq!(
            full.to_string(),
            "cannot write `a/b`: no space left on device"
        );
        assert!(full.hint().unwrap().contains("restage gc"));
    }

    #[test]
    fn a_path_that_is_too_long_is_told_from_a_name_and_cut() {
        let too_long = |path: &str| {
            let error = Err::<(), _>(rustix::io::Errno::NAMETOOLONG);
            error.at("read", Path::new(path)).unwrap_err()
        };
        let deep = too_long(&format!("{}end", "é/".repeat(2000)));
        assert!(deep.hint().unwrap().contains("4095 bytes"));
        assert!(deep.to_string().len() < 2048 && deep.to_string().contains("é/end`"));
        let name = too_long(&format!("a/{}", "n".repeat(256)));
        assert!(name.hint().unwrap().contains("255 bytes"));
    }

    #[test]
    fn a_plain_absence_needs_no_hint() {
        assert_eq!(error(rustix::io::Errno::NOENT).hint(), None);
    }
}
