//! Runs a short command and captures its output, all of it or an error.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::local::found;
use restage_core::clock::Instant;
use restage_core::digest::distinct_text;
use restage_core::fault;
use restage_core::process::ProcessRef;

/// A longer output is not that of a short command.
const MOST_BYTES: usize = 1 << 20;
/// Between two checks of a process that has closed its output but not ended.
const LOOK: Duration = Duration::from_millis(2);

/// Why a command gave no output to use. What it did print is kept, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// It never ran.
    #[error("could not be started: {0}")]
    NotStarted(String),
    /// It failed.
    #[error("exited with {code}")]
    Exited {
        /// Its exit status.
        code: i32,
        /// What it printed.
        output: String,
    },
    /// A signal ended it.
    #[error("was ended by signal {signal}")]
    Signaled {
        /// The signal.
        signal: i32,
        /// What it printed.
        output: String,
    },
    /// It did not end in time, or something that it started did not.
    #[error("did not end within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
        /// What it printed.
        output: String,
    },
    /// It succeeded and printed nothing.
    #[error("printed nothing")]
    Silent,
    /// It printed more than a short command does.
    #[error("printed more than {} bytes", MOST_BYTES)]
    TooLong,
}

impl CaptureError {
    /// What the command printed before it failed.
    pub fn output(&self) -> &str {
        match self {
            Self::Exited { output, .. }
            | Self::Signaled { output, .. }
            | Self::TimedOut { output, .. } => output,
            Self::NotStarted(_) | Self::Silent | Self::TooLong => "",
        }
    }
}

/// Runs a program with its arguments in `dir` with this environment and an empty standard input. Captures its
/// standard output and error in the order of writing, trimmed, with the line ends of Linux and another
/// character for control characters: the output is shown to people. Bytes that are not UTF-8 stay
/// distinct ([`distinct_text`]).
///
/// # Errors
/// The command fails, prints nothing or too much, or takes longer than `limit`.
pub fn capture(
    argv: &[String],
    dir: &Path,
    env: &BTreeMap<OsString, OsString>,
    limit: Duration,
) -> Result<String, CaptureError> {
    let not_started = |error: io::Error| CaptureError::NotStarted(error.to_string());
    let until = Instant::now().checked_add(limit);
    let (mut child, mut pipe) = start(argv, dir, env).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            CaptureError::NotStarted(format!("there is no program `{}`", argv[0]))
        }
        _ => not_started(error),
    })?;
    let mut bytes = Vec::new();
    let heard = read_all(&mut pipe, &mut bytes, until);
    let status = match heard {
        Ok(true) => wait(&mut child, until),
        Ok(false) | Err(_) => None,
    };
    if status.is_none() {
        ProcessRef::of(child.id()).signal(Signal::KILL);
        // It was killed, so its status says nothing new.
        let _ = child.wait();
    }
    let output = printable(&bytes);
    match (heard, status) {
        (Err(error), _) => Err(not_started(error)),
        _ if bytes.len() > MOST_BYTES => Err(CaptureError::TooLong),
        (_, None) => Err(CaptureError::TimedOut {
            seconds: limit.as_secs(),
            output,
        }),
        (_, Some(status)) => match (status.code(), status.signal()) {
            (Some(0), _) if output.is_empty() => Err(CaptureError::Silent),
            (Some(0), _) => Ok(output),
            (Some(code), _) => Err(CaptureError::Exited { code, output }),
            (None, signal) => Err(CaptureError::Signaled {
                signal: signal.unwrap_or_default(),
                output,
            }),
        },
    }
}

fn printable(bytes: &[u8]) -> String {
    let is_hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().replace("\r\n", "\n");
        text.push_str(&valid.replace(is_hidden, "\u{fffd}"));
        text.push_str(&distinct_text(chunk.invalid()));
    }
    text.trim().to_owned()
}

/// Starts it in its own process group, both its outputs into one pipe.
fn start(
    argv: &[String],
    dir: &Path,
    env: &BTreeMap<OsString, OsString>,
) -> io::Result<(Child, PipeReader)> {
    let (ours, theirs) = io::pipe()?;
    fault::point("start", Path::new(&argv[0]))?;
    let child = Command::new(found(OsStr::new(&argv[0]), env))
        .arg0(&argv[0])
        .args(&argv[1..])
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

/// Reads to the end. `false`: the time is over, or it is too much.
fn read_all(
    pipe: &mut PipeReader,
    bytes: &mut Vec<u8>,
    until: Option<Instant>,
) -> io::Result<bool> {
    let mut part = [0; 8192];
    while bytes.len() <= MOST_BYTES {
        let left = until.map(|until| until.since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => return Ok(false),
            Ok(_) => {}
        }
        match pipe.read(&mut part)? {
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

    fn captured(line: &str) -> Result<String, CaptureError> {
        let env = BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("WORD".into(), "given".into()),
        ]);
        capture(&sh(line), Path::new("/"), &env, Duration::from_secs(60))
    }

    fn sh(line: &str) -> Vec<String> {
        ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
    }

    #[test]
    fn both_outputs_are_captured_in_order_and_trimmed() {
        let output = captured("echo; echo 1.2 >&2; echo $WORD; pwd; cat; exec 2>&-; echo end");
        assert_eq!(output.as_deref(), Ok("1.2\ngiven\n/\nend"));
    }

    #[test]
    fn captured_output_can_be_shown_on_a_terminal() {
        let output = captured("printf '\\033[1m1.2\\033[0m\\r\\nend\\377'");
        assert_eq!(output.as_deref(), Ok("\u{fffd}[1m1.2\u{fffd}[0m\nend\0ff"));
    }

    #[test]
    fn other_bytes_that_are_not_utf8_are_another_output() {
        let outputs = ["v\\377", "v\\376", "v\\000ff", "v\\001ff"]
            .map(|text| captured(&format!("printf '{text}'")).expect("an output"));
        assert_ne!(outputs[0], outputs[1]);
        assert!(!outputs[2..].contains(&outputs[0]), "{outputs:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let argv = ["no-such-shell".to_owned(), "-c".to_owned()];
        let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
        let error = capture(&argv, Path::new("/"), &env, Duration::from_secs(60)).unwrap_err();
        let said = "could not be started: there is no program `no-such-shell`";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn a_failure_keeps_the_output() {
        let exited = |code, output: &str| CaptureError::Exited {
            code,
            output: output.into(),
        };
        assert_eq!(captured("echo no >&2; exit 3"), Err(exited(3, "no")));
        let missing = captured("no-such-tool --version").unwrap_err();
        assert!(missing.output().contains("not found"), "{missing:?}");
        assert_eq!(missing.to_string(), "exited with 127");
        let signaled = CaptureError::Signaled {
            signal: 15,
            output: "x".into(),
        };
        assert_eq!(captured("echo x; kill $$"), Err(signaled));
    }

    #[test]
    fn an_empty_output_and_an_endless_one_are_errors() {
        assert_eq!(captured("exit 0"), Err(CaptureError::Silent));
        assert_eq!(captured("exec yes"), Err(CaptureError::TooLong));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
        for line in [
            "echo $$ > group; echo half; sleep 600",
            "echo $$ > group; echo half; sleep 600 & exit 0",
            "echo $$ > group; echo half; exec >&- 2>&-; sleep 600",
        ] {
            // Longer each time: a busy machine takes a while to start it.
            let limits = (0..8).map(|doublings| Duration::from_millis(300 << doublings));
            let found = limits
                .map(|limit| capture(&sh(line), dir.path(), &env, limit).unwrap_err())
                .find(|error| error.output() == "half");
            assert!(
                matches!(found, Some(CaptureError::TimedOut { .. })),
                "{line}"
            );
            let group: u32 = std::fs::read_to_string(dir.path().join("group"))
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let gone = |_| {
                let wanted = std::collections::BTreeSet::from([group]);
                let left = restage_core::process::members_by_job(&wanted);
                left.is_empty() || {
                    thread::sleep(Duration::from_millis(10));
                    false
                }
            };
            assert!((0..1000).any(gone), "{line}");
        }
    }
}
