//! The first process in the new namespaces: places the files, starts the command, reaps all
//! orphans, and ends when the command does. In a PID namespace the kernel then kills what is left.

use std::io::PipeWriter;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::caller::Report;
use crate::launcher::{Channel, kill_descendants};
use crate::namespaces::{self, Refused, Step as _};
use crate::plan::Plan;
use crate::system::{self, SignalMask};
use restage_core::clock::Instant;

/// A last child may end a moment after the command; that is not a leftover.
const MOMENT: Duration = Duration::from_millis(100);

/// What the launcher gives to the first process.
pub(crate) struct Start<'a> {
    pub(crate) channel: &'a Channel,
    pub(crate) plan: &'a Plan,
    /// The command's standard input, a tracer's socket; else it gets an empty one.
    pub(crate) stdin: Option<OwnedFd>,
    /// The signals that the command shall have blocked.
    pub(crate) mask: SignalMask,
    pub(crate) user_namespace: bool,
    pub(crate) launcher: Pid,
    pub(crate) launcher_ended: Option<OwnedFd>,
    /// Held until the command runs.
    pub(crate) starting: PipeWriter,
}

/// Ends with this process.
pub(crate) fn run(start: Start<'_>) -> ! {
    let channel = start.channel;
    match go(start) {
        Ok(()) => system::exit(0),
        Err(refused) => channel.refused(&refused),
    }
    system::exit(1)
}

fn go(start: Start<'_>) -> Result<(), Refused> {
    let (channel, plan) = (start.channel, start.plan);
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    // No terminal to read from, and a process group by which all but those that leave it are told to
    // end.
    let before = namespaces::read_from_proc(SCHEDULING_GROUP).unwrap_or_default();
    rustix::process::setsid().step("setsid")?;
    if start.user_namespace {
        namespaces::map_ids(uid.as_raw(), gid.as_raw())?;
    }
    let process = rustix::process::getpriority_process(None).unwrap_or(0);
    let nice = nicer(&before, process);
    follow(&start)?;
    if plan.view.is_some() || !plan.subreaper {
        namespaces::keep_mounts()?;
    }
    match &plan.view {
        Some(view) => namespaces::enter_view(view)?,
        None => rustix::process::chdir(&plan.dir).step("change of folder")?,
    }
    if !plan.subreaper {
        namespaces::mount_proc()?;
    }
    if plan.no_network {
        system::loopback_up().step("loopback interface")?;
    }
    if plan.argv.is_empty() {
        channel.tell(&Report::Ended {
            status: 0,
            leftovers: false,
        });
        return Ok(());
    }
    match system::clone(0).step("fork")? {
        None => become_command(&start),
        Some(command) => {
            drop(start.starting);
            reap(
                channel,
                plan.subreaper.then_some(start.launcher),
                command,
                nice,
            );
        }
    }
    Ok(())
}

/// The kernel takes a group's nice value once in a tenth of a second, of all ordinary users together.
const AGAIN: Duration = Duration::from_millis(110);

/// Where the kernel says how nice a session's processes are together (`sched(7)`, autogroup).
const SCHEDULING_GROUP: &str = "autogroup";

/// How nice this session shall be as a group, if nicer than others, after one that was as `before`
/// says (`/autogroup-7 nice 0`; nothing in the kernel's own group, in which init starts). A new one
/// gets as much of the CPUs as any other, however nice its processes are: `nice restage reproduce`
/// would slow nothing down but restage.
fn nicer(before: &str, process: i32) -> Option<i32> {
    let before = before.trim().rsplit(' ').next().unwrap_or_default();
    Some(before.parse().unwrap_or(0).max(process)).filter(|nice| *nice > 0)
}

/// Makes this process end with the launcher, or end what it started when the launcher has ended.
fn follow(start: &Start<'_>) -> Result<(), Refused> {
    let signal = if start.plan.subreaper {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step("subreaper")?;
        Signal::USR1
    } else {
        Signal::KILL
    };
    rustix::process::set_parent_process_death_signal(Some(signal)).step("prctl")?;
    // It may have ended just before.
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if let Some(ended) = &start.launcher_ended
        && matches!(poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&now)), Ok(n) if n > 0)
    {
        system::exit(1);
    }
    Ok(())
}

/// Reaps until the command has ended, and says how. Without a PID namespace it must look after its
/// `launcher`. Meanwhile it makes the session as `nice` as it shall be.
fn reap(channel: &Channel, launcher: Option<Pid>, command: Pid, mut nice: Option<i32>) {
    let orphaned = || launcher.is_some() && rustix::process::getppid() != launcher;
    let status = loop {
        if let Some(status) = reap_ended(command) {
            break status;
        }
        if orphaned() {
            // Nobody else would end them.
            kill_descendants();
            return;
        }
        nice = nice.filter(|nice| !make_nice(*nice));
        system::wait_for_signal([libc::SIGCHLD, libc::SIGUSR1], nice.map(|_| AGAIN));
    };
    channel.tell(&Report::Ended {
        status: status.as_raw(),
        leftovers: leaves_others(),
    });
}

/// False if it must be tried again; where sessions are no groups, there is nothing to do.
fn make_nice(nice: i32) -> bool {
    namespaces::write_to_proc(SCHEDULING_GROUP, &nice.to_string()) != Err(Errno::AGAIN)
}

fn reap_ended(command: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == command {
            found = Some(status);
        }
    }
    found
}

/// Whether processes of the command still run after a moment.
fn leaves_others() -> bool {
    let since = Instant::now();
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Err(Errno::CHILD) => return false,
            Ok(None) if since.elapsed() > MOMENT => return true,
            Ok(None) => std::thread::sleep(MOMENT / 50),
            _ => {}
        }
    }
}

fn become_command(start: &Start<'_>) -> ! {
    if let Err(refused) = start_command(start) {
        start.channel.refused(&refused);
    }
    system::exit(127)
}

fn start_command(start: &Start<'_>) -> Result<(), Refused> {
    let plan = start.plan;
    let mut command = Command::new(&plan.argv[0]);
    command.args(&plan.argv[1..]).env_clear();
    for variable in &plan.env {
        let bytes = variable.as_bytes();
        // The name may start with `=`, but is not empty.
        let at = bytes.iter().skip(1).position(|byte| *byte == b'=');
        let (name, value) = bytes.split_at(at.map_or(bytes.len(), |at| at + 1));
        let value = value.get(1..).unwrap_or_default();
        command.env(
            std::ffi::OsStr::from_bytes(name),
            std::ffi::OsStr::from_bytes(value),
        );
    }
    start.mask.restore();
    system::close_all_on_exec().step("close_range")?;
    match &start.stdin {
        Some(stdin) => {
            rustix::stdio::dup2_stdin(stdin.as_fd()).step("standard input")?;
            // Its watcher learns by the socket what went wrong.
            let _ = restage_tracer::enter(&mut command);
        }
        None => {
            let error = restage_tracer::exec_when_free(&mut command);
            start.channel.tell(&Report::NoProgram {
                errno: error.raw_os_error().unwrap_or(0),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::nicer;

    #[test]
    fn a_session_is_as_nice_as_the_nicer_of_the_group_and_the_process_that_start_it() {
        assert_eq!(nicer("/autogroup-7 nice 0\n", 5), Some(5));
        assert_eq!(nicer("/autogroup-7 nice 9\n", 5), Some(9));
        assert_eq!(nicer("/autogroup-7 nice -9\n", 0), None);
        assert_eq!(nicer("/autogroup-7 nice 0\n", 0), None);
    }

    #[test]
    fn a_process_of_the_kernels_own_group_starts_nice_sessions_too() {
        assert_eq!(nicer("", 5), Some(5));
        assert_eq!(nicer("", 0), None);
    }
}
