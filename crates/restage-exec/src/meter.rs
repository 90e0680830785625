//! Measures what running jobs hold in memory, a few times a second.
//!
//! Why not limit memory by the kernel: an address space limit (`ulimit -v`) breaks
//! programs that reserve much more than they use, CUDA above all, and control groups can
//! rarely be written without root.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::watch::Watch;
use restage_core::clock::thread_cpu_time;
use restage_core::{memory, process};

/// The shortest pause between two measurements.
const PACE: Duration = Duration::from_millis(200);
/// The pause is at least this many times as long as the measurement keeps a core busy: measuring
/// never costs more than a twentieth of one.
const PATIENCE: u32 = 20;

/// Measures all jobs until the executor is closed.
pub(crate) fn keep_measuring(watch: &Watch) {
    let mut pause = PACE;
    while let Some(jobs) = watch.due_for_measuring(pause) {
        let since = thread_cpu_time();
        let firsts: BTreeSet<u32> = jobs.iter().map(|(_, first, _)| *first).collect();
        let members = process::members_by_job(&firsts);
        for (id, first, peak) in jobs {
            let pids = members.get(&first).map_or(&[][..], Vec::as_slice);
            if let Some(held) = memory::held_above(peak, pids) {
                watch.measured(id, held);
            }
        }
        // Not the time that passed: on a busy machine most of that is waiting.
        let busy = thread_cpu_time().saturating_sub(since);
        pause = PACE.max(busy.saturating_mul(PATIENCE));
    }
}
