//! Passes on what a job with secrets writes: from pipes, without the secrets, to its files.
//!
//! The plain bytes never reach a disk, so a restage that is killed at any moment leaves none. A job
//! that outlives it finds its pipes closed (docs/adr/0007).

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::redact::{Redactor, Secrets};
use restage_core::fs::{self, FsError};

/// Bytes that are read at once: what a pipe holds, unless its writer wanted more.
const PART: usize = 64 << 10;
/// After the job's end this much of what it wrote is still passed on, at most: a process that
/// escaped could write for ever.
const MOST_LEFT: usize = 4 << 20;

/// What is hidden of what a job writes, and a named pipe that it is given in place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// The values to hide.
    pub secrets: Secrets,
    /// Made for the job, and removed after it.
    pub pipe: PathBuf,
    /// Takes what is written to the pipe.
    pub file: PathBuf,
}

/// A thread that passes on what one job writes, without its secrets.
pub(crate) struct RedactingPipes {
    thread: JoinHandle<()>,
    /// Closed when the job has ended.
    stop: PipeWriter,
}

/// From a pipe to a file.
struct Channel {
    from: OwnedFd,
    to: File,
    path: PathBuf,
    redactor: Redactor,
    open: bool,
}

impl RedactingPipes {
    /// Makes the named pipe and one pipe for each of these files, and starts to read them. Returns
    /// the ends that the job writes to.
    pub(crate) fn start<const N: usize>(
        redaction: &Redaction,
        files: [(&Path, File); N],
    ) -> Result<(Self, [OwnedFd; N]), PipeError> {
        let mut channels = Vec::new();
        let mut channel = |from: OwnedFd, to: File, path: &Path| {
            channels.push(Channel {
                from,
                to,
                path: path.to_owned(),
                redactor: Redactor::new(redaction.secrets.clone()),
                open: true,
            });
        };
        let mut ends = Vec::new();
        for (path, file) in files {
            let (ours, theirs) = io::pipe()?;
            channel(ours.into(), file, path);
            ends.push(OwnedFd::from(theirs));
        }
        fs::make_pipe(&redaction.pipe)?;
        // Open for writing too, so that nobody waits for a writer and none is the last.
        let named = fs::open_pipe(&redaction.pipe)?;
        channel(named.into(), fs::create(&redaction.file)?, &redaction.file);
        let (stopped, stop) = io::pipe()?;
        let named = redaction.pipe.clone();
        let thread = thread::Builder::new()
            .name("redact".into())
            .spawn(move || {
                pass_on(&mut channels, &stopped);
                // Nobody reads it any more: one that is left would only block who opens it.
                let _ = fs::remove_file(&named);
            })?;
        let ends = ends.try_into().expect("as many ends as files");
        Ok((Self { thread, stop }, ends))
    }

    /// Passes on what is left. The job has ended.
    pub(crate) fn finish(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

/// Why there are no such pipes.
#[derive(Debug)]
pub(crate) enum PipeError {
    File(FsError),
    System(io::Error),
}

impl From<FsError> for PipeError {
    fn from(error: FsError) -> Self {
        Self::File(error)
    }
}

impl From<io::Error> for PipeError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

fn pass_on(channels: &mut [Channel], stopped: &PipeReader) {
    let mut part = vec![0; PART];
    while let Ok((ready, stop)) = wait(channels, Some(stopped), None) {
        if stop {
            break;
        }
        for at in ready {
            channels[at].pass_on(&mut part);
        }
    }
    let mut left = MOST_LEFT;
    while left > 0 {
        let Ok((ready, _)) = wait(channels, None, Some(Timespec::default())) else {
            break;
        };
        if ready.is_empty() {
            break;
        }
        for at in ready {
            left = left.saturating_sub(channels[at].pass_on(&mut part).max(1));
        }
    }
    channels.iter_mut().for_each(Channel::end);
}

/// Which channels have something to read or have ended, and whether `stopped` has.
fn wait(
    channels: &[Channel],
    stopped: Option<&PipeReader>,
    time: Option<Timespec>,
) -> io::Result<(Vec<usize>, bool)> {
    let open = || (0..channels.len()).filter(|at| channels[*at].open);
    let mut fds: Vec<PollFd<'_>> = open()
        .map(|at| channels[at].from.as_fd())
        .chain(stopped.map(AsFd::as_fd))
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    while let Err(error) = poll(&mut fds, time.as_ref()) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    let heard = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let ready = open().zip(&fds).filter(|(_, fd)| heard(fd));
    let stop = stopped.is_some() && fds.last().is_some_and(heard);
    Ok((ready.map(|(at, _)| at).collect(), stop))
}

impl Channel {
    /// Passes on what there is, and says how much was read.
    fn pass_on(&mut self, part: &mut [u8]) -> usize {
        let read = match rustix::io::read(&self.from, &mut *part) {
            Err(Errno::INTR) => return 0,
            Ok(read) => read,
            Err(_) => 0,
        };
        self.open = read > 0;
        let mut shown = Vec::new();
        self.redactor.push(&part[..read], &mut shown);
        self.write(&shown);
        read
    }

    fn end(&mut self) {
        let mut shown = Vec::new();
        self.redactor.finish(&mut shown);
        self.write(&shown);
    }

    /// A full disk costs the log, not the job: reading goes on, or the job would wait for ever.
    fn write(&mut self, shown: &[u8]) {
        if !shown.is_empty() {
            let _ = fs::write_all(&mut self.to, shown, &self.path);
        }
    }
}

#[cfg(test)]
#[path = "redacting_pipe_tests.rs"]
mod tests;
