//! The launcher: makes the first process and stays beside it until all that it started has ended.
//! It has one thread, and all signals are blocked in it: its orders come by the socket.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::caller::{Order, Report};
use crate::first;
use crate::namespaces::{self, Refused, Step as _};
use crate::plan::Plan;
use crate::server::{self, Role};
use crate::system::{self, SignalMask};
use restage_core::clock::Instant;
use restage_core::process::{self, ProcessRef, VANISH};

/// The exit code of a launcher that could not do its work; its caller learns why by the socket.
const FAILED: u8 = 125;
/// Looks for processes that still run, a millisecond apart, while all are stopped.
const MOST_LOOKS: u32 = 200;

/// The launcher's side of the socket.
pub(crate) struct Channel(pub(crate) OwnedFd);

impl Channel {
    /// If the caller is dead, nobody needs to know.
    pub(crate) fn tell(&self, report: &Report) {
        let text = report.to_string();
        let _ = rustix::net::send(&self.0, text.as_bytes(), rustix::net::SendFlags::NOSIGNAL);
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        self.tell(&Report::Refused {
            errno: refused.error.raw_os_error().unwrap_or(0),
            step: refused.step.clone(),
        });
    }
}

/// Turns this process into the server of launchers, and each process that it forks into a launcher. A
/// launcher carries out the plan that comes by its socket, and returns when everything that
/// was started has ended. Must be called before this process has a second thread.
pub fn launch() -> ExitCode {
    let mask = SignalMask::block_all();
    match serve() {
        Ok(Role::Done) => ExitCode::SUCCESS,
        Ok(Role::Launcher(socket)) => {
            let channel = Channel(socket);
            let carried_out = match begin(&channel) {
                Ok((plan, stdin)) => carry_out(&channel, &plan, stdin, mask),
                // The caller has gone.
                Err(_) => return ExitCode::from(FAILED),
            };
            match carried_out {
                Ok(()) => ExitCode::SUCCESS,
                Err(refused) => {
                    channel.refused(&refused);
                    ExitCode::from(FAILED)
                }
            }
        }
        // Started by hand: there is no socket, and nobody to tell.
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Takes the caller's socket from standard input, so that no command gets it, and serves.
fn serve() -> io::Result<Role> {
    let caller = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    rustix::stdio::dup2_stdin(&null)?;
    server::serve(caller)
}

fn begin(channel: &Channel) -> io::Result<(Plan, Option<OwnedFd>)> {
    let (bytes, stdin) = crate::caller::receive_plan(channel.0.as_fd())?;
    Ok((Plan::decode(&bytes)?, stdin))
}

fn carry_out(
    channel: &Channel,
    plan: &Plan,
    stdin: Option<OwnedFd>,
    mask: SignalMask,
) -> Result<(), Refused> {
    if let Some(view) = &plan.view {
        namespaces::make_places(view)?;
    }
    let me = rustix::process::getpid();
    if plan.subreaper {
        rustix::process::set_child_subreaper(Some(me)).step("subreaper")?;
    }
    let flags = namespaces::flags(plan);
    // For the first process: ready once we have ended. Older kernels have none.
    let ended = rustix::process::pidfd_open(me, rustix::process::PidfdFlags::empty()).ok();
    let signals = system::signal_descriptor(libc::SIGCHLD).step("signalfd")?;
    // Closed in the first process once it has started the command, and by the command's start.
    let (running, starting) = io::pipe().step("pipe")?;
    let first = match system::clone(flags).step("clone")? {
        Some(first) => first,
        None => first::run(first::Start {
            channel,
            plan,
            stdin,
            mask,
            user_namespace: flags & libc::CLONE_NEWUSER != 0,
            launcher: me,
            launcher_ended: ended,
            starting,
        }),
    };
    drop((stdin, ended, starting));
    let process = ProcessRef::of(first.as_raw_pid().unsigned_abs());
    channel.tell(&Report::Started {
        pid: process.pid,
        started: process.started.unwrap_or(0),
    });
    guard(channel, first, &signals, running, plan.subreaper);
    Ok(())
}

/// Carries out orders until the first process has ended, then ends what it left.
///
/// Until the command runs there is no group that could be told to end, so orders wait.
fn guard(channel: &Channel, first: Pid, signals: &OwnedFd, running: PipeReader, subreaper: bool) {
    let mut listening = true;
    let mut running = Some(running);
    let status = loop {
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        if listening {
            let orders = match running {
                Some(_) => PollFlags::empty(),
                None => PollFlags::IN,
            };
            // Its other end's close is always told.
            fds.push(PollFd::new(&channel.0, orders));
        }
        if let Some(running) = &running {
            fds.push(PollFd::new(running, PollFlags::IN));
        }
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let ordered = listening && !fds[1].revents().is_empty();
        let runs = fds.get(1 + usize::from(listening));
        let runs = runs.is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        if runs {
            running = None;
        }
        // Which child it was, and how many, `waitpid` says.
        let _ = rustix::io::read(signals, &mut [0u8; 512]);
        if let Some(status) = reap(first) {
            break status;
        }
        if ordered {
            let mut orders = [0; 16];
            match rustix::io::read(&channel.0, &mut orders) {
                Ok(0) | Err(_) => {
                    // Our caller is dead.
                    listening = false;
                    end_all(first, subreaper);
                }
                Ok(n) => orders[..n]
                    .iter()
                    .filter_map(|byte| Order::of(*byte))
                    .for_each(|order| obey(order, first, subreaper)),
            }
        }
    };
    if subreaper {
        kill_descendants();
    }
    // If the first process was killed, it has not said it. Else this comes second and is not read.
    channel.tell(&Report::Ended {
        status: status.as_raw(),
        leftovers: false,
    });
}

/// Reaps all children that have ended; the first process's status, if it is one of them.
fn reap(first: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == first {
            found = Some(status);
        }
    }
    found
}

fn obey(order: Order, first: Pid, subreaper: bool) {
    let group = |signal| {
        // It fails only if the group is gone.
        let _ = rustix::process::kill_process_group(first, signal);
    };
    match order {
        Order::Terminate => {
            group(Signal::TERM);
            // A stopped process would not hear it.
            for_all(first, Signal::CONT);
        }
        Order::Kill => end_all(first, subreaper),
        Order::Stop => stop_all(first),
        Order::Continue => for_all(first, Signal::CONT),
    }
}

/// Kills everything: in a PID namespace the kernel kills all with the first process.
fn end_all(first: Pid, subreaper: bool) {
    if subreaper {
        for_all(first, Signal::KILL);
    }
    let _ = rustix::process::kill_process(first, Signal::KILL);
}

/// Stops all that the first process started, until a look finds none that runs: a process that runs
/// may start another one meanwhile. One that the system does not stop is let be.
fn stop_all(first: Pid) {
    for _ in 0..MOST_LOOKS {
        let all = process::descendants(first.as_raw_pid().unsigned_abs());
        let running: Vec<_> = all.iter().filter(|one| !one.stopped).collect();
        if running.is_empty() {
            return;
        }
        running.iter().for_each(|one| send(one.pid, Signal::STOP));
        // A process in the middle of a system call stops at its end.
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn for_all(of: Pid, signal: Signal) {
    for one in process::descendants(of.as_raw_pid().unsigned_abs()) {
        send(one.pid, signal);
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It fails only if the process is gone, or is another user's.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills all that descends from this process, a subreaper, until the system says that it has no child
/// left: looking at all processes one by one misses one that hands over to another meanwhile. What can't
/// be killed, such as another user's process (`sudo`), is left after a while.
pub(crate) fn kill_descendants() {
    let since = Instant::now();
    let mut pause = Duration::from_millis(1);
    while since.elapsed() < VANISH {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        for_all(rustix::process::getpid(), Signal::KILL);
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
