//! The server of launchers: this program, started again once, with one thread. It forks for each
//! launcher: to start a program as large as this one costs a millisecond, a fork of so small a process a
//! fifth of that. The launcher becomes the caller's own child, so that the caller can wait for it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::plan::LAUNCHER_ARGUMENT;

/// What a launcher gets: its socket, standard output and standard error.
const DESCRIPTORS: usize = 3;

/// From here launchers come. The server starts with the first one and ends when this is dropped.
#[derive(Debug)]
pub struct Launchers {
    program: PathBuf,
    server: Mutex<Option<Server>>,
}

#[derive(Debug)]
struct Server {
    process: Child,
    socket: OwnedFd,
}

impl Launchers {
    /// `program` calls [`crate::launch`] if its first argument is [`LAUNCHER_ARGUMENT`].
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            server: Mutex::new(None),
        }
    }

    /// Whether they come from this program.
    pub fn are_of(&self, program: &std::path::Path) -> bool {
        self.program == program
    }

    /// Starts a launcher; returns its process id.
    pub(crate) fn start(&self, with: [BorrowedFd<'_>; DESCRIPTORS]) -> io::Result<u32> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &mut *server {
            match running.fork(with) {
                // Somebody has killed it before it read the request: the next one may live longer.
                Err(error)
                    if [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset]
                        .contains(&error.kind()) =>
                {
                    drop(server.take());
                }
                started => return started,
            }
        }
        server.insert(Server::start(&self.program)?).fork(with)
    }
}

impl Server {
    fn start(program: &std::path::Path) -> io::Result<Self> {
        let (socket, theirs) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )?;
        let process = Command::new(program)
            .arg(LAUNCHER_ARGUMENT)
            .env_clear()
            .process_group(0)
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, socket })
    }

    fn fork(&mut self, with: [BorrowedFd<'_>; DESCRIPTORS]) -> io::Result<u32> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        extra.push(SendAncillaryMessage::ScmRights(&with));
        rustix::net::sendmsg(
            &self.socket,
            &[IoSlice::new(&[0])],
            &mut extra,
            SendFlags::NOSIGNAL,
        )?;
        let mut answer = [0; 4];
        let got = retry(|| rustix::io::read(&self.socket, &mut answer))?;
        if got < answer.len() {
            // It may have forked: a second launcher on the same socket would run half a plan.
            let text = "the server of launchers was killed while it started one";
            return Err(io::Error::other(text));
        }
        let answer = i32::from_ne_bytes(answer);
        u32::try_from(answer).map_err(|_| io::Error::from_raw_os_error(-answer))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// What the server does for one request, or what a launcher that it forked goes on with.
#[cfg(target_os = "linux")]
pub(crate) enum Role {
    /// All callers are gone.
    Done,
    /// This process is a launcher; its socket.
    Launcher(OwnedFd),
}

/// Serves until the caller is gone. Returns in each launcher too.
#[cfg(target_os = "linux")]
pub(crate) fn serve(caller: OwnedFd) -> io::Result<Role> {
    while let Some([socket, stdout, stderr]) = receive(caller.as_fd())? {
        let answer = match crate::system::clone(libc::CLONE_PARENT) {
            Ok(None) => {
                drop(caller);
                // As each job's first process has.
                rustix::process::setpgid(None, None)?;
                rustix::stdio::dup2_stdout(&stdout)?;
                rustix::stdio::dup2_stderr(&stderr)?;
                return Ok(Role::Launcher(socket));
            }
            Ok(Some(pid)) => pid.as_raw_pid(),
            Err(error) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
        };
        rustix::net::send(&caller, &answer.to_ne_bytes(), SendFlags::NOSIGNAL)?;
    }
    Ok(Role::Done)
}

/// The descriptors for the next launcher; `None` when the caller is gone.
#[cfg(target_os = "linux")]
fn receive(caller: BorrowedFd<'_>) -> io::Result<Option<[OwnedFd; DESCRIPTORS]>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = retry(|| {
        let mut buffers = [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(caller, &mut buffers, &mut extra, RecvFlags::CMSG_CLOEXEC)
    })?;
    let received = extra.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    let received: Vec<OwnedFd> = received.collect();
    if got.bytes == 0 {
        return Ok(None);
    }
    let count = received.len();
    received
        .try_into()
        .map(Some)
        .map_err(|_| io::Error::other(format!("{count} descriptors came")))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
