//! Waits for a child by its process id: `std` waits only for those that it started itself, and does
//! not say what they used.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What is known of a child that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// How it ended.
    pub status: ExitStatus,
    /// The most memory that it, or a descendant that it waited for, had in use, in bytes.
    pub peak_memory: u64,
}

/// Waits until a child of this process has ended.
pub fn reap(pid: u32) -> io::Result<Reaped> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to values of ours of the types that the call writes.
        let ended = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if ended == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zeros is a valid value of this plain struct, and the call has written it.
    let usage = unsafe { usage.assume_init() };
    let unit = if cfg!(target_os = "linux") { 1024 } else { 1 };
    Ok(Reaped {
        status: ExitStatus::from_raw(status),
        peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
    })
}
