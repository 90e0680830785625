//! Runs a short command and gives what it says, all of it or an error.
//! It must not know why it is asked, or keep what it said.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::base::clock::Instant;
use crate::base::fault;
use crate::base::process::ProcessRef;

/// No answer to a short question is longer.
const MOST_BYTES: usize = 1 << 20;
/// Between two looks at a process that has closed its output but not ended.
const LOOK: Duration = Duration::from_millis(2);

/// Why a command gave no answer. What it said is kept, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It never ran.
    #[error("could not be started: {0}")]
    NotStarted(String),
    /// It says that it failed.
    #[error("exited with {code}")]
    Exited {
        /// Its exit status.
        code: i32,
        /// What it said.
        said: String,
    },
    /// A signal ended it.
    #[error("was ended by signal {signal}")]
    Signaled {
        /// The signal.
        signal: i32,
        /// What it said.
        said: String,
    },
    /// It did not end in time, or something that it started did not.
    #[error("did not end within {seconds} s")]
    TimedOut {
        /// The time that it had.
        seconds: u64,
        /// What it said.
        said: String,
    },
    /// It ended well and said nothing.
    #[error("said nothing")]
    Silent,
    /// It says more than anyone wants to keep.
    #[error("said more than {} bytes", MOST_BYTES)]
    TooLong,
}

impl AskError {
    /// What the command said before it failed.
    pub fn said(&self) -> &str {
        match self {
            Self::Exited { said, .. }
            | Self::Signaled { said, .. }
            | Self::TimedOut { said, .. } => said,
            Self::NotStarted(_) | Self::Silent | Self::TooLong => "",
        }
    }
}

/// Runs a line for `sh` in `dir` with this environment and nothing on its standard input. The
/// answer is what it wrote to its standard output and error, in the order in which it did, trimmed;
/// what is not UTF-8 is replaced, and so are control characters: answers are shown to people.
pub fn ask(
    line: &str,
    dir: &Path,
    env: &BTreeMap<OsString, OsString>,
    limit: Duration,
) -> Result<String, AskError> {
    let not_started = |error: io::Error| AskError::NotStarted(error.to_string());
    let until = Instant::now().checked_add(limit);
    let (mut child, mut output) = start(line, dir, env).map_err(not_started)?;
    let mut bytes = Vec::new();
    let heard = listen(&mut output, &mut bytes, until);
    let status = match heard {
        Ok(true) => wait(&mut child, until),
        Ok(false) | Err(_) => None,
    };
    if status.is_none() {
        ProcessRef::of(child.id()).signal(Signal::KILL);
        // It was killed: this does not take long, and tells nothing.
        let _ = child.wait();
    }
    let said = printable(&bytes);
    match (heard, status) {
        (Err(error), _) => Err(not_started(error)),
        _ if bytes.len() > MOST_BYTES => Err(AskError::TooLong),
        (_, None) => Err(AskError::TimedOut {
            seconds: limit.as_secs(),
            said,
        }),
        (_, Some(status)) => match (status.code(), status.signal()) {
            (Some(0), _) if said.is_empty() => Err(AskError::Silent),
            (Some(0), _) => Ok(said),
            (Some(code), _) => Err(AskError::Exited { code, said }),
            (None, signal) => Err(AskError::Signaled {
                signal: signal.unwrap_or_default(),
                said,
            }),
        },
    }
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let is_hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(is_hidden, "\u{fffd}").trim().to_owned()
}

/// Starts it in a group of its own, both its outputs into one pipe.
fn start(
    line: &str,
    dir: &Path,
    env: &BTreeMap<OsString, OsString>,
) -> io::Result<(Child, PipeReader)> {
    let (ours, theirs) = io::pipe()?;
    fault::point("start", Path::new("/bin/sh"))?;
    let child = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(dir)
        .env_clear()
        .envs(env)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(theirs.try_clone()?)
        .stderr(theirs)
        .spawn()?;
    Ok((child, ours))
}

/// Reads to the end. `false`: the time is over, or it says too much.
fn listen(
    output: &mut PipeReader,
    bytes: &mut Vec<u8>,
    until: Option<Instant>,
) -> io::Result<bool> {
    let mut part = [0; 8192];
    while bytes.len() <= MOST_BYTES {
        let left = until.map(|until| until.since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(output, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => return Ok(false),
            Ok(_) => {}
        }
        match output.read(&mut part)? {
            0 => return Ok(true),
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
    Ok(false)
}

fn wait(child: &mut Child, until: Option<Instant>) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return None;
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Result<String, AskError> {
        let env = BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("WORD".into(), "given".into()),
        ]);
        ask(line, Path::new("/"), &env, Duration::from_secs(60))
    }

    #[test]
    fn an_answer_is_what_it_says_on_both_outputs_trimmed() {
        let said = answer("echo; echo 1.2 >&2; echo $WORD; pwd; cat; exec 2>&-; echo end");
        assert_eq!(said.as_deref(), Ok("1.2\ngiven\n/\nend"));
    }

    #[test]
    fn an_answer_can_be_shown_on_a_terminal() {
        let said = answer("printf '\\033[1m1.2\\033[0m\\r\\nend\\377'");
        assert_eq!(
            said.as_deref(),
            Ok("\u{fffd}[1m1.2\u{fffd}[0m\nend\u{fffd}")
        );
    }

    #[test]
    fn a_failure_keeps_what_it_said() {
        let exited = |code, said: &str| AskError::Exited {
            code,
            said: said.into(),
        };
        assert_eq!(answer("echo no >&2; exit 3"), Err(exited(3, "no")));
        let missing = answer("no-such-tool --version").unwrap_err();
        assert!(missing.said().contains("not found"), "{missing:?}");
        assert_eq!(missing.to_string(), "exited with 127");
        let signaled = AskError::Signaled {
            signal: 15,
            said: "x".into(),
        };
        assert_eq!(answer("echo x; kill $$"), Err(signaled));
    }

    #[test]
    fn no_answer_and_an_endless_one_are_no_answers() {
        assert_eq!(answer("exit 0"), Err(AskError::Silent));
        assert_eq!(answer("exec yes"), Err(AskError::TooLong));
    }

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
        for line in [
            "echo $$ > group; echo half; sleep 600",
            "echo $$ > group; echo half; sleep 600 & exit 0",
            "echo $$ > group; echo half; exec >&- 2>&-; sleep 600",
        ] {
            let found = ask(line, dir.path(), &env, Duration::from_millis(300));
            let timed_out = AskError::TimedOut {
                seconds: 0,
                said: "half".into(),
            };
            assert_eq!(found, Err(timed_out), "{line}");
            let group: u32 = std::fs::read_to_string(dir.path().join("group"))
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let gone = |_| {
                let wanted = std::collections::BTreeSet::from([group]);
                let left = crate::base::process::members_by_group(&wanted);
                left.is_empty() || {
                    thread::sleep(Duration::from_millis(10));
                    false
                }
            };
            assert!((0..1000).any(gone), "{line}");
        }
    }
}
