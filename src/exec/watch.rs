//! Follows started jobs to their end: deadlines, TERM and KILL, and what a group leaves behind.
//! It must not know how a job's command is made.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use wait4::{ResUse, Wait4};

use crate::base::clock::Instant;
use crate::base::fault;
use crate::base::process::{ProcessRef, VANISH};
use crate::exec::job::{Finished, JobId, Outcome};

/// Tries to start a program whose file someone still holds open for writing: about a second.
const BUSY_TRIES: u32 = 40;
const BUSY_WAIT: Duration = Duration::from_millis(25);
/// A last child may end a moment after its parent; that is no leftover.
const MOMENT: Duration = Duration::from_millis(100);

/// The jobs that have not been reported yet.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<JobId, Live>,
    closed: bool,
}

/// A job between submission and report.
#[derive(Debug)]
pub(crate) struct Live {
    process: Option<ProcessRef>,
    phase: Phase,
    grace: Duration,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    cause: Option<Cause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not started yet, or not reaped: its process id is its own.
    Held,
    /// The first process was reaped: its number may be given to another.
    Reaped,
    /// Nothing of it is left.
    Ended,
}

/// Why we stop a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Cancelled,
    TimedOut,
}

impl Live {
    pub(crate) fn new(timeout: Option<Duration>, grace: Duration) -> Self {
        Self {
            process: None,
            phase: Phase::Held,
            grace,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            kill_at: None,
            cause: None,
        }
    }

    pub(crate) fn process(&self) -> Option<ProcessRef> {
        self.process.clone()
    }

    /// TERM now, KILL after the grace period.
    fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.kill_at = Instant::now().checked_add(self.grace);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            let ours = match self.phase {
                Phase::Held => true,
                Phase::Reaped => process.is_alive(),
                Phase::Ended => false,
            };
            if ours {
                process.signal(signal);
            }
        }
    }

    /// Does what is due at `now` and says when to look again.
    fn tick(&mut self, now: Instant) -> Option<Instant> {
        if self.phase == Phase::Ended {
            return None;
        }
        let running = self.phase == Phase::Held && self.cause.is_none();
        if running && self.deadline.is_some_and(|deadline| deadline <= now) {
            self.cause = Some(Cause::TimedOut);
            self.stop();
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.signal(Signal::KILL);
            self.kill_at = None;
        }
        let deadline = self
            .deadline
            .filter(|_| self.phase == Phase::Held && self.cause.is_none());
        [deadline, self.kill_at].into_iter().flatten().min()
    }
}

/// The jobs, locked.
pub(crate) struct Jobs<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for Jobs<'_> {
    type Target = BTreeMap<JobId, Live>;
    fn deref(&self) -> &Self::Target {
        &self.0.jobs
    }
}

impl std::ops::DerefMut for Jobs<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0.jobs
    }
}

impl Watch {
    pub(crate) fn jobs(&self) -> Jobs<'_> {
        Jobs(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cancel(&self, id: JobId) {
        if let Some(live) = self.lock().jobs.get_mut(&id)
            && live.phase == Phase::Held
            && live.cause.is_none()
        {
            live.cause = Some(Cause::Cancelled);
            live.stop();
        }
        self.changed.notify_all();
    }

    /// Kills what still runs; the threads then end by themselves.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for live in state.jobs.values_mut() {
            live.cause.get_or_insert(Cause::Cancelled);
            live.signal(Signal::KILL);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Kills and reaps a job that no thread could be had for.
    pub(crate) fn abandon(&self, id: JobId) {
        if let Some(live) = self.lock().jobs.remove(&id) {
            live.signal(Signal::KILL);
            if let Some(pid) = live.process.as_ref().and_then(|process| pid(process.pid)) {
                let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            }
        }
    }

    /// Enforces deadlines and grace periods until closed. Sleeps until the next one.
    pub(crate) fn keep_time(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let next = state
                .jobs
                .values_mut()
                .filter_map(|live| live.tick(now))
                .min();
            state = match next {
                Some(at) => {
                    let wait = at.since(now);
                    let woken = self.changed.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Starts the job's first process, unless the job was cancelled meanwhile.
pub(crate) fn start(command: &mut Command, watch: &Watch, id: JobId) -> io::Result<Child> {
    let program = std::path::Path::new(command.get_program());
    fault::point("start", program)?;
    let child = command.spawn()?;
    let process = ProcessRef::of(child.id());
    if let Some(live) = watch.lock().jobs.get_mut(&id) {
        live.process = Some(process);
        if live.cause.is_some() {
            live.stop();
        }
    }
    watch.changed.notify_all();
    Ok(child)
}

/// Starts a program whose file was still open for writing, as soon as it is not. A file just
/// written can be held for a moment by the fork of another thread. `None`: cancelled meanwhile.
pub(crate) fn start_when_free(
    command: &mut Command,
    watch: &Watch,
    id: JobId,
) -> io::Result<Option<Child>> {
    for _ in 0..BUSY_TRIES {
        thread::sleep(BUSY_WAIT);
        if watch
            .lock()
            .jobs
            .get(&id)
            .is_none_or(|live| live.cause.is_some())
        {
            return Ok(None);
        }
        match start(command, watch, id) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
            started => return started.map(Some),
        }
    }
    start(command, watch, id).map(Some)
}

/// Waits for a started job's end, stops what it leaves behind, and says how it went.
pub(crate) fn see_through(child: Child, watch: &Watch, id: JobId, since: Instant) -> Finished {
    let process = ProcessRef::of(child.id());
    // Waiting without reaping keeps the process id ours: until the lock is held, signals to
    // the group cannot reach a stranger.
    if let Some(pid) = pid(child.id()) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
    }
    let (used, cause) = {
        let mut state = watch.lock();
        let used = child.wait4();
        let live = state.jobs.get_mut(&id);
        let cause = live.and_then(|live| {
            live.phase = Phase::Reaped;
            live.cause
        });
        (used, cause)
    };
    let survived = outlives_its_leader(&process, cause.is_some());
    if survived {
        stop_leftovers(&process, watch, id);
    }
    // A job that has ended can't fail to: only dying here means anything.
    let _ = fault::point("wait", std::path::Path::new(""));
    if let Some(live) = watch.lock().jobs.get_mut(&id) {
        live.phase = Phase::Ended;
    }
    Finished {
        id,
        outcome: outcome(&used, cause),
        seconds: since.elapsed().as_secs_f64(),
        peak_memory: used
            .ok()
            .map(|used| used.rusage.maxrss)
            .filter(|bytes| *bytes > 0),
        leftovers: survived && cause.is_none(),
    }
}

/// Asks the cheap question first: in nearly all cases the group is gone with its leader.
fn outlives_its_leader(process: &ProcessRef, stopped: bool) -> bool {
    if !process.exists() || !process.is_alive() {
        return false;
    }
    let since = Instant::now();
    while !stopped && since.elapsed() < MOMENT && process.is_alive() {
        thread::sleep(MOMENT / 20);
    }
    process.is_alive()
}

/// TERM (unless it was sent), KILL after the grace period, then waits until all are gone; a
/// process that the kernel cannot end is given up after a while.
fn stop_leftovers(process: &ProcessRef, watch: &Watch, id: JobId) {
    let mut killed_since = None;
    if let Some(live) = watch.lock().jobs.get_mut(&id)
        && live.cause.is_none()
    {
        live.stop();
    }
    watch.changed.notify_all();
    let mut pause = Duration::from_millis(1);
    while process.is_alive() {
        let killed = watch
            .lock()
            .jobs
            .get(&id)
            .is_none_or(|live| live.kill_at.is_none());
        if killed && killed_since.get_or_insert_with(Instant::now).elapsed() > VANISH {
            break;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn outcome(used: &io::Result<ResUse>, cause: Option<Cause>) -> Outcome {
    match (cause, used) {
        (Some(Cause::Cancelled), _) => Outcome::Cancelled,
        (Some(Cause::TimedOut), _) => Outcome::TimedOut,
        (None, Ok(used)) => match (used.status.code(), used.status.signal()) {
            (Some(code), _) => Outcome::Exited(code),
            (None, Some(signal)) => Outcome::Signaled(signal),
            (None, None) => Outcome::NotStarted(format!("it ended oddly: {}", used.status)),
        },
        // Only where the caller's parent made it ignore SIGCHLD.
        (None, Err(error)) => {
            Outcome::NotStarted(format!("the system did not tell how it ended: {error}"))
        }
    }
}

pub(crate) fn not_started(id: JobId, since: Instant, reason: String) -> Finished {
    ended(id, since, Outcome::NotStarted(reason))
}

/// The job was cancelled, or timed out, before it could start.
pub(crate) fn ended_before_start(watch: &Watch, id: JobId, since: Instant) -> Finished {
    let cause = watch.lock().jobs.get(&id).and_then(|live| live.cause);
    ended(
        id,
        since,
        match cause {
            Some(Cause::TimedOut) => Outcome::TimedOut,
            _ => Outcome::Cancelled,
        },
    )
}

fn ended(id: JobId, since: Instant, outcome: Outcome) -> Finished {
    let seconds = since.elapsed().as_secs_f64();
    Finished {
        id,
        outcome,
        seconds,
        peak_memory: None,
        leftovers: false,
    }
}

fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
