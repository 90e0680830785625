//! A lineage as the page shows it: runs, sources, and where each file comes from.

use std::collections::BTreeSet;

use crate::format::{count, duration, grouped, moment, shell_word, size};
use restage_core::digest::{DepContent, KeyAction};
use restage_core::rel_path::RelPath;
use restage_engine::git::CommittedFiles;
use restage_engine::lineage::{Bytes, From, Lineage, Origin as Of, Run as Ran, Standing};
use restage_report::{Fact, Origin, Run, Source};

/// A lineage, and whether its sources are committed.
pub(super) struct Provenance<'a> {
    pub(super) lineage: &'a Lineage,
    pub(super) committed: &'a CommittedFiles,
}

impl Provenance<'_> {
    /// The profile, when it was, where, and how long it took.
    pub(super) fn facts(&self, profile: &str) -> Vec<Fact> {
        let fact = |name: &str, value: String, full: Option<String>| Fact {
            name: name.to_owned(),
            value,
            full,
        };
        let mut facts = vec![fact("Profile", profile.to_owned(), None)];
        let records = || self.lineage.runs.iter().map(|run| &run.record);
        let day = |moment: &str| moment.split('T').next().unwrap_or(moment).to_owned();
        let started: BTreeSet<&str> = records().map(|record| record.started.as_str()).collect();
        if let (Some(first), Some(last)) = (started.first(), started.last()) {
            let (from, to) = (day(first), day(last));
            let value = if from == to {
                from
            } else {
                format!("{from} to {to}")
            };
            facts.push(fact("Computed", value, Some(format!("{first} to {last}"))));
            let seconds: f64 = records().map(|record| record.seconds).sum();
            let full = Some(format!("{seconds:.1} s"));
            facts.push(fact("Total run time", duration(seconds), full));
            let hosts: BTreeSet<&str> = records().map(|record| record.host.as_str()).collect();
            let name = if hosts.len() == 1 {
                "Machine"
            } else {
                "Machines"
            };
            let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
            facts.push(fact(name, hosts, None));
            facts.push(fact("Runs", self.lineage.runs.len().to_string(), None));
        }
        facts
    }

    /// Warnings about the files as a whole.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        let files = || self.lineage.files.iter();
        let unrecorded = files().filter(|file| matches!(file.origin, Of::Unrecorded { .. }));
        let unrecorded: Vec<&str> = unrecorded.map(|file| file.path.as_str()).collect();
        if !unrecorded.is_empty() {
            notices.push(format!(
                "No record here says how these files were made: {}.",
                some(&unrecorded)
            ));
        }
        let is_other =
            |bytes: &Bytes| matches!(bytes, Bytes::Edited { .. } | Bytes::Missing { .. });
        let other =
            files().filter(|file| matches!(&file.origin, Of::Run { bytes, .. } if is_other(bytes)));
        let other: Vec<&str> = other.map(|file| file.path.as_str()).collect();
        if !other.is_empty() {
            notices.push(format!(
                "Edited: these files are not what their stages wrote: {}.",
                some(&other)
            ));
        }
        let adopted = |run: &&Ran| run.record.adopted.is_some();
        let adopted = self.lineage.runs.iter().filter(adopted);
        let adopted = grouped(adopted.map(|run| run.stage.as_str()));
        if !adopted.is_empty() {
            notices.push(format!(
                "Adopted: restage did not run these stages, a person declared their results: {adopted}."
            ));
        }
        let stale = |run: &&Ran| matches!(run.standing, Standing::Stale(_));
        let stale = self.lineage.runs.iter().filter(stale);
        let stale = grouped(stale.map(|run| run.stage.as_str()));
        if !stale.is_empty() {
            notices.push(format!(
                "Out of date: the pipeline has changed since these stages ran: {stale}."
            ));
        }
        notices
    }

    /// Where a file comes from.
    pub(super) fn origin(&self, path: &RelPath) -> Origin {
        let traced = self.lineage.files.iter().find(|file| file.path == *path);
        let now = traced.and_then(|file| file.now);
        let of = traced.map(|file| &file.origin);
        let (standing, sound, run) = match of {
            Some(Of::Run { run, bytes, .. }) => {
                let stage = &self.lineage.runs[*run].stage;
                let (words, sound) = match bytes {
                    Bytes::Recorded => ("As recorded".to_owned(), true),
                    Bytes::OfAnotherRun => {
                        let words = "As a run wrote it; a later run with the same key wrote \
                            different bytes, so the stage is not deterministic";
                        (words.to_owned(), true)
                    }
                    Bytes::Edited { recorded } => {
                        let digest = recorded.digest;
                        (format!("Edited: {stage} wrote {digest}"), false)
                    }
                    Bytes::Missing { recorded, .. } => {
                        let digest = recorded.digest;
                        (format!("Missing: {stage} wrote {digest}"), false)
                    }
                };
                (words, sound, Some(*run))
            }
            Some(Of::Source(at)) => {
                let about = self.about(*at);
                (
                    format!("A source, which no stage writes{about}"),
                    true,
                    None,
                )
            }
            Some(Of::Unrecorded { stage, locked }) => {
                let known = match locked {
                    Some(_) => ", but these are the bytes that pipeline.lock names",
                    None => "",
                };
                let words = format!("No record here says how {stage} wrote it{known}");
                (words, false, None)
            }
            None => ("Not looked for".to_owned(), false, None),
        };
        Origin {
            path: path.to_string(),
            digest: now.map_or("-".to_owned(), |now| now.digest.to_string()),
            standing,
            sound,
            run,
            chain: run.map_or_else(Vec::new, |run| self.chain(run)),
        }
    }

    /// A run and all that it depends on, in order.
    fn chain(&self, run: usize) -> Vec<usize> {
        let mut found = BTreeSet::from([run]);
        let mut open = vec![run];
        while let Some(at) = open.pop() {
            for read in &self.lineage.runs[at].reads {
                if let From::Run(writer) = read.from
                    && found.insert(writer)
                {
                    open.push(writer);
                }
            }
        }
        found.into_iter().collect()
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        self.lineage.runs.iter().map(run).collect()
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        let sources = self.lineage.sources.iter().enumerate();
        let sources = sources.map(|(at, source)| Source {
            path: source.path.clone(),
            digest: source.read.map_or("-".to_owned(), |read| read.to_string()),
            about: self.about(at).trim_start_matches(", ").to_owned(),
        });
        sources.collect()
    }

    fn about(&self, source: usize) -> String {
        let source = &self.lineage.sources[source];
        let changed = source.read != source.now;
        match (source.now, self.committed.is_clean(&source.path)) {
            (None, _) => ", no longer there",
            _ if changed => ", changed since it was read",
            (_, Some(true)) => ", committed",
            (_, Some(false)) => ", not committed",
            (_, None) => ", unchanged",
        }
        .to_owned()
    }
}

/// `a.csv and 3 other files`.
fn some(paths: &[&str]) -> String {
    match paths {
        [first, _, ..] => format!("{first} and {}", count(paths.len() - 1, "other file")),
        _ => paths.join(""),
    }
}

fn run(run: &Ran) -> Run {
    let record = &run.record;
    let command = match &record.inputs.action {
        KeyAction::Program {
            package,
            code,
            args,
        } => {
            let args: Vec<String> = args.iter().map(|arg| shell_word(arg)).collect();
            let mut command = vec![
                ("Program".to_owned(), package.clone()),
                ("Code".to_owned(), code.to_string()),
            ];
            if !args.is_empty() {
                command.push(("Arguments".to_owned(), args.join(" ")));
            }
            command
        }
        action @ (KeyAction::Command(_) | KeyAction::Script { .. } | KeyAction::Fetch { .. }) => {
            let command = action.command().into_iter();
            command.map(|line| ("Command".to_owned(), line)).collect()
        }
    };
    let reads = run.reads.iter().map(|read| {
        let content = match read.content {
            DepContent::Bytes(digest) => digest.to_string(),
            DepContent::VolatileOf(_) => "volatile".to_owned(),
            DepContent::Missing => "missing".to_owned(),
        };
        let from = match read.from {
            From::Run(at) => Some(at),
            From::Source(_) | From::Unrecorded | From::Nothing => None,
        };
        (read.path.clone(), content, from)
    });
    let wrote = record.outs.iter();
    let wrote = wrote.map(|out| (out.path.clone(), out.content.digest.to_string()));
    let mut remarks = Vec::new();
    if run.elsewhere {
        remarks.push("Ran on a different machine than the one that made this page.".to_owned());
    }
    if let Some(adoption) = &record.adopted {
        remarks.push(format!("Not run: files that were there were {adoption}."));
    }
    if record.nondeterministic {
        remarks.push("Not deterministic: runs with this key wrote different bytes.".to_owned());
    }
    match &run.standing {
        Standing::Current | Standing::Unknown => {}
        Standing::Stale(_) => {
            remarks.push("Out of date: the pipeline has changed since.".to_owned());
        }
        Standing::Waits(_) => remarks.push("A stage it depends on is out of date.".to_owned()),
        Standing::Gone => remarks.push("The pipeline no longer has this stage.".to_owned()),
    }
    let memory = record.peak_memory;
    let seconds = record.seconds;
    Run {
        stage: run.stage.clone(),
        started: (moment(&record.started), record.started.clone()),
        took: (duration(seconds), format!("{seconds:.3} s")),
        memory: memory.map(|bytes| (size(bytes as f64), format!("{bytes} B"))),
        host: record.host.clone(),
        apart: record.isolation.as_ref().map(ToString::to_string),
        key: record.key.to_string(),
        command,
        given: record.inputs.given(),
        reads: reads.collect(),
        wrote: wrote.collect(),
        remarks,
    }
}
