//! One call that waits for us: received from the kernel, and continued.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The kernel carries the call out as usual.
const GO_ON: u32 = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;

/// A call that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    id: u64,
    /// The calling thread.
    pub(super) thread: u32,
    /// Of the call's number.
    pub(super) architecture: u32,
    /// Of the call.
    pub(super) number: i32,
    /// Of the call.
    pub(super) arguments: [u64; 6],
}

/// Receives the next call. `None` if the caller was killed meanwhile.
pub(super) fn receive(listener: impl AsFd) -> io::Result<Option<Waiting>> {
    // The kernel wants it zeroed.
    let mut found = libc::seccomp_notif {
        id: 0,
        pid: 0,
        flags: 0,
        data: libc::seccomp_data {
            nr: 0,
            arch: 0,
            instruction_pointer: 0,
            args: [0; 6],
        },
    };
    // SAFETY: the request's number says that the kernel writes a `seccomp_notif`, and `found` is
    // one that outlives the call.
    let done = unsafe {
        libc::ioctl(
            listener.as_fd().as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            std::ptr::from_mut(&mut found),
        )
    };
    if done != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ENOENT | libc::EINTR) => Ok(None),
            _ => Err(error),
        };
    }
    Ok(Some(Waiting {
        id: found.id,
        thread: found.pid,
        architecture: found.data.arch,
        number: found.data.nr,
        arguments: found.data.args,
    }))
}

/// Whether the call still waits: only then was the memory that we read its thread's.
pub(super) fn still_waits(listener: impl AsFd, call: &Waiting) -> bool {
    // SAFETY: the kernel reads the eight bytes of `id`, which outlives the call.
    let done = unsafe {
        libc::ioctl(
            listener.as_fd().as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            std::ptr::from_ref(&call.id),
        )
    };
    done == 0
}

/// Lets the kernel carry the call out. A call whose thread is gone needs no answer.
pub(super) fn go_on(listener: impl AsFd, call: &Waiting) {
    let answer = libc::seccomp_notif_resp {
        id: call.id,
        val: 0,
        error: 0,
        flags: GO_ON,
    };
    // SAFETY: the request's number says that the kernel reads a `seccomp_notif_resp`, and
    // `answer` is one that outlives the call.
    unsafe {
        libc::ioctl(
            listener.as_fd().as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            std::ptr::from_ref(&answer),
        );
    }
}
