//! What a command that has ended left: its outs, or why there is no result. Where it ran, and in facts
//! alone: what to tell people is up to whoever knows the pipeline.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Out, Spec};
use restage_core::clock::WallTime;
use restage_core::digest::{StageKey, What, list, nothing};
use restage_core::fs::{self, Context};
use restage_core::rel_path::RelPath;
use restage_core::whereabouts::host_name;
use restage_exec::{Finished, Outcome, Secrets};
use restage_store::{KeptApart, Objects, Record, RecordedOut, StoreError, Unflushed};

/// A path with more bytes is not named as a whole.
const LONG: usize = 512;
/// Most undeclared files that a record names.
const MOST_UNDECLARED: usize = 20;

/// Why a stage whose command has ended has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its command did not exit with 0.
    Bad(Outcome),
    /// It did not write all that it declares.
    Missing {
        /// Outs that are not there.
        outs: Vec<RelPath>,
        /// What it wrote that it does not declare.
        wrote: Vec<String>,
        /// Processes were still running, and were ended.
        leftovers: bool,
    },
    /// It wrote the value of a secret to this path.
    Leaked(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(outcome) => match outcome {
                Outcome::Exited(code) => write!(f, "exited with {code}"),
                Outcome::Signaled(signal) => write!(f, "was ended by signal {signal}"),
                Outcome::TimedOut => f.write_str("ran longer than its timeout"),
                Outcome::OverMemory(_) => f.write_str("held more memory than its `mem`"),
                Outcome::Cancelled => f.write_str("was cancelled"),
                Outcome::NotStarted(why) => write!(f, "could not be started: {why}"),
            },
            Self::Missing { outs, .. } => {
                let outs: Vec<String> = outs.iter().map(|out| format!("`{out}`")).collect();
                write!(f, "exited with 0 but did not write {}", outs.join(", "))
            }
            Self::Leaked(path) => write!(f, "wrote the value of a secret into `{path}`"),
        }
    }
}

/// What a stage made. Its outs are in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Its outs, in declared order.
    pub outs: Vec<RecordedOut>,
    /// When it started: RFC 3339, UTC.
    pub started: String,
    /// How long it took, in wall time.
    pub seconds: f64,
    /// Its peak memory in bytes, if that was measured.
    pub peak_memory: Option<u64>,
    /// The machine that it ran on.
    pub host: String,
    /// What it wrote that it does not declare.
    pub undeclared: Vec<String>,
    /// Processes were still running, and were ended.
    pub leftovers: bool,
}

impl Made {
    /// The record of it.
    pub fn into_record(self, key: StageKey, stage: String, kept: KeptApart) -> Record {
        let (seconds, memory) = (self.seconds, self.peak_memory);
        let now = WallTime::now();
        let mut record = Record::new(key, stage, self.outs, now, seconds, memory, self.undeclared);
        record.started = self.started;
        record.host = self.host;
        record.isolation = Some(kept);
        record
    }
}

/// A work folder whose stage has ended.
#[derive(Debug)]
pub struct Left<'a> {
    /// The stage.
    pub spec: &'a Spec,
    /// The folder.
    pub dir: &'a Path,
    /// How the stage ended.
    pub finished: &'a Finished,
    /// Paths at which something is that is not the stage's own.
    pub others: [&'a [RelPath]; 2],
    /// What must not be shown.
    pub secrets: &'a Secrets,
}

impl Left<'_> {
    /// How the command ended, unless it exited with 0.
    pub fn bad_end(&self) -> Option<Ending> {
        let outcome = &self.finished.outcome;
        (!outcome.is_success()).then(|| Ending::Bad(outcome.clone()))
    }

    /// Outs that are not there, though the command exited with 0.
    pub fn missing(&self) -> Result<Option<Ending>, StoreError> {
        let mut outs = Vec::new();
        for out in &self.spec.outs {
            if !fs::exists(&out.path.under(self.dir))? {
                outs.push(out.path.clone());
            }
        }
        if outs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Ending::Missing {
            outs,
            wrote: self.undeclared()?,
            leftovers: self.finished.leftovers,
        }))
    }

    /// The first file among the outs that contains a secret, in its bytes or its name.
    pub fn leaked(&self) -> Result<Option<Ending>, StoreError> {
        if self.spec.secrets.is_empty() {
            return Ok(None);
        }
        for out in &self.spec.outs {
            if let Some(path) = self.leaked_in(out)? {
                return Ok(Some(Ending::Leaked(path)));
            }
        }
        Ok(None)
    }

    fn leaked_in(&self, out: &Out) -> Result<Option<String>, StoreError> {
        let path = out.path.under(self.dir);
        let metadata = fs::metadata(&path)?;
        if !metadata.is_dir() {
            let leaked = metadata.is_file() && self.in_file(&path)?;
            return Ok(leaked.then(|| out.path.to_string()));
        }
        // The text of a link may be a secret, even if the link leads nowhere.
        for entry in fs::walk(&path)? {
            let inside = path.join(&entry.path);
            if entry.metadata.is_symlink() {
                let target = fs::read_link(&inside)?;
                let bytes = target.as_os_str().as_encoded_bytes();
                if self.secrets.stand_in(bytes).at("read", &inside)? {
                    let inner = entry.path.to_string_lossy();
                    return Ok(Some(format!("{}/{inner}", out.path)));
                }
            }
        }
        for entry in list(&path, &nothing)?.found {
            let inside = path.join(&entry.path);
            let named = |name: &Path| {
                let name = name.as_os_str().as_encoded_bytes();
                self.secrets.stand_in(name).at("read", &inside)
            };
            let found = named(&entry.path)?
                || match &entry.what {
                    What::File => entry.metadata.is_file() && self.in_file(&inside)?,
                    What::Link(_) | What::Followed(_) | What::EmptyFolder | What::Folder => false,
                };
            if found {
                let inner = entry.path.to_string_lossy();
                return Ok(Some(format!("{}/{inner}", out.path)));
            }
        }
        Ok(None)
    }

    fn in_file(&self, path: &Path) -> Result<bool, StoreError> {
        Ok(self.secrets.stand_in(fs::open(path)?).at("read", path)?)
    }

    /// Takes its outs into a store. They are yet to be flushed.
    pub fn take(&self, objects: &Objects) -> Result<(Made, Unflushed), StoreError> {
        // The stage has just ended; from here on it is our own time.
        let finished = self.finished;
        let ran = Duration::try_from_secs_f64(finished.seconds).unwrap_or_default();
        let started = WallTime::now().earlier(ran).to_string();
        let undeclared = self.undeclared()?;
        let mut unflushed = Unflushed::default();
        let mut outs = Vec::new();
        for out in &self.spec.outs {
            let path = out.path.under(self.dir);
            outs.push(RecordedOut {
                freed: false,
                path: out.path.to_string(),
                volatile: out.volatile,
                content: match through_a_link(self.dir, &out.path)? {
                    true => objects.ingest_copy_into(&path, &mut unflushed)?,
                    false => objects.ingest_into(&path, &mut unflushed)?,
                },
            });
        }
        let made = Made {
            outs,
            started,
            seconds: finished.seconds,
            peak_memory: finished.peak_memory,
            host: host_name(),
            undeclared,
            leftovers: finished.leftovers,
        };
        Ok((made, unflushed))
    }

    /// Files in the work folder that are not deps or outs and are not inside one. Nothing that is
    /// declared has a name that is not UTF-8.
    fn undeclared(&self) -> Result<Vec<String>, StoreError> {
        let declared = |path: &RelPath| {
            self.others.iter().any(|paths| paths.contains(path))
                || self.spec.outs.iter().any(|out| out.path == *path)
        };
        let mut found = Vec::new();
        let mut note = |path: &Path| {
            if found.len() < MOST_UNDECLARED {
                let text = self.secrets.text(&named(path));
                found.push(text.escape_debug().to_string());
            }
        };
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let names = match fs::read_dir(&self.dir.join(&folder)) {
                // Nothing that is declared is in it: that was there.
                Err(error) if error.is_out_of_reach() => {
                    note(&folder);
                    continue;
                }
                names => names?,
            };
            for name in names {
                let path = folder.join(name);
                let known = path.to_str().and_then(|text| RelPath::new(text).ok());
                if known.is_some_and(|path| declared(&path)) {
                    continue;
                }
                match fs::symlink_metadata_if_exists(&self.dir.join(&path)) {
                    // A process that outlived the stage may just have removed it.
                    Ok(None) => {}
                    Ok(Some(there)) if there.is_dir() => folders.push(path),
                    Ok(Some(_)) => note(&path),
                    Err(error) if error.is_out_of_reach() => note(&path),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// A path for people; one that is very long by the folder that it begins with.
fn named(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.split_once('/') {
        Some((folder, _)) if text.len() > LONG => format!("{folder}/.."),
        _ => text.into_owned(),
    }
}

/// Whether a folder on the way to a path is a link, so that the path may lead anywhere.
fn through_a_link(dir: &Path, path: &RelPath) -> Result<bool, StoreError> {
    for folder in Path::new(path.as_str()).ancestors().skip(1) {
        if !folder.as_os_str().is_empty() && fs::symlink_metadata(&dir.join(folder))?.is_symlink() {
            return Ok(true);
        }
    }
    Ok(false)
}
