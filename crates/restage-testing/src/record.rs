//! What a fake executor was asked to do, and when.

use std::sync::{Arc, Mutex};

use super::{World, lock};
use restage_exec::{Job, Outcome};

/// One line of a [`Record`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A job was started.
    Started {
        /// Virtual seconds.
        at: f64,
        /// Its name.
        name: String,
        /// The others that ran then.
        beside: Vec<String>,
    },
    /// A job was asked to stop.
    Cancelled {
        /// Virtual seconds.
        at: f64,
        /// Its name.
        name: String,
    },
    /// A job ended.
    Ended {
        /// Virtual seconds.
        at: f64,
        /// Its name.
        name: String,
        /// How.
        outcome: Outcome,
    },
}

/// What a [`FakeExecutor`](super::FakeExecutor) was asked to do; readable while and after it is used.
#[derive(Debug, Clone)]
pub struct Record(pub(super) Arc<Mutex<World>>);

impl Record {
    /// Everything that happened, in order.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0).events.clone()
    }

    /// The jobs as they were submitted, in order.
    pub fn jobs(&self) -> Vec<Job> {
        lock(&self.0).jobs.clone()
    }

    /// Names of the jobs in the order in which they were started.
    pub fn started(&self) -> Vec<String> {
        lock(&self.0)
            .jobs
            .iter()
            .map(|job| job.name.clone())
            .collect()
    }

    /// The most jobs that ran at once.
    pub fn most_at_once(&self) -> usize {
        let beside = |event: &Event| match event {
            Event::Started { beside, .. } => beside.len() + 1,
            _ => 0,
        };
        lock(&self.0).events.iter().map(beside).max().unwrap_or(0)
    }

    /// Virtual seconds since the executor was made.
    pub fn now(&self) -> f64 {
        lock(&self.0).now
    }
}
