//! Where a file comes from: a list of runs for the terminal, or JSON.

use serde_json::{Value, json};

use super::width::WIDTH;
use crate::format::{broken, count, duration, grouped, moment, shell_word, size};
use crate::style::Style;
use restage_core::digest::{Change, DepContent, Digest, KeyAction, PathDigest};
use restage_core::files::SET_ASIDE;
use restage_engine::git::CommittedFiles;
use restage_engine::lineage::{Bytes, From, Lineage, Origin, Run, Source, Standing, Traced};
use restage_store::Record;

/// How many differences of an out-of-date run are shown.
const CHANGES: usize = 4;

/// A number in a table.
pub(crate) struct Cell {
    pub(crate) value: String,
    pub(crate) place: Place,
}

/// Where a number is in its file.
pub(crate) enum Place {
    Cell {
        row: String,
        column: String,
    },
    /// A JSON pointer.
    Pointer(String),
}

/// The lineage of one file, and what is known around it.
pub(crate) struct Drawing<'a> {
    pub(crate) lineage: &'a Lineage,
    pub(crate) committed: &'a CommittedFiles,
    /// Stages that read the file, if it is a source.
    pub(crate) readers: Vec<String>,
    pub(crate) cell: Option<&'a Cell>,
}

impl Drawing<'_> {
    /// The file, then every run from the last one to the first, then the sources.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        if let Some(cell) = self.cell {
            let place = match &cell.place {
                Place::Cell { row, column } => format!("{column}, {row}"),
                Place::Pointer(pointer) => pointer.clone(),
            };
            text += &format!("{}  {place}\n", style.bold(&cell.value));
        }
        for file in &self.lineage.files {
            text += &self.file(file, style);
        }
        for run in self.lineage.runs.iter().rev() {
            text += &format!("\n{}", self.run(run, style));
        }
        let of_runs = self
            .lineage
            .sources
            .iter()
            .filter(|_| !self.lineage.runs.is_empty());
        for (i, source) in of_runs.enumerate() {
            if i == 0 {
                text += &format!("\n{}, which no stage writes\n", style.bold("sources"));
            }
            let digest = source.read.map_or("-".to_owned(), |read| read.short());
            text += &format!(
                "    {digest:12}  {}{}\n",
                source.path,
                self.about(source, style)
            );
        }
        text
    }

    fn file(&self, file: &Traced, style: Style) -> String {
        let path = style.bold(file.path.as_str());
        let now = file
            .now
            .map_or("does not exist".to_owned(), |now| content(&now));
        let mut text = format!("{path}  {now}\n");
        let mut say = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            for line in broken(&words, " ", WIDTH - 2) {
                text += &format!("  {line}\n");
            }
        };
        match &file.origin {
            Origin::Run { run, out, bytes } => {
                let stage = &self.lineage.runs[*run].stage;
                let part = match out == file.path.as_str() {
                    true => String::new(),
                    false => format!(" as part of `{out}`"),
                };
                match bytes {
                    Bytes::Recorded => {
                        say(&format!("written by `{stage}`{part}, exactly as recorded"))
                    }
                    Bytes::OfAnotherRun => say(&format!(
                        "{} `{stage}` wrote these bytes{part}, but different ones in a later run with the same key",
                        style.busy("not deterministic:")
                    )),
                    Bytes::Edited { recorded } => say(&format!(
                        "{} `{stage}` wrote different bytes{part}: {}. What follows is about those.",
                        style.bad("edited:"),
                        content(recorded)
                    )),
                    Bytes::Missing {
                        recorded,
                        temporary,
                    } => {
                        let word = match temporary {
                            true => style.busy("temporary, never put here:"),
                            false => style.bad("missing:"),
                        };
                        say(&format!(
                            "{word} `{stage}` wrote {}{part}. What follows is about that.",
                            content(recorded)
                        ));
                    }
                }
            }
            Origin::Source(at) => {
                let about = self.about(&self.lineage.sources[*at], style);
                say(&format!("a source: no stage writes it{about}"));
                match self.readers.is_empty() {
                    true => say("no stage reads it"),
                    false => say(&format!(
                        "read by {}",
                        grouped(self.readers.iter().map(String::as_str))
                    )),
                }
            }
            Origin::Unrecorded { stage, locked } => {
                let no_record = style.bad("no record:");
                say(&match locked {
                    Some(_) => format!(
                        "{no_record} these are the bytes that pipeline.lock names for `{stage}`, \
                         but no record here says how they were made"
                    ),
                    None => format!(
                        "{no_record} `{stage}` writes it, but no record here has these bytes"
                    ),
                });
            }
        }
        let runs = &self.lineage.runs;
        if let [before @ .., _] = &runs[..]
            && !before.is_empty()
        {
            let names = grouped(before.iter().map(|run| run.stage.as_str()));
            say(&format!(
                "depends on {}: {names}",
                count(before.len(), "earlier run")
            ));
        }
        let stale = runs
            .iter()
            .filter(|run| matches!(run.standing, Standing::Stale(_)));
        let stale = grouped(stale.map(|run| run.stage.as_str()));
        if !stale.is_empty() {
            say(&format!(
                "{} the pipeline has changed since: {stale}",
                style.busy("out of date:")
            ));
        }
        text
    }

    fn run(&self, run: &Run, style: Style) -> String {
        let record = &run.record;
        let memory = record
            .peak_memory
            .map(|bytes| format!(", {}", size(bytes as f64)));
        let mut text = format!(
            "{}  ran {} in {}{} on {}{}\n",
            style.bold(&run.stage),
            moment(&record.started),
            duration(record.seconds),
            memory.unwrap_or_default(),
            record.host,
            apart(record)
        );
        let mut remark = |words: String| text += &format!("  {words}\n");
        if run.elsewhere {
            remark(style.busy("on another machine"));
        }
        if let Some(adoption) = &record.adopted {
            remark(format!("{}, not run", style.busy(&adoption.to_string())));
        }
        if record.nondeterministic {
            let words = "runs with this key wrote different bytes";
            remark(format!("{} {words}", style.busy("not deterministic:")));
        }
        match &run.standing {
            Standing::Current | Standing::Unknown => {}
            Standing::Gone => remark(style.busy("the pipeline no longer has this stage")),
            Standing::Waits(on) => {
                let on = grouped(on.iter().map(String::as_str));
                remark(format!(
                    "{} for {on}, and may run again",
                    style.busy("waits")
                ));
            }
            Standing::Stale(changes) => {
                for change in changes.iter().take(CHANGES) {
                    remark(format!("{} {change}", style.busy("changed since:")));
                }
                if changes.len() > CHANGES {
                    remark(format!("and {} more", changes.len() - CHANGES));
                }
            }
        }
        let mut lines = vec![("key".to_owned(), record.key.short())];
        match &record.inputs.action {
            KeyAction::Program {
                package,
                code,
                args,
            } => {
                lines.push((
                    "program".to_owned(),
                    format!("{package}, code {}", code.short()),
                ));
                let args: Vec<String> = args.iter().map(|arg| shell_word(arg)).collect();
                lines.push(("args".to_owned(), args.join(" ")));
            }
            action @ (KeyAction::Command(_)
            | KeyAction::Script { .. }
            | KeyAction::Fetch { .. }) => {
                lines.extend(action.command().map(|line| ("command".to_owned(), line)));
            }
        }
        text += &pairs(&lines, style);
        text += &pairs(&record.inputs.given(), style);
        text + &self.reads(run, style)
    }

    /// What a run read, by who wrote it.
    fn reads(&self, run: &Run, style: Style) -> String {
        let mut text = String::new();
        let mut from: Vec<From> = Vec::new();
        for read in &run.reads {
            if !from.contains(&read.from) && !matches!(read.from, From::Source(_)) {
                from.push(read.from);
            }
        }
        let is_source = |from: From| matches!(from, From::Source(_));
        let mut block = |title: String, of: &dyn Fn(From) -> bool| {
            for (i, read) in run.reads.iter().filter(|read| of(read.from)).enumerate() {
                if i == 0 {
                    text += &format!("  {}\n", style.dim(&title));
                }
                text += &format!("    {:12}  {}\n", read_content(&read.content), read.path);
            }
        };
        for wanted in from {
            let title = match wanted {
                From::Run(at) => format!("reads of {}", self.lineage.runs[at].stage),
                From::Unrecorded => "reads, with no record of who wrote it".to_owned(),
                From::Nothing | From::Source(_) => "missing when it ran".to_owned(),
            };
            block(title, &|from| from == wanted);
        }
        block("reads sources".to_owned(), &is_source);
        text
    }

    /// `, committed`, `, changed since it was read`.
    fn about(&self, source: &Source, style: Style) -> String {
        let changed = source.read.is_some() && source.read != source.now;
        match (source.now, self.committed.is_clean(&source.path)) {
            (None, _) => format!(", {}", style.bad("no longer there")),
            _ if changed => format!(", {}", style.bad("changed since it was read")),
            (_, Some(true)) => ", committed".to_owned(),
            (_, Some(false)) => ", not committed".to_owned(),
            (_, None) => String::new(),
        }
    }

    /// What to do about bytes that are not recorded.
    pub(crate) fn hint(&self) -> Option<String> {
        let file = self.lineage.files.first()?;
        let path = &file.path;
        match &file.origin {
            Origin::Run {
                bytes: Bytes::Edited { .. },
                ..
            } => Some(format!(
                "`restage reproduce {path}` restores the recorded file; the edit moves to \
                 `{SET_ASIDE}/`, unless git has it"
            )),
            Origin::Run {
                bytes: Bytes::Missing {
                    temporary: false, ..
                },
                ..
            } => Some(format!("`restage reproduce {path}` restores it")),
            Origin::Unrecorded { .. } => Some(format!(
                "`restage reproduce {path}` makes it and records how"
            )),
            _ => None,
        }
    }
}

/// Labels and values, aligned; long values are wrapped.
fn pairs(lines: &[(String, String)], style: Style) -> String {
    let longest = lines.iter().map(|(label, _)| label.len()).max();
    let width = longest.unwrap_or(0).min(44);
    let mut text = String::new();
    for (label, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let words: Vec<&str> = value.split(' ').collect();
        let mut label = format!("{label:width$}");
        for line in broken(&words, " ", WIDTH - width - 4) {
            text += &format!("  {}  {line}\n", style.dim(&label));
            label = " ".repeat(width);
        }
    }
    text
}

/// `, in namespaces`: how a run was kept apart, where its record says it.
pub(crate) fn apart(record: &Record) -> String {
    let kept = record.isolation.as_ref();
    kept.map(|kept| format!(", {kept}")).unwrap_or_default()
}

/// `912 B, 4f1c2a90b3d1`.
fn content(content: &PathDigest) -> String {
    let files = match content.files {
        1 => String::new(),
        files => format!(" in {files} files"),
    };
    format!(
        "{}{files}, {}",
        size(content.size as f64),
        content.digest.short()
    )
}

fn read_content(content: &DepContent) -> String {
    match content {
        DepContent::Bytes(digest) => Digest::short(digest),
        DepContent::VolatileOf(_) => "volatile".to_owned(),
        DepContent::Missing => "-".to_owned(),
    }
}

impl Drawing<'_> {
    /// All of it, on one line.
    pub(crate) fn json(&self) -> String {
        let cell = self.cell.map(|cell| match &cell.place {
            Place::Cell { row, column } => {
                json!({"value": cell.value, "row": row, "column": column})
            }
            Place::Pointer(pointer) => json!({"value": cell.value, "at": pointer}),
        });
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
                    Bytes::Missing { recorded, .. } => ("missing", Some(recorded)),
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
            "committed": self.committed.is_clean(&source.path)})
    }
}
