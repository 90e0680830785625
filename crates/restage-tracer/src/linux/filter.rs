//! The kernel's part: a program that picks the calls to watch, and its installation.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::sock_filter;

use super::calls::{BY_DESCRIPTOR, NUMBERS};

/// Calls of another architecture have other numbers.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_003e;
/// Calls of another architecture have other numbers.
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_00b7;

/// Numbers from here on are those of the x32 ABI.
#[cfg(target_arch = "x86_64")]
pub(super) const X32: u32 = 0x4000_0000;

const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
#[cfg(target_arch = "x86_64")]
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const NO_SUCH_CALL: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

const NEW_LISTENER: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
/// Signals that don't kill wait for our answer, so that they don't restart a call again and again.
/// Linux 5.19 or later.
const WAIT_KILLABLE: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// Where the parts of a call are: number, architecture, the lower half of an argument.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const fn argument_at(n: u32) -> u32 {
    16 + 8 * n
}

/// Installs the filter for this thread and all its descendants, for good. Returns the descriptor
/// that calls are received from.
pub(super) fn install() -> io::Result<OwnedFd> {
    rustix::thread::set_no_new_privs(true)?;
    match install_with(NEW_LISTENER | WAIT_KILLABLE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install_with(NEW_LISTENER),
        done => done,
    }
}

fn install_with(flags: libc::c_ulong) -> io::Result<OwnedFd> {
    let mut code = program();
    let program = libc::sock_fprog {
        len: code.len() as u16,
        filter: code.as_mut_ptr(),
    };
    // SAFETY: the kernel reads `program` and the instructions that it points to during the
    // call; both live until it returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&program),
        )
    };
    match i32::try_from(result) {
        // SAFETY: with NEW_LISTENER a success is a new descriptor that nobody else knows.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn program() -> Vec<sock_filter> {
    let mut code = vec![
        step(LOAD, ARCHITECTURE_AT),
        // Foreign calls are let through one by one, so that they are counted at least.
        jump(EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, NOTIFY),
        step(LOAD, NUMBER_AT),
    ];
    #[cfg(target_arch = "x86_64")]
    code.extend([jump(AT_LEAST, X32, 0, 1), step(RETURN, NOTIFY)]);
    code.extend([
        jump(EQUAL, libc::SYS_io_uring_setup as u32, 0, 1),
        step(RETURN, NO_SUCH_CALL),
    ]);
    for (number, argument) in BY_DESCRIPTOR {
        code.extend([
            jump(EQUAL, number as u32, 0, 4),
            step(LOAD, argument_at(argument)),
            jump(ANY_BIT, libc::AT_EMPTY_PATH as u32, 0, 1),
            step(RETURN, ALLOW),
            step(RETURN, NOTIFY),
        ]);
    }
    for number in NUMBERS {
        code.extend([jump(EQUAL, *number as u32, 0, 1), step(RETURN, NOTIFY)]);
    }
    code.push(step(RETURN, ALLOW));
    code
}

fn step(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

/// Skips `yes` or `no` instructions.
fn jump(code: u16, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    }
}
