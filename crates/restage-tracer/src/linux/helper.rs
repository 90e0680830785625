//! The traced side: installs the filter, sends its other end to the watcher, becomes the program.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// The filter is in place: its descriptor comes with this.
pub(super) const INSTALLED: u8 = b'i';
/// No filter; an error number follows.
pub(super) const REFUSED: u8 = b'r';
/// There is a filter but no program; an error number follows.
pub(super) const NOT_STARTED: u8 = b'n';

/// A program whose file is still open for writing is tried again: about a second.
const BUSY_TRIES: u32 = 40;
const BUSY_WAIT: Duration = Duration::from_millis(25);

/// Turns this process, whose standard input must be the other end of [`super::watch()`]'s socket,
/// into the program. Returns only if that failed; the error is one that the watcher has not
/// received.
pub fn enter(argv: &[OsString]) -> Option<io::Error> {
    match socket() {
        Ok(socket) => enter_with(&socket, argv).err(),
        Err(error) => Some(error),
    }
}

/// A copy of standard input that is closed when the program starts.
fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?)
}

fn enter_with(socket: &OwnedFd, argv: &[OsString]) -> io::Result<()> {
    let Some((program, arguments)) = argv.split_first() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run");
        return Err(error);
    };
    let listener = match super::filter::install() {
        Ok(listener) => listener,
        Err(error) => return send_error(socket, REFUSED, &error),
    };
    send(socket, &[INSTALLED], Some(listener.as_fd()))?;
    drop(listener);
    let mut tries = 0;
    loop {
        let error = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .exec();
        tries += 1;
        if error.kind() != io::ErrorKind::ExecutableFileBusy || tries >= BUSY_TRIES {
            return send_error(socket, NOT_STARTED, &error);
        }
        thread::sleep(BUSY_WAIT);
    }
}

/// Sends an error to the watcher.
fn send_error(socket: &OwnedFd, what: u8, error: &io::Error) -> io::Result<()> {
    let mut message = vec![what];
    message.extend(error.raw_os_error().unwrap_or(0).to_ne_bytes());
    send(socket, &message, None)
}

fn send(socket: &OwnedFd, bytes: &[u8], passed: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = SendAncillaryBuffer::new(&mut space);
    let list;
    if let Some(fd) = passed {
        list = [fd];
        extra.push(SendAncillaryMessage::ScmRights(&list));
    }
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut extra,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}
