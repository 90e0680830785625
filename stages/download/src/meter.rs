//! Turns bytes that pass into progress events: speed, share of the stage, time left.
//! It must not know where the bytes come from.

use std::time::Instant;

use contract::{Progress, Stage};

/// Counts the bytes of one part of the stage's work.
pub(crate) struct Meter<'a> {
    stage: &'a Stage,
    /// The part's start and end in the stage's whole work, from 0 to 1.
    span: (f64, f64),
    started: Instant,
    /// Bytes there were already when this part began.
    before: u64,
    done: u64,
    /// Unknown while 0.
    total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(stage: &'a Stage, span: (f64, f64), before: u64, total: u64) -> Self {
        Self {
            stage,
            span,
            started: Instant::now(),
            before,
            done: before,
            total,
        }
    }

    /// Adds bytes, and tells the runner if it's time to.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let seconds = self.started.elapsed().as_secs_f64();
        let speed = if seconds > 0.0 {
            (self.done - self.before) as f64 / seconds
        } else {
            0.0
        };
        let left = self.total.saturating_sub(self.done) as f64;
        let share = if self.total > 0 {
            self.done as f64 / self.total as f64
        } else {
            0.0
        };
        let (start, end) = self.span;
        self.stage.progress(Progress {
            done: self.done,
            total: self.total.max(self.done),
            unit: "byte",
            fraction: start + (end - start) * share.min(1.0),
            // Of this part: what follows takes seconds, whatever the network's speed.
            remaining_seconds: (speed > 0.0 && self.total > 0).then(|| left / speed),
            metrics: &[("bytes_per_second", speed)],
        });
    }
}
