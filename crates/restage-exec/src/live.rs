//! One job between submission and report: when it must be stopped, and how.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::job::{Job, Outcome};
use restage_core::clock::Instant;
use restage_core::process::ProcessRef;
use restage_isolation::{Launch, Order};

/// The longest grace period of a job over its memory limit.
const MEMORY_GRACE: Duration = Duration::from_secs(2);

/// A job between submission and report.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) process: Option<ProcessRef>,
    /// Through which its launcher gets orders, if it has one.
    pub(super) launch: Option<Arc<Launch>>,
    pub(super) phase: Phase,
    grace: Duration,
    deadline: Option<Instant>,
    pub(super) memory: Option<u64>,
    /// The most memory that it was seen to hold.
    pub(super) peak: u64,
    pub(super) kill_at: Option<Instant>,
    pub(super) cause: Option<Cause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started yet, or not reaped: its process id can't be another's.
    Held,
    /// The first process was reaped: the system may reuse its id.
    Reaped,
    /// All its processes are gone.
    Ended,
}

/// Why we stop a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Cancelled,
    TimedOut,
    OverMemory(u64),
}

impl Cause {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Cancelled => Outcome::Cancelled,
            Self::TimedOut => Outcome::TimedOut,
            Self::OverMemory(held) => Outcome::OverMemory(held),
        }
    }
}

impl Live {
    pub(crate) fn new(job: &Job) -> Self {
        let deadline = |timeout| Instant::now().checked_add(timeout);
        Self {
            process: None,
            launch: None,
            phase: Phase::Held,
            grace: job.grace,
            deadline: job.timeout.and_then(deadline),
            memory: job.memory,
            peak: 0,
            kill_at: None,
            cause: None,
        }
    }

    pub(crate) fn process(&self) -> Option<ProcessRef> {
        self.process.clone()
    }

    /// TERM now, KILL after the grace period, which is short for a job that is using up the
    /// machine's memory.
    pub(super) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let grace = match self.cause {
            Some(Cause::OverMemory(_)) => self.grace.min(MEMORY_GRACE),
            _ => self.grace,
        };
        self.kill_at = Instant::now().checked_add(grace);
    }

    /// Records how much memory it holds, and stops it if that is too much.
    pub(super) fn measured(&mut self, held: u64) {
        self.peak = self.peak.max(held);
        let running = self.phase == Phase::Held && self.cause.is_none();
        if running && self.memory.is_some_and(|limit| held > limit) {
            self.cause = Some(Cause::OverMemory(held));
            self.stop();
        }
    }

    /// Sends TERM, KILL, STOP or CONT to all its processes that can be found.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(launch) = &self.launch {
            let order = match signal {
                Signal::TERM => Order::Terminate,
                Signal::STOP => Order::Stop,
                Signal::CONT => Order::Continue,
                _ => Order::Kill,
            };
            if self.phase == Phase::Held && self.process.is_some() {
                launch.order(order);
            }
        } else if let Some(process) = &self.process {
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
    pub(super) fn tick(&mut self, now: Instant) -> Option<Instant> {
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

    /// Moves what is due to a later time.
    pub(super) fn postpone(&mut self, by: Duration) {
        for at in [&mut self.deadline, &mut self.kill_at] {
            *at = at.and_then(|at| at.checked_add(by));
        }
    }

    /// Whether something happens to it at a certain time.
    pub(super) fn is_timed(&self) -> bool {
        self.deadline.is_some() || self.kill_at.is_some()
    }

    /// Its first process and its peak, as long as its first process runs.
    pub(super) fn to_measure(&self) -> Option<(u32, u64)> {
        let process = self.process.as_ref();
        let running = process.filter(|_| self.phase == Phase::Held)?;
        Some((running.pid, self.peak))
    }
}
