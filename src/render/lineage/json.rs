//! Where a file comes from, as JSON.

use serde_json::{Value, json};

use super::Drawing;
use restage_core::digest::Change;
use restage_engine::lineage::{Bytes, From, Origin, Run, Source, Standing, Traced};

impl Drawing<'_> {
    /// All of it, on one line.
    pub(crate) fn json(&self) -> String {
        let cell = self
            .cell
            .map(|cell| json!({"value": cell.value, "row": cell.row, "column": cell.column}));
        let runs: Vec<Value> = self
            .lineage
            .runs
            .iter()
            .map(|run| self.run_json(run))
            .collect();
        let sources: Vec<Value> = self
            .lineage
            .sources
            .iter()
            .map(|s| self.source_json(s))
            .collect();
        let files: Vec<Value> = self
            .lineage
            .files
            .iter()
            .map(|file| self.file_json(file))
            .collect();
        let line = json!({
            "event": "lineage", "cell": cell, "files": files, "runs": runs, "sources": sources,
            "sound": self.lineage.is_sound(),
        });
        format!("{line}\n")
    }

    fn file_json(&self, file: &Traced) -> Value {
        let mut line = json!({"path": file.path.as_str(), "now": file.now});
        let stage = |run: &usize| &self.lineage.runs[*run].stage;
        let more = match &file.origin {
            Origin::Run { run, out, bytes } => {
                let (bytes, recorded) = match bytes {
                    Bytes::Recorded => ("recorded", None),
                    Bytes::OfAnotherRun => ("of another run", None),
                    Bytes::Edited { recorded } => ("edited", Some(recorded)),
                    Bytes::Missing { recorded } => ("missing", Some(recorded)),
                };
                json!({"from": "run", "run": run, "stage": stage(run), "out": out, "bytes": bytes,
                    "recorded": recorded})
            }
            Origin::Source(source) => {
                json!({"from": "source", "source": source, "readers": self.readers})
            }
            Origin::Unrecorded { stage, locked } => {
                json!({"from": "unrecorded", "stage": stage, "locked": locked})
            }
        };
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        line
    }

    fn run_json(&self, run: &Run) -> Value {
        let (standing, changes, waits) = match &run.standing {
            Standing::Current => ("current", None, None),
            Standing::Stale(changes) => ("stale", Some(changes), None),
            Standing::Waits(on) => ("waits", None, Some(on)),
            Standing::Gone => ("gone", None, None),
            Standing::Unknown => ("unknown", None, None),
        };
        let changes = changes.map(|changes| {
            let line = |change: &Change| {
                json!({"label": change.label, "old": change.old, "new": change.new})
            };
            changes.iter().map(line).collect::<Vec<_>>()
        });
        let reads = run.reads.iter().map(|read| {
            let (kind, at) = match read.from {
                From::Run(at) => ("run", Some(at)),
                From::Source(at) => ("source", Some(at)),
                From::Unrecorded => ("unrecorded", None),
                From::Nothing => ("nothing", None),
            };
            json!({"path": read.path, "content": read.content, "from": kind, "at": at})
        });
        json!({
            "stage": run.stage, "standing": standing, "changes": changes, "waits": waits,
            "elsewhere": run.elsewhere, "reads": reads.collect::<Vec<_>>(), "record": *run.record,
        })
    }

    fn source_json(&self, source: &Source) -> Value {
        json!({"path": source.path, "read": source.read, "now": source.now,
            "committed": self.committed.has(&source.path)})
    }
}
