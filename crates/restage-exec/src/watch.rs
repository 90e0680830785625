//! Follows started jobs to their end: limits, TERM and KILL, and what a group leaves behind.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::job::{Finished, JobId, Outcome};
use crate::live::{Cause, Live, Phase};
use crate::start::Start;
use restage_core::clock::Instant;
use restage_core::fault;
use restage_core::process::{ProcessRef, VANISH};
use restage_isolation::{Ending, Launch, Reaped};

/// Tries to start a program whose file is still open for writing: about a second.
const BUSY_TRIES: u32 = 40;
const BUSY_WAIT: Duration = Duration::from_millis(25);
/// A last child may end a moment after its parent; that is not a leftover.
const MOMENT: Duration = Duration::from_millis(100);

/// The jobs that have not been reported yet.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    /// What the thread that keeps time waits for.
    changed: Condvar,
    /// What the thread that measures waits for while no job runs.
    started: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<JobId, Live>,
    closed: bool,
    /// Since when all jobs are stopped.
    paused: Option<Instant>,
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
        // The state is valid after every statement, so a panic elsewhere does not break it.
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

    /// The process groups to measure after `pause`, with the peak of each so far: those that ran all the
    /// time, and those that have a limit. Waits while there is none; `None` once closed.
    pub(crate) fn due_for_measuring(&self, pause: Duration) -> Option<Vec<(JobId, u32, u64)>> {
        loop {
            let mut state = self.lock();
            while !state.closed && !state.jobs.values().any(|live| live.to_measure().is_some()) {
                let woken = self.started.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            let newest = state.jobs.keys().next_back().copied();
            drop(state);
            // Jobs that start and end meanwhile need not wake it.
            thread::sleep(pause);
            let state = self.lock();
            if state.closed {
                return None;
            }
            let running = state.jobs.iter().filter_map(|(id, live)| {
                // Of one that ends in a moment the system's figure is enough.
                let matters = Some(*id) <= newest || live.memory.is_some();
                let (group, peak) = live.to_measure().filter(|_| matters)?;
                Some((*id, group, peak))
            });
            let due: Vec<_> = running.collect();
            if !due.is_empty() {
                return Some(due);
            }
        }
    }

    /// Records how much memory a job's group holds.
    pub(crate) fn measured(&self, id: JobId, held: u64) {
        if let Some(live) = self.lock().jobs.get_mut(&id) {
            live.measured(held);
        }
        self.changed.notify_all();
    }

    /// Kills all running jobs; the threads then end by themselves.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for live in state.jobs.values_mut() {
            live.cause.get_or_insert(Cause::Cancelled);
            live.signal(Signal::KILL);
        }
        drop(state);
        self.changed.notify_all();
        self.started.notify_all();
    }

    /// Stops all jobs, or lets them go on with the time that they had left.
    pub(crate) fn pause(&self, pause: bool) {
        let mut state = self.lock();
        let stopped = state.paused.take().map(|since| since.elapsed());
        if pause {
            state.paused = Some(Instant::now());
        }
        for live in state.jobs.values_mut() {
            if let Some(stopped) = stopped {
                live.postpone(stopped);
            }
            live.signal(if pause { Signal::STOP } else { Signal::CONT });
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Kills and reaps a job for which no thread could be started.
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
            if state.paused.is_some() {
                let woken = self.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
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

/// Starts the job's first process; returns its id.
pub(crate) fn start(start: &mut Start, watch: &Watch, id: JobId) -> io::Result<u32> {
    let pid = start.go()?;
    let process = ProcessRef::of(pid);
    let mut state = watch.lock();
    let closed = state.closed;
    let mut is_timed = false;
    if let Some(live) = state.jobs.get_mut(&id) {
        live.process = Some(process);
        live.launch = start.launch();
        if closed {
            live.signal(Signal::KILL);
        } else if live.cause.is_some() {
            live.stop();
        }
        is_timed = live.is_timed();
    }
    drop(state);
    watch.started.notify_all();
    if is_timed {
        watch.changed.notify_all();
    }
    Ok(pid)
}

/// Starts a program whose file was still open for writing as soon as it is closed: the fork of
/// another thread can hold a new file open for a moment. `None`: cancelled meanwhile.
pub(crate) fn start_when_free(
    job: &mut Start,
    watch: &Watch,
    id: JobId,
) -> io::Result<Option<u32>> {
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
        match start(job, watch, id) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
            started => return started.map(Some),
        }
    }
    start(job, watch, id).map(Some)
}

/// Waits for a started job's end and stops what it leaves behind. The error says why its launcher
/// could not start its program.
pub(crate) fn see_through(
    first: u32,
    launch: Option<&Launch>,
    watch: &Watch,
    id: JobId,
    since: Instant,
) -> (Finished, Option<io::Error>) {
    let process = watch.jobs().get(&id).and_then(Live::process);
    let process = process.unwrap_or_else(|| ProcessRef::of(first));
    // Waiting without reaping keeps the process id ours: until the lock is held, signals to
    // the group cannot reach a stranger.
    if let Some(pid) = pid(first) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
    }
    let (used, cause, seen) = {
        let mut state = watch.lock();
        let used = restage_isolation::reap(first);
        match state.jobs.get_mut(&id) {
            Some(live) => {
                live.phase = Phase::Reaped;
                (used, live.cause, live.peak)
            }
            None => (used, None, 0),
        }
    };
    let (how, no_program, leftovers) = match launch {
        None => {
            let survived = outlives_its_leader(&process, cause.is_some());
            if survived {
                stop_leftovers(&process, watch, id);
            }
            (ended_alone(&used), None, survived)
        }
        Some(launch) => ended_in_launcher(launch.ending(), &used),
    };
    // The job has ended: an injected failure has no meaning here, only an injected death.
    let _ = fault::point("wait", std::path::Path::new(""));
    if let Some(live) = watch.lock().jobs.get_mut(&id) {
        live.phase = Phase::Ended;
    }
    let finished = Finished {
        id,
        outcome: cause.map_or(how, Cause::outcome),
        seconds: since.elapsed().as_secs_f64(),
        peak_memory: used
            .map_or(Some(seen), |used| Some(seen.max(used.peak_memory)))
            .filter(|bytes| *bytes > 0),
        leftovers: leftovers && cause.is_none(),
        trace: None,
    };
    (finished, no_program)
}

/// Makes the cheap check first: nearly always the group is gone with its leader.
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
/// process that the kernel cannot end is abandoned after a while.
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

/// How a job without a launcher ended.
fn ended_alone(used: &io::Result<Reaped>) -> Outcome {
    match used {
        Ok(used) => ended_with(used.status),
        // Only if the caller's parent made it ignore SIGCHLD.
        Err(error) => {
            Outcome::NotStarted(format!("the system did not report how it ended: {error}"))
        }
    }
}

fn ended_with(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Signaled(signal),
        (None, None) => Outcome::NotStarted(format!("it ended in an unknown way: {status}")),
    }
}

/// How a job with a launcher ended, why its program could not be started, and whether processes
/// were left.
fn ended_in_launcher(
    ending: Ending,
    used: &io::Result<Reaped>,
) -> (Outcome, Option<io::Error>, bool) {
    match ending {
        Ending::Ended { status, leftovers } => (ended_with(status), None, leftovers),
        Ending::NoProgram(error) => (Outcome::NotStarted(error.to_string()), Some(error), false),
        Ending::Refused { step, error } => {
            let text = format!("its isolation failed: {step}: {error}");
            (Outcome::NotStarted(text), None, false)
        }
        Ending::Lost { first } => {
            if let Some((pid, started)) = first {
                let first = ProcessRef::of(pid);
                let since = Instant::now();
                while first.started == Some(started) && first.is_alive() {
                    if since.elapsed() > VANISH {
                        break;
                    }
                    thread::sleep(MOMENT / 20);
                }
            }
            (ended_alone(used), None, false)
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
        trace: None,
    }
}

fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
