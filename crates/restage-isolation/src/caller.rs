//! The caller's side: asks for a launcher, sends it the plan and orders, and reads what it reported.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::plan::{Isolation, Network, Plan, Processes};
use crate::server::Launchers;

/// No plan is longer: that is no plan.
const LONGEST: usize = 1 << 30;

/// What the launcher shall do with the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ask the command's process group to end.
    Terminate,
    /// End all at once.
    Kill,
    /// Stop all, also those in sessions of their own.
    Stop,
    /// Let all go on.
    Continue,
}

impl Order {
    const ALL: [(Self, u8); 4] = [
        (Self::Terminate, b't'),
        (Self::Kill, b'k'),
        (Self::Stop, b's'),
        (Self::Continue, b'c'),
    ];

    pub(crate) fn of(byte: u8) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, letter)| *letter == byte);
        found.map(|(order, _)| *order)
    }

    fn letter(self) -> u8 {
        let found = Self::ALL.iter().find(|(order, _)| *order == self);
        found.map_or(b'k', |(_, letter)| *letter)
    }
}

/// What launcher, first process and command say: one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The first process and its start time.
    Started { pid: u32, started: u64 },
    /// The command ended with this wait status.
    Ended { status: i32, leftovers: bool },
    /// A step was refused: the command never ran.
    Refused { errno: i32, step: String },
    /// The command's program could not be started.
    NoProgram { errno: i32 },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid, started } => writeln!(f, "started {pid} {started}"),
            Self::Ended { status, leftovers } => {
                writeln!(f, "ended {status} {}", u8::from(*leftovers))
            }
            Self::Refused { errno, step } => {
                writeln!(f, "refused {errno} {}", step.replace('\n', "\u{fffd}"))
            }
            Self::NoProgram { errno } => writeln!(f, "no-program {errno}"),
        }
    }
}

impl Report {
    fn parse(line: &str) -> Option<Self> {
        let (what, rest) = line.split_once(' ')?;
        let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let errno = || number.parse().ok();
        Some(match what {
            "started" => Self::Started {
                pid: number.parse().ok()?,
                started: text.parse().ok()?,
            },
            "ended" => Self::Ended {
                status: number.parse().ok()?,
                leftovers: text == "1",
            },
            "refused" => Self::Refused {
                errno: errno()?,
                step: text.to_owned(),
            },
            "no-program" => Self::NoProgram { errno: errno()? },
            _ => return None,
        })
    }
}

/// How a launched command ended.
#[derive(Debug)]
pub enum Ending {
    /// It ran and ended like this; `leftovers`: processes that it left were ended.
    Ended {
        /// Of the command.
        status: ExitStatus,
        /// Whether processes still ran when it ended.
        leftovers: bool,
    },
    /// Its program could not be started.
    NoProgram(io::Error),
    /// The system refused a step of its isolation.
    Refused {
        /// The step's name.
        step: String,
        /// What the system said.
        error: io::Error,
    },
    /// The launcher was ended before it could say anything. What it had started ends too: it may
    /// take a moment.
    Lost {
        /// The first process and its start time in ticks, if it was started.
        first: Option<(u32, u64)>,
    },
}

/// A command that can be launched: the plan and the caller's end of the socket.
#[derive(Debug)]
pub struct Launch {
    socket: UnixStream,
    /// The launcher's end, until it is started.
    theirs: Mutex<Option<OwnedFd>>,
    plan: Vec<u8>,
    stdin: Option<OwnedFd>,
}

impl Launch {
    /// What will be sent to the launcher once it has started. `stdin` is the socket of a tracer, if
    /// the command is traced.
    pub fn new(
        isolation: &Isolation,
        argv: &[OsString],
        env: impl IntoIterator<Item = (OsString, OsString)>,
        dir: &Path,
        stdin: Option<OwnedFd>,
    ) -> io::Result<Self> {
        let variables = env.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        let plan = Plan {
            argv: argv.to_vec(),
            env: variables.collect(),
            dir: dir.to_owned(),
            subreaper: isolation.processes == Processes::Subreaper,
            no_network: isolation.network == Network::None,
            view: isolation.view.clone(),
        };
        let (socket, theirs) = UnixStream::pair()?;
        Ok(Self {
            socket,
            theirs: Mutex::new(Some(theirs.into())),
            plan: plan.encode(),
            stdin,
        })
    }

    /// Starts the launcher and sends it the plan; returns its process id. It is a child of this
    /// process, which has to wait for it ([`crate::reap()`]).
    ///
    /// # Errors
    /// No launcher could be started. One that has ended since is seen by whoever waits for it.
    pub fn start(
        &self,
        launchers: &Launchers,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
    ) -> io::Result<u32> {
        let mut theirs = self.theirs.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = theirs.as_ref();
        let socket = socket.ok_or_else(|| io::Error::other("it was started before"))?;
        let pid = launchers.start([socket.as_fd(), stdout, stderr])?;
        // With our copy of it open, we would not see its end.
        drop(theirs.take());
        match self.send() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                // It ends when it sees that nobody speaks to it.
                let _ = self.socket.shutdown(Shutdown::Both);
                let _ = crate::reap(pid);
                Err(error)
            }
            _ => Ok(pid),
        }
    }

    fn send(&self) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        let list;
        if let Some(stdin) = &self.stdin {
            list = [stdin.as_fd()];
            extra.push(SendAncillaryMessage::ScmRights(&list));
        }
        let length = (self.plan.len() as u64).to_ne_bytes();
        // A socket takes so few bytes at once.
        rustix::net::sendmsg(
            &self.socket,
            &[IoSlice::new(&length)],
            &mut extra,
            SendFlags::NOSIGNAL,
        )?;
        (&self.socket).write_all(&self.plan)
    }

    /// Gives an order. Does nothing if the launcher has ended.
    pub fn order(&self, order: Order) {
        let _ = (&self.socket).write_all(&[order.letter()]);
    }

    /// How the command ended; the launcher must have ended.
    pub fn ending(&self) -> Ending {
        let mut text = Vec::new();
        // Whatever can't be read was not said.
        let _ = self.socket.set_nonblocking(true);
        let _ = (&self.socket).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let mut first = None;
        let (mut ended, mut failed) = (None, None);
        for report in text.lines().filter_map(Report::parse) {
            let os = io::Error::from_raw_os_error;
            match report {
                Report::Started { pid, started } => first = Some((pid, started)),
                Report::Ended { status, leftovers } if ended.is_none() => {
                    let status = ExitStatus::from_raw(status);
                    ended = Some(Ending::Ended { status, leftovers });
                }
                Report::Ended { .. } => {}
                Report::Refused { errno, step } => {
                    let error = os(errno);
                    failed = Some(Ending::Refused { step, error });
                }
                Report::NoProgram { errno } => failed = Some(Ending::NoProgram(os(errno))),
            }
        }
        failed.or(ended).unwrap_or(Ending::Lost { first })
    }
}

/// The launcher's part of [`Launch::send`].
pub(crate) fn receive_plan(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut length = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut length)],
        &mut extra,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    let stdin = extra.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let length = usize::try_from(u64::from_ne_bytes(length)).unwrap_or(usize::MAX);
    if got.bytes < 8 || length > LONGEST {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; length];
    let mut have = 0;
    while have < length {
        match rustix::io::read(socket, &mut bytes[have..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((bytes, stdin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for report in [
            Report::Started {
                pid: 7,
                started: 123,
            },
            Report::Ended {
                status: 256,
                leftovers: true,
            },
            Report::Refused {
                errno: 1,
                step: "bind mount of `a b`".into(),
            },
            Report::NoProgram { errno: 2 },
        ] {
            let text = report.to_string();
            assert_eq!(Report::parse(text.trim_end()), Some(report));
        }
        assert_eq!(Report::parse("ended"), None);
        for (order, letter) in Order::ALL {
            assert_eq!(Order::of(letter), Some(order));
        }
    }
}
