//! What a running stage reports: the lines of its `RESTAGE_EVENTS` file.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use restage_core::fs;
use restage_exec::Secrets;

/// One line of a stage's event file.
#[derive(Debug, Clone, PartialEq)]
pub enum StageEvent {
    /// How far it is.
    Progress(Progress),
    /// Something worth reading.
    Message(String),
}

/// How far a stage is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted, such as `epoch`.
    pub unit: String,
    /// Share of the stage's whole work, 0 to 1.
    pub fraction: f64,
    /// Time left, as the stage sees it.
    pub remaining_seconds: Option<f64>,
    /// Live figures, in the stage's order.
    pub metrics: Vec<Metric>,
}

/// A live figure such as a loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, such as `images_per_second`.
    pub name: String,
    /// Its value.
    pub value: f64,
}

#[derive(serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Progress {
        done: u64,
        total: u64,
        unit: String,
        fraction: f64,
        #[serde(default)]
        remaining_seconds: Option<f64>,
        #[serde(default)]
        metrics: InOrder,
    },
    Message {
        text: String,
    },
}

/// A map of figures in the order in which they are written.
#[derive(Default)]
struct InOrder(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = InOrder;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of figures")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(InOrder(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Reads a growing event file. A stage is not trusted: malformed lines are skipped, text is cut and
/// loses its control characters.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
    secrets: Secrets,
}

/// If a stage writes more than this at once, its earlier lines are skipped.
const MOST_BYTES: u64 = 1 << 20;

impl Tail {
    pub(crate) fn new(path: &Path, secrets: &Secrets) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            rest: Vec::new(),
            secrets: secrets.clone(),
        }
    }

    /// What was added since the last call; only the newest progress.
    pub(crate) fn read(&mut self) -> Vec<StageEvent> {
        let Some(bytes) = self.fresh_bytes() else {
            return Vec::new();
        };
        self.rest.extend(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            // No line of ours is that long.
            if self.rest.len() as u64 > MOST_BYTES {
                self.rest.clear();
            }
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let mut events = Vec::new();
        let mut newest = None;
        for line in whole.split(|byte| *byte == b'\n') {
            match parse(line, &self.secrets) {
                Some(StageEvent::Progress(progress)) => newest = Some(progress),
                Some(message) => events.push(message),
                None => {}
            }
        }
        events.extend(newest.map(StageEvent::Progress));
        events
    }

    fn fresh_bytes(&mut self) -> Option<Vec<u8>> {
        let mut file = fs::open_own(&self.path).ok()?;
        let len = file.metadata().ok()?.len();
        if len <= self.offset {
            return None;
        }
        if len - self.offset > MOST_BYTES {
            self.offset = len - MOST_BYTES;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.offset)).ok()?;
        let mut bytes = Vec::new();
        file.take(len - self.offset).read_to_end(&mut bytes).ok()?;
        self.offset += bytes.len() as u64;
        Some(bytes)
    }
}

fn parse(line: &[u8], secrets: &Secrets) -> Option<StageEvent> {
    match serde_json::from_slice(line).ok()? {
        Line::Progress {
            done,
            total,
            unit,
            fraction,
            remaining_seconds,
            metrics,
        } => Some(StageEvent::Progress(Progress {
            done,
            total,
            unit: clean(&unit, 16, secrets),
            fraction: if fraction.is_finite() {
                fraction.clamp(0.0, 1.0)
            } else {
                0.0
            },
            remaining_seconds: remaining_seconds.filter(|s| s.is_finite() && *s >= 0.0),
            metrics: metrics
                .0
                .into_iter()
                .filter_map(|(name, value)| {
                    Some(Metric {
                        name: clean(&name, 24, secrets),
                        value: value.as_f64().filter(|v| v.is_finite())?,
                    })
                })
                .take(6)
                .collect(),
        })),
        Line::Message { text } => Some(StageEvent::Message(clean(&text, 500, secrets))),
    }
}

/// Cut, and without secrets: neither those in the text nor those that control characters split.
fn clean(text: &str, most: usize, secrets: &Secrets) -> String {
    let whole = secrets.text(text);
    let plain: String = whole.chars().filter(|c| !c.is_control()).collect();
    secrets.text(&plain).chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let mut tail = Tail::new(&path, &Secrets::default());
        assert_eq!(tail.read(), []);
        std::fs::write(
            &path,
            "{\"event\":\"message\",\"text\":\"a\"}\n{\"event\":\"mess",
        )
        .unwrap();
        assert_eq!(tail.read(), [StageEvent::Message("a".into())]);
        std::fs::write(
            &path,
            "{\"event\":\"message\",\"text\":\"a\"}\n{\"event\":\"message\",\"text\":\"b\"}\n",
        )
        .unwrap();
        assert_eq!(tail.read(), [StageEvent::Message("b".into())]);
    }

    #[test]
    fn nonsense_is_passed_over_and_control_characters_never_reach_the_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        std::fs::write(
            &path,
            "nonsense\n{\"event\":\"message\",\"text\":\"a\\u001b[2Jb\"}\n{\"event\":\"other\"}\n\
             {\"event\":\"progress\",\"done\":1,\"total\":2,\"unit\":\"epoch\",\"fraction\":7.0,\
             \"metrics\":{\"loss\":1.5,\"text\":\"x\",\"accuracy\":0.5}}\n",
        )
        .unwrap();
        let events = Tail::new(&path, &Secrets::default()).read();
        assert_eq!(events[0], StageEvent::Message("a[2Jb".into()));
        let StageEvent::Progress(progress) = &events[1] else {
            panic!("expected progress, got {events:?}");
        };
        assert_eq!(progress.fraction, 1.0);
        assert_eq!(
            progress.metrics,
            [
                Metric {
                    name: "loss".into(),
                    value: 1.5
                },
                Metric {
                    name: "accuracy".into(),
                    value: 0.5
                },
            ]
        );
    }
}
