//! The calls that name files, and what each does with which path.

use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, c_long};

/// A path among a call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// The folder that a relative path starts at: a descriptor, or `AT_FDCWD`.
    pub(super) dir: i32,
    /// Where the text is, in the caller's memory.
    pub(super) text: u64,
    /// What the call does with it.
    pub(super) what: What,
}

/// What a call does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Opens it with these flags.
    Open(u64),
    /// Opens it; the flags are the first eight bytes at this address.
    OpenHow(u64),
    /// Looks whether something is there; at a symbolic link itself unless it is followed.
    Look { follow: bool },
    /// Creates it where nothing is yet.
    Make,
    /// Removes it.
    Remove,
    /// Puts something there, whatever was there.
    Put,
    /// Truncates it.
    Change,
    /// Gives its bytes another name.
    Link,
    /// Runs it.
    Run,
}

/// All calls that are watched except those in [`BY_DESCRIPTOR`].
#[cfg(target_arch = "x86_64")]
pub(super) const NUMBERS: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_truncate,
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_link,
];

/// All calls that are watched except those in [`BY_DESCRIPTOR`].
#[cfg(target_arch = "aarch64")]
pub(super) const NUMBERS: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_truncate,
];

/// Calls that may be about an open file instead of a path, if the argument of this number has
/// `AT_EMPTY_PATH`; C libraries do that all the time.
pub(super) const BY_DESCRIPTOR: [(c_long, u32); 2] =
    [(libc::SYS_newfstatat, 3), (libc::SYS_statx, 2)];

/// What a call does with which paths.
pub(super) fn asked(number: c_long, a: &[u64; 6]) -> Vec<Asked> {
    use What::{Change, Link, Look, Make, Open, OpenHow, Put, Remove, Run};
    // Descriptors are 32 bits wide; the upper half may hold anything.
    let at = |dir: u64, text: u64, what: What| Asked {
        dir: dir as i32,
        text,
        what,
    };
    let here = |text: u64, what: What| Asked {
        dir: AT_FDCWD,
        text,
        what,
    };
    let look = |flags: u64| Look {
        follow: flags & AT_SYMLINK_NOFOLLOW as u64 == 0,
    };
    match number {
        libc::SYS_openat => vec![at(a[0], a[1], Open(a[2]))],
        libc::SYS_openat2 => vec![at(a[0], a[1], OpenHow(a[2]))],
        libc::SYS_execve => vec![here(a[0], Run)],
        libc::SYS_execveat => vec![at(a[0], a[1], Run)],
        libc::SYS_newfstatat | libc::SYS_faccessat2 => vec![at(a[0], a[1], look(a[3]))],
        libc::SYS_statx => vec![at(a[0], a[1], look(a[2]))],
        libc::SYS_faccessat => vec![at(a[0], a[1], Look { follow: true })],
        libc::SYS_readlinkat => vec![at(a[0], a[1], Look { follow: false })],
        libc::SYS_mkdirat | libc::SYS_mknodat => vec![at(a[0], a[1], Make)],
        libc::SYS_symlinkat => vec![at(a[1], a[2], Make)],
        libc::SYS_unlinkat => vec![at(a[0], a[1], Remove)],
        libc::SYS_renameat | libc::SYS_renameat2 => {
            vec![at(a[0], a[1], Remove), at(a[2], a[3], Put)]
        }
        libc::SYS_linkat => vec![at(a[0], a[1], Link), at(a[2], a[3], Make)],
        libc::SYS_truncate => vec![here(a[0], Change)],
        #[cfg(target_arch = "x86_64")]
        _ => older(number, a),
        #[cfg(not(target_arch = "x86_64"))]
        _ => Vec::new(),
    }
}

/// Calls without a folder, which only older architectures have.
#[cfg(target_arch = "x86_64")]
fn older(number: c_long, a: &[u64; 6]) -> Vec<Asked> {
    use What::{Link, Look, Make, Open, Put, Remove};
    let here = |text: u64, what: What| Asked {
        dir: AT_FDCWD,
        text,
        what,
    };
    match number {
        libc::SYS_open => vec![here(a[0], Open(a[1]))],
        libc::SYS_creat => {
            let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
            vec![here(a[0], Open(flags as u64))]
        }
        libc::SYS_stat | libc::SYS_access => vec![here(a[0], Look { follow: true })],
        libc::SYS_lstat | libc::SYS_readlink => vec![here(a[0], Look { follow: false })],
        libc::SYS_mkdir | libc::SYS_mknod => vec![here(a[0], Make)],
        libc::SYS_symlink => vec![here(a[1], Make)],
        libc::SYS_unlink | libc::SYS_rmdir => vec![here(a[0], Remove)],
        libc::SYS_rename => vec![here(a[0], Remove), here(a[1], Put)],
        libc::SYS_link => vec![here(a[0], Link), here(a[1], Make)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_caught_is_understood() {
        let all = NUMBERS.iter().chain(BY_DESCRIPTOR.iter().map(|(n, _)| n));
        for number in all {
            assert!(!asked(*number, &[1, 2, 3, 4, 5, 6]).is_empty(), "{number}");
        }
        assert!(asked(libc::SYS_read, &[0; 6]).is_empty());
    }
}
