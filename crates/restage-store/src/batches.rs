//! Batches: tasks that are handed over to run where we are not, and what came of each (docs/adr/0037).
//!
//! ```text
//! batches/NAME/batch.json    how many tasks there are, and for whom; sealed
//! batches/NAME/tasks.jsonl   a task a line, sealed
//! batches/NAME/N-T.results   what became of those of job N, appended to by its worker T alone
//! batches/NAME/N-T.log       what they printed
//! batches/NAME/closed        all results were taken in
//! ```
//! A job that is started again has another T, so that a file has one writer, whatever goes on elsewhere. Folders
//! are listed: on a network file system a name that was looked for too early stays absent for half a minute.
//!
//! What a task is, only whoever made it and whoever runs it know; here is what gc must keep for it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::StoreError;
use super::location::Location;
use super::sealed::{seal, seal_line, sealed_lines, unseal};
use super::token::Token;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, PathDigest};
use restage_core::fs::{self, FsError};

/// The layout that is written now.
const FORMAT: u32 = 1;
/// The folder of all batches.
const FOLDER: &str = "batches";
const ABOUT: &str = "batch.json";
const TASKS: &str = "tasks.jsonl";
const CLOSED: &str = "closed";
const RESULTS: &str = ".results";

/// The batches of a store.
#[derive(Debug, Clone)]
pub struct Batches {
    location: Location,
}

/// A task of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchTask {
    /// Which job of the batch runs it, from 0.
    pub job: u32,
    /// Its key.
    pub key: Digest,
    /// What it reads.
    pub needs: Vec<PathDigest>,
    /// The code of the program that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Digest>,
    /// What is to be done.
    pub task: Value,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResult {
    /// Its key.
    pub key: Digest,
    /// What it wrote.
    pub keeps: Vec<PathDigest>,
    /// The whole of it.
    pub result: Value,
}

/// Who made a batch, when, and of how many tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    format: u32,
    /// How many tasks there are.
    pub tasks: usize,
    /// RFC 3339, UTC.
    pub made: String,
    /// Whose it is, for people.
    pub of: String,
}

/// A batch.
#[derive(Debug, Clone)]
pub struct Batch {
    dir: PathBuf,
    about: About,
}

impl Batches {
    pub(super) fn new(location: &Location) -> Self {
        Self {
            location: location.clone(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.location.dir().join(FOLDER)
    }

    /// Makes a batch: all of it, on the disk, or nothing. What the tasks read must be on the disk.
    pub fn make(&self, of: &str, tasks: &[BatchTask]) -> Result<Batch, StoreError> {
        let folder = self.folder();
        fs::create_dir_all(&folder)?;
        let dir = folder.join(Token::new().to_string());
        let temp = fs::temp_name(&dir);
        fs::create_dir(&temp)?;
        let mut text = String::new();
        for task in tasks {
            text += &seal_line(&json(task));
        }
        let about = About {
            format: FORMAT,
            tasks: tasks.len(),
            made: WallTime::now().to_string(),
            of: of.to_owned(),
        };
        for (name, text) in [(TASKS, text), (ABOUT, seal(&json(&about)))] {
            let path = temp.join(name);
            let mut file = fs::create_new(&path)?;
            fs::write_all(&mut file, text.as_bytes(), &path)?;
            fs::sync_file(&path)?;
        }
        fs::sync_dir(&temp)?;
        fs::rename(&temp, &dir)?;
        fs::sync_dir(&folder)?;
        Ok(Batch { dir, about })
    }

    /// The folders of all batches, and whether nothing is kept for them any more. What was to become a batch,
    /// and whose maker died before, is none.
    pub(super) fn folders(&self) -> Result<Vec<(PathBuf, bool)>, StoreError> {
        let mut folders = Vec::new();
        for name in fs::read_dir_if_exists(&self.folder())? {
            let path = self.folder().join(&name);
            let is_over = fs::is_temp_name(&name) || fs::exists(&path.join(CLOSED))?;
            folders.push((path, is_over));
        }
        Ok(folders)
    }

    /// Batches that are not closed, and what is wrong with those that can't be read.
    pub fn open(&self) -> Result<Vec<Result<Batch, StoreError>>, StoreError> {
        let mut open = Vec::new();
        for (dir, is_over) in self.folders()? {
            if !is_over {
                open.push(Batch::open(&dir));
            }
        }
        Ok(open)
    }

    /// What batches that are not closed need.
    pub(super) fn needed(&self) -> Result<Needed, StoreError> {
        let mut needed = Needed::default();
        for batch in self.open()? {
            // What one needs that can't be read is not known.
            let batch = batch?;
            for task in batch.tasks()? {
                needed.keys.insert(task.key);
                needed.contents.extend(task.needs);
                needed.code.extend(task.code);
            }
            let results = batch.results()?.into_iter();
            needed
                .contents
                .extend(results.flat_map(|result| result.keeps));
        }
        Ok(needed)
    }
}

/// What gc must keep for batches.
#[derive(Debug, Default)]
pub(super) struct Needed {
    pub(super) keys: BTreeSet<Digest>,
    pub(super) contents: Vec<PathDigest>,
    pub(super) code: BTreeSet<Digest>,
}

impl Batch {
    /// The batch in a folder.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Batch {
            dir: dir.to_owned(),
            reason,
        };
        let bytes = fs::read_if_exists(&dir.join(ABOUT))?;
        let bytes = bytes.ok_or_else(|| wrong(format!("it has no `{ABOUT}`")))?;
        let text = unseal(&bytes).map_err(|reason| wrong(format!("`{ABOUT}`: {reason}")))?;
        let about: About = serde_json::from_str(text)
            .map_err(|error| wrong(format!("`{ABOUT}` is of another version ({error})")))?;
        if about.format != FORMAT {
            return Err(wrong(format!("it has format {}", about.format)));
        }
        let dir = dir.to_owned();
        Ok(Self { dir, about })
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the store that it is in.
    pub fn store(&self) -> Option<&Path> {
        self.dir.parent()?.parent()
    }

    /// Who made it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its tasks, all of them.
    pub fn tasks(&self) -> Result<Vec<BatchTask>, StoreError> {
        let bytes = fs::read(&self.dir.join(TASKS))?;
        let tasks: Vec<BatchTask> = sealed_lines(&bytes)
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if tasks.len() != self.about.tasks {
            let (found, all) = (tasks.len(), self.about.tasks);
            return Err(StoreError::Batch {
                dir: self.dir.clone(),
                reason: format!("`{TASKS}` is damaged: {found} of {all} tasks can be read"),
            });
        }
        Ok(tasks)
    }

    /// What has become of its tasks so far, those of a worker in the order in which it wrote them. A line
    /// that was not written to its end is none.
    pub fn results(&self) -> Result<Vec<BatchResult>, StoreError> {
        let mut names = fs::read_dir(&self.dir)?;
        names.sort();
        let mut results = Vec::new();
        for name in names {
            if name.to_str().is_some_and(|name| name.ends_with(RESULTS)) {
                let bytes = fs::read(&self.dir.join(name))?;
                let lines = sealed_lines(&bytes);
                results.extend(lines.filter_map(|line| serde_json::from_str(line).ok()));
            }
        }
        Ok(results)
    }

    /// Files for what a worker of a job has to say: no other ever writes to them.
    pub fn worker(&self, job: u32) -> Result<Reports, StoreError> {
        let token = Token::new();
        let path = self.dir.join(format!("{job}-{token}{RESULTS}"));
        let log = self.dir.join(format!("{job}-{token}.log"));
        let reports = Reports {
            results: fs::create_new(&path)?,
            log: fs::create_new(&log)?,
            paths: [path, log],
            token,
        };
        fs::sync_dir(&self.dir)?;
        Ok(reports)
    }

    /// Notes that all that it came to was taken in: nothing is kept for it any more.
    pub fn close(&self) -> Result<(), StoreError> {
        let path = self.dir.join(CLOSED);
        drop(fs::create(&path)?);
        fs::sync_file(&path)?;
        Ok(fs::sync_dir(&self.dir)?)
    }

    /// Whether all that it came to was taken in.
    pub fn is_closed(&self) -> Result<bool, StoreError> {
        let names = fs::read_dir(&self.dir)?;
        Ok(names.iter().any(|name| name == CLOSED))
    }
}

/// What a worker has to say.
#[derive(Debug)]
pub struct Reports {
    results: File,
    log: File,
    paths: [PathBuf; 2],
    token: Token,
}

impl Reports {
    /// Which worker it is.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Adds what became of a task. It is on the disk afterwards; what the task wrote must be there before.
    pub fn add(&mut self, result: &BatchResult) -> Result<(), FsError> {
        let [path, _] = &self.paths;
        // A line that could not be written to its end, on a full disk, ends before the next one.
        let line = format!("\n{}", seal_line(&json(result)));
        fs::write_all(&mut self.results, line.as_bytes(), path)?;
        fs::sync_file(path)
    }

    /// Adds to what tasks printed.
    pub fn log(&mut self, text: &[u8]) -> Result<(), FsError> {
        let [_, path] = &self.paths;
        fs::write_all(&mut self.log, text, path)
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it holds texts, finite numbers and maps by text alone")
}
