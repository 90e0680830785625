//! The traced side: installs the filter, sends its other end to the watcher, becomes the program.

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
/// into the command's program. Returns only if that failed; the error is one that the watcher has not
/// received.
pub fn enter(command: &mut Command) -> Option<io::Error> {
    match socket() {
        Ok(socket) => enter_with(&socket, command).err(),
        Err(error) => Some(error),
    }
}

/// A copy of standard input that is closed when the program starts.
fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?)
}

fn enter_with(socket: &OwnedFd, command: &mut Command) -> io::Result<()> {
    let listener = match super::filter::install() {
        Ok(listener) => listener,
        Err(error) => return send_error(socket, REFUSED, &error),
    };
    send(socket, &[INSTALLED], Some(listener.as_fd()))?;
    drop(listener);
    let error = exec_when_free(command.stdin(Stdio::null()));
    send_error(socket, NOT_STARTED, &error)
}

/// Becomes the program, as soon as its file is no longer open for writing. Returns why it did not.
pub fn exec_when_free(command: &mut Command) -> io::Error {
    let mut tries = 0;
    loop {
        let error = command.exec();
        tries += 1;
        if error.kind() != io::ErrorKind::ExecutableFileBusy || tries >= BUSY_TRIES {
            return error;
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
