//! The watching side: receives each waiting call, records what it asks for, lets it continue.

use std::collections::HashSet;
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::calls::{Asked, What, asked};
use super::filter::ARCHITECTURE;
use super::helper::{INSTALLED, NOT_STARTED, REFUSED};
use super::notify::{self, Waiting};
use super::paths::{self, Files, Memory};
use crate::{Access, Call, Trace, TraceError};

/// How often `stop` is checked while nothing happens.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// The most accesses that are recorded.
const MOST: usize = 20_000;
/// The most texts that are remembered, so that a path that is used again and again costs little.
const REMEMBERED: usize = 100_000;

/// Watches the process at the other end of `socket`, from before it becomes the program until
/// it and all its children have ended, or `stop` is set. Records the paths that `keep` accepts.
pub fn watch(
    socket: UnixStream,
    keep: &dyn Fn(&Path) -> bool,
    stop: &AtomicBool,
) -> Result<Trace, TraceError> {
    let listener = listener(&socket)?;
    let mut notes = Notes {
        keep,
        trace: Trace::default(),
        texts: HashSet::new(),
        accesses: HashSet::new(),
    };
    let mut socket = Some(socket);
    loop {
        let mut fds = vec![PollFd::new(&listener, PollFlags::IN)];
        if let Some(socket) = &socket {
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        match poll(&mut fds, Some(&LOOK)) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(TraceError::Refused(error.into())),
            // Processes that remain have left the job's group, or they would have ended.
            Ok(_) if stop.load(Ordering::Relaxed) => break,
            Ok(_) => {}
        }
        let calls = fds[0].revents();
        let says = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        if calls.contains(PollFlags::IN) {
            if let Some(call) = notify::receive(&listener).map_err(TraceError::Refused)? {
                notes.take(&listener, &call);
                notify::go_on(&listener, &call);
            }
        } else if calls.contains(PollFlags::HUP) {
            break;
        }
        if says && let Some(mut open) = socket.take() {
            let mut message = [0; 5];
            // It is closed when the program starts, or brings an error.
            let got = open.read(&mut message).unwrap_or(0);
            if let [NOT_STARTED, number @ ..] = &message[..got] {
                return Err(TraceError::NotStarted(os_error(number)));
            }
        }
    }
    Ok(notes.trace)
}

/// The descriptor that the helper sends first.
fn listener(socket: &UnixStream) -> Result<OwnedFd, TraceError> {
    let mut bytes = [0; 5];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes[..])],
            &mut extra,
            RecvFlags::CMSG_CLOEXEC,
        )
    });
    let got = got.map_err(|error| TraceError::Refused(error.into()))?;
    match bytes[..got.bytes] {
        [INSTALLED, ..] => {}
        [REFUSED, ref number @ ..] => return Err(TraceError::Refused(os_error(number))),
        _ => return Err(TraceError::Lost),
    }
    let mut passed = extra.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    passed.next().ok_or(TraceError::Lost)
}

fn os_error(number: &[u8]) -> io::Error {
    match <[u8; 4]>::try_from(number) {
        Ok(bytes) => io::Error::from_raw_os_error(i32::from_ne_bytes(bytes)),
        Err(_) => io::Error::other("the helper did not say why"),
    }
}

struct Notes<'a> {
    keep: &'a dyn Fn(&Path) -> bool,
    trace: Trace,
    /// What was asked for, before links were resolved.
    texts: HashSet<(PathBuf, Question)>,
    accesses: HashSet<Access>,
}

/// What a call asks for, with all that the answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Open { flags: i32, folder: bool },
    Look { follow: bool },
    Make,
    Remove,
    Put,
    Change,
    Link,
    Run,
}

impl Notes<'_> {
    fn take(&mut self, listener: impl AsFd, call: &Waiting) {
        let native = call.architecture == ARCHITECTURE && !is_x32(call.number);
        if !native {
            self.trace.unseen += 1;
            return;
        }
        let asked = asked(call.number.into(), &call.arguments);
        let read: Vec<_> = asked.iter().map(|one| read(call.thread, one)).collect();
        // The id of a thread that is gone may be another's by now.
        if !notify::still_waits(listener, call) {
            return;
        }
        for one in read {
            match one {
                Ok(Some((path, question))) => self.note(call.thread, path, question),
                Ok(None) => {}
                Err(Unreadable) => self.trace.unseen += 1,
            }
        }
    }

    fn note(&mut self, thread: u32, path: PathBuf, question: Question) {
        let asked = (path, question);
        if self.texts.contains(&asked) {
            return;
        }
        for access in accesses(&Files::of(thread), &asked.0, question) {
            if !(self.keep)(&access.path) || self.accesses.contains(&access) {
                continue;
            }
            if self.trace.accesses.len() < MOST {
                self.accesses.insert(access.clone());
                self.trace.accesses.push(access);
            } else {
                self.trace.unseen += 1;
            }
        }
        if self.texts.len() < REMEMBERED {
            self.texts.insert(asked);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn is_x32(number: i32) -> bool {
    number as u32 >= super::filter::X32
}

#[cfg(not(target_arch = "x86_64"))]
fn is_x32(_: i32) -> bool {
    false
}

/// A path in the memory of a process that does not let us read it.
struct Unreadable;

/// Reads the path from the thread's memory. `None` if there is no text: the kernel will return an
/// error, or use an open file.
fn read(thread: u32, asked: &Asked) -> Result<Option<(PathBuf, Question)>, Unreadable> {
    if asked.text == 0 {
        return Ok(None);
    }
    let memory = Memory::of(thread).map_err(|_| Unreadable)?;
    let text = memory.text(asked.text).ok_or(Unreadable)?;
    if text.is_empty() {
        return Ok(None);
    }
    let open = |flags: u64| Question::Open {
        flags: flags as i32,
        folder: paths::means_folder(&text),
    };
    let question = match asked.what {
        What::Open(flags) => open(flags),
        What::OpenHow(address) => open(memory.number(address).ok_or(Unreadable)?),
        What::Look { follow } => Question::Look {
            follow: follow || paths::means_folder(&text),
        },
        What::Make => Question::Make,
        What::Remove => Question::Remove,
        What::Put => Question::Put,
        What::Change => Question::Change,
        What::Link => Question::Link,
        What::Run => Question::Run,
    };
    let path = paths::absolute(thread, asked.dir, &text).map_err(|_| Unreadable)?;
    Ok(Some((path, question)))
}

/// The accesses of a call, given what is at the path now.
fn accesses(files: &Files, path: &Path, question: Question) -> Vec<Access> {
    let follow = match question {
        Question::Open { flags, folder } => flags & libc::O_NOFOLLOW == 0 || folder,
        Question::Look { follow } => follow,
        Question::Make | Question::Remove | Question::Put | Question::Link => false,
        Question::Change | Question::Run => true,
    };
    let place = files.resolve(path, follow);
    let (path, absent) = (place.path, place.found.is_none());
    let is_folder = place.found.is_some_and(|found| found.is_dir());
    let one = |call: Call| Access {
        path: path.clone(),
        call,
        absent,
    };
    match question {
        // Only a handle: the calls that use it say more.
        Question::Open { flags, .. } if flags & libc::O_PATH != 0 => Vec::new(),
        Question::Open { flags, .. } => {
            let mode = flags & libc::O_ACCMODE;
            let mut all = Vec::new();
            if absent && flags & libc::O_CREAT == 0 {
                return vec![one(Call::Read)];
            }
            if is_folder && mode == libc::O_RDONLY {
                return vec![one(Call::List)];
            }
            // A file opened for both is an input too, unless it is new or truncated.
            if mode != libc::O_WRONLY && !absent && flags & libc::O_TRUNC == 0 {
                all.push(one(Call::Read));
            }
            if mode != libc::O_RDONLY || absent {
                all.push(one(Call::Write));
            }
            all
        }
        // Folders are looked at on the way to other paths.
        Question::Look { .. } if is_folder => Vec::new(),
        Question::Look { .. } => vec![one(Call::Look)],
        // This changes nothing, whether something is there or not.
        Question::Make if !absent => match is_folder {
            true => Vec::new(),
            false => vec![one(Call::Look)],
        },
        Question::Remove | Question::Change if absent => vec![one(Call::Look)],
        Question::Make | Question::Remove | Question::Put | Question::Change => {
            vec![one(Call::Write)]
        }
        Question::Link => vec![one(Call::Read)],
        Question::Run => vec![one(Call::Run)],
    }
}
