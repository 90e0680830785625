//! A training run as a TensorBoard event file: the same run gives the same bytes.
//!
//! Scalars are 32-bit floats, as in TensorBoard: a number beyond their range becomes infinite.
//! NaN and the infinities are exported as they are; an empty cell is a step without that scalar.
//! A column with any other text is not exported. All events of a run have the same time.

mod hparams;
mod message;
mod record;
mod scalars;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value;

use message::{Event, Summary, SummaryValue, What, Written};
use restage_core::clock::WallTime;
pub use scalars::{Scalars, ScalarsError};

/// A run of a stage.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What was measured, step by step.
    pub scalars: Scalars,
    /// What is known about the stage's run.
    pub origin: Option<Origin>,
}

/// How a run came about.
#[derive(Debug, Clone)]
pub struct Origin {
    /// When it started.
    pub started: WallTime,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Its declared parameters by dotted path.
    pub params: BTreeMap<String, Value>,
    /// Set if a stage did not run: `adopted by ada at 2026-01-31T12:00:00Z`. The times are then those of
    /// the adoption.
    pub adopted: Option<String>,
}

impl Run {
    /// The time of all events: the run's start in seconds since 1970, or 0 if it is unknown.
    fn time(&self) -> f64 {
        let started = self.origin.as_ref().map(|origin| origin.started);
        started.map_or(0.0, |time| time.seconds as f64)
    }

    /// Its file's name: TensorBoard reads files with `tfevents` in their names, in name order.
    pub fn file_name(&self) -> String {
        format!("events.out.tfevents.{}.restage", self.time())
    }

    /// The file's bytes: the format's version, hyper-parameters, then the steps in order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let time = self.time();
        let mut file = Vec::new();
        let mut add = |step: i64, what: What| {
            let event = Event {
                wall_time: time,
                step,
                what: Some(what),
            };
            record::append(&mut file, &event.encode_to_vec());
        };
        add(0, What::FileVersion("brain.Event:2".to_owned()));
        if let Some(origin) = &self.origin {
            for summary in hparams::summaries(origin, time) {
                add(0, What::Summary(summary));
            }
        }
        for (step, values) in self.scalars.by_step() {
            let values = values.into_iter().map(|(tag, value)| SummaryValue {
                tag: tag.to_owned(),
                metadata: None,
                value: Some(Written::SimpleValue(value)),
            });
            let value = values.collect();
            add(step, What::Summary(Summary { value }));
        }
        file
    }
}
