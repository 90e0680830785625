//! Fault points: where tests make restage die, or a system call fail, at a chosen moment. Without
//! a plan a point costs one comparison.
//!
//! Every open, write, flush, rename, removal, start of a process and end of one passes a point.
//! `RESTAGE_FAULTS` holds the plan of one call: `log:FILE` writes a line for each point, `die:N`
//! kills restage at the Nth (a write dies half-done), `ENOSPC:N` makes that one fail, and
//! `ENOSPC:N+` that one and all after it (likewise `EIO`, `EACCES`, `EROFS`, `EMFILE`).

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process ends here.
    Die,
    /// The call fails.
    Fail(Errno),
}

#[derive(Debug)]
enum Plan {
    Log(File),
    At { first: u64, last: u64, fault: Fault },
}

static PLAN: OnceLock<Plan> = OnceLock::new();
static REACHED: AtomicU64 = AtomicU64::new(0);

/// `RESTAGE_FAULTS` is not a plan.
#[derive(Debug, thiserror::Error)]
#[error("RESTAGE_FAULTS=`{0}` is not a plan of faults")]
pub struct NoPlan(String);

/// Follows a plan from here on.
pub fn install(text: &str) -> Result<(), NoPlan> {
    let plan = parse(text).ok_or_else(|| NoPlan(text.to_owned()))?;
    // A second plan of one process would be a test's mistake.
    PLAN.set(plan).map_err(|_| NoPlan(text.to_owned()))
}

fn parse(text: &str) -> Option<Plan> {
    let (what, where_) = text.split_once(':')?;
    if what == "log" {
        #[expect(
            clippy::disallowed_methods,
            reason = "crate::fs would pass through here"
        )]
        let file = File::create(where_).ok()?;
        return Some(Plan::Log(file));
    }
    let fault = match what {
        "die" => Fault::Die,
        "ENOSPC" => Fault::Fail(Errno::NOSPC),
        "EIO" => Fault::Fail(Errno::IO),
        "EACCES" => Fault::Fail(Errno::ACCESS),
        "EROFS" => Fault::Fail(Errno::ROFS),
        "EMFILE" => Fault::Fail(Errno::MFILE),
        _ => return None,
    };
    let (number, last) = match where_.strip_suffix('+') {
        Some(number) => (number, Some(u64::MAX)),
        None => (where_, None),
    };
    let first = number.parse().ok()?;
    Some(Plan::At {
        first,
        last: last.unwrap_or(first),
        fault,
    })
}

/// What happens at this point, if anything does.
pub(super) fn reached(op: &str, path: &Path) -> Option<Fault> {
    let plan = PLAN.get()?;
    // /proc is read at irregular times, not at fixed points.
    if path.starts_with("/proc") {
        return None;
    }
    let number = REACHED.fetch_add(1, Ordering::Relaxed) + 1;
    match plan {
        Plan::Log(file) => {
            // One write per line, so that threads don't interleave.
            let line = format!("{op}\t{}\n", path.display());
            let _ = (&*file).write_all(line.as_bytes());
            None
        }
        Plan::At { first, last, fault } => (*first..=*last).contains(&number).then_some(*fault),
    }
}

/// Dies or fails here, if the plan says so.
pub fn point(op: &str, path: &Path) -> io::Result<()> {
    match reached(op, path) {
        None => Ok(()),
        Some(Fault::Fail(errno)) => Err(errno.into()),
        Some(Fault::Die) => die(),
    }
}

/// Like a power cut for this process: nothing is cleaned up.
pub(super) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_and_others_refused() {
        let at = |text: &str| match parse(text) {
            Some(Plan::At { first, last, fault }) => Some((first, last, fault)),
            _ => None,
        };
        assert_eq!(at("die:3"), Some((3, 3, Fault::Die)));
        assert_eq!(at("EIO:1"), Some((1, 1, Fault::Fail(Errno::IO))));
        let all = (5, u64::MAX, Fault::Fail(Errno::NOSPC));
        assert_eq!(at("ENOSPC:5+"), Some(all));
        for wrong in [
            "",
            "die",
            "die:",
            "die:x",
            "EWHAT:1",
            "log:/no/such/folder/x",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
