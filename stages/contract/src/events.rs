//! Progress and messages, appended to the runner's event file as JSON lines.
//! It must never make a stage fail: an event that cannot be written is lost.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// How far a stage is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Units finished.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted, such as `epoch` or `byte`.
    pub unit: &'a str,
    /// How much of the stage's whole work is done, from 0 to 1.
    pub fraction: f64,
    /// Seconds until the stage ends, if known.
    pub remaining_seconds: Option<f64>,
    /// Numbers to show beside the bar, such as `("loss", 1.53)`; may be empty.
    pub metrics: &'a [(&'a str, f64)],
}

/// Between two progress events, unless one is the first or the last.
const INTERVAL: Duration = Duration::from_millis(200);

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Progress {
        done: u64,
        total: u64,
        unit: &'a str,
        fraction: f64,
        remaining_seconds: Option<f64>,
        #[serde(serialize_with = "in_order")]
        metrics: &'a [(&'a str, f64)],
    },
    Message {
        text: &'a str,
    },
}

/// A map in the stage's order: what matters most comes first.
fn in_order<S: Serializer>(metrics: &&[(&str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().copied())
}

/// The event file; nothing at all when the stage runs by hand.
#[derive(Debug)]
pub(crate) struct Events {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Option<File>,
    last: Option<Written>,
}

#[derive(Debug)]
struct Written {
    at: Instant,
    done: u64,
    total: u64,
    unit: String,
}

impl Events {
    /// Opens the file for appending; a file that cannot be opened gets no events.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        let file =
            path.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
        Self {
            state: Mutex::new(State { file, last: None }),
        }
    }

    pub(crate) fn progress(&self, progress: Progress<'_>) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.file.is_none() || !state.is_due(now, &progress) {
            return;
        }
        state.last = Some(Written {
            at: now,
            done: progress.done,
            total: progress.total,
            unit: progress.unit.to_owned(),
        });
        let fraction = if progress.fraction.is_finite() {
            progress.fraction.clamp(0.0, 1.0)
        } else {
            0.0
        };
        state.write(&Event::Progress {
            done: progress.done,
            total: progress.total,
            unit: progress.unit,
            fraction,
            remaining_seconds: progress
                .remaining_seconds
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
            metrics: progress.metrics,
        });
    }

    pub(crate) fn message(&self, text: &str) {
        self.lock().write(&Event::Message { text });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while holding it left at worst one event unwritten.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first event, the last one (once), a change of unit, and else one per interval.
    fn is_due(&self, now: Instant, progress: &Progress<'_>) -> bool {
        let Some(last) = &self.last else {
            return true;
        };
        let same_unit = last.unit == progress.unit && last.total == progress.total;
        let ends = progress.done >= progress.total && last.done != progress.done;
        !same_unit || ends || now.saturating_duration_since(last.at) >= INTERVAL
    }

    fn write(&mut self, event: &Event<'_>) {
        let Some(file) = &mut self.file else {
            return;
        };
        // A number that is not finite becomes `null`, as JSON has no other word for it.
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        // One append, so that a reader never sees half a line of two writers.
        if file.write_all(&line).is_err() {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: u64) -> Progress<'static> {
        Progress {
            done,
            total: 1000,
            unit: "step",
            fraction: done as f64 / 1000.0,
            remaining_seconds: None,
            metrics: &[],
        }
    }

    fn written(body: impl FnOnce(&Events)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        body(&Events::new(Some(path.clone())));
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn events_are_json_lines_with_metrics_in_the_stages_order() {
        let text = written(|events| {
            events.progress(Progress {
                done: 3,
                total: 30,
                unit: "epoch",
                fraction: 0.125,
                remaining_seconds: Some(812.0),
                metrics: &[("loss", 1.5), ("accuracy", 0.5)],
            });
            events.message("resumed from epoch 12\nand on");
        });
        insta::assert_snapshot!(text, @r#"
        {"event":"progress","done":3,"total":30,"unit":"epoch","fraction":0.125,"remaining_seconds":812.0,"metrics":{"loss":1.5,"accuracy":0.5}}
        {"event":"message","text":"resumed from epoch 12\nand on"}
        "#);
    }

    #[test]
    fn a_flood_keeps_only_the_first_and_the_last() {
        let text = written(|events| (0..=1000).for_each(|done| events.progress(at(done))));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("\"done\":0,"), "{}", lines[0]);
        assert!(lines[lines.len() - 1].contains("\"done\":1000,"));
        // Far fewer than 1001; how many depends on how slow the machine is.
        assert!(lines.len() < 50, "{} lines", lines.len());
    }

    #[test]
    fn the_last_is_not_repeated() {
        let text = written(|events| (0..50).for_each(|_| events.progress(at(1000))));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn numbers_that_are_not_finite_stay_valid_json() {
        let text = written(|events| {
            events.progress(Progress {
                fraction: f64::NAN,
                remaining_seconds: Some(f64::INFINITY),
                metrics: &[("loss", f64::NAN)],
                ..at(1)
            });
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["fraction"], 0.0);
        assert!(value["remaining_seconds"].is_null());
        assert!(value["metrics"]["loss"].is_null());
    }

    #[test]
    fn an_event_file_that_cannot_be_opened_is_no_failure() {
        let events = Events::new(Some(PathBuf::from("/nonexistent/folder/events")));
        events.message("lost");
        events.progress(at(1));
    }
}
