//! `pipeline.lock`: what was last reproduced, as text for git. It decides nothing: no stage is up
//! to date because this file says so.
//!
//! YAML, one block for each profile and stage, sorted, so that two branches conflict only
//! where they differ. Volatile outs have no digest. The last line is always the same: a file
//! that was cut lacks it, even where the rest is YAML. A digest of the whole would notice more,
//! but any two branches would conflict there.
//!
//! It also names files that runs wrote, that no stage declares any more and that a pattern passed over
//! (docs/adr/0021): a clone has no records that say so.
//!
//! Unlike results, data from outside the pipeline's folder is held to what the file says of it: its digest
//! is pinned here, under its name (docs/adr/0025).
//!
//! History of `schema`: 1, without a last line; 2, with one; 3, if it names such files; 4, if it pins data.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::error::StoreError;
use super::record::Record;
use restage_core::digest::Digest;
use restage_core::fs::{self, FileLock, FsError};

/// The lock file of `pipeline.yaml`.
pub const NAME: &str = "pipeline.lock";

/// The name of the lock file beside a pipeline file: each has its own. That of `other.yaml` is
/// `other.yaml.lock`, since `other.lock` may be another program's.
pub fn name(pipeline: &str) -> String {
    match pipeline {
        "pipeline.yaml" => NAME.to_owned(),
        other => format!("{other}.lock"),
    }
}

/// The newest schema that is read; one that pins data.
const SCHEMA: u32 = 4;
/// One that names files that are left over, and pins no data.
const NAMES_LEFT_OVER: u32 = 3;
/// The first schema whose files end with [`END`]; one that names no files that are left over.
const ENDED: u32 = 2;
const HEAD: &str =
    "# What restage last reproduced. Written by restage; commit it, don't edit it.\n";
const END: &str = "# end";

/// Files that runs wrote and no stage declares any more, with their contents: by the stage that wrote
/// them, which has its profile before it, then by path.
pub type LeftOver = BTreeMap<String, BTreeMap<String, Digest>>;

/// What was last reproduced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    /// By profile, then by stage.
    profiles: BTreeMap<String, BTreeMap<String, LockEntry>>,
    left_over: LeftOver,
    /// The content of data from outside the pipeline's folder, by its name.
    data: BTreeMap<String, Digest>,
}

/// The key and outs that a stage last finished with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockEntry {
    /// Its key.
    pub key: Digest,
    /// Its outs and their contents; `None` for a volatile one.
    pub outs: BTreeMap<String, Option<Digest>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    #[serde(default)]
    profiles: BTreeMap<String, BTreeMap<String, LockEntry>>,
    #[serde(default)]
    left_over: LeftOver,
    #[serde(default)]
    data: BTreeMap<String, Digest>,
}

impl LockEntry {
    /// The entry of a record.
    pub fn of(record: &Record) -> Self {
        let outs = record.outs.iter().map(|out| {
            let digest = (!out.volatile).then(|| out.content.content_id());
            (out.path.clone(), digest)
        });
        Self {
            key: record.key,
            outs: outs.collect(),
        }
    }
}

impl LockFile {
    /// Reads the file; empty if there is none.
    pub fn read(path: &Path) -> Result<LockFile, StoreError> {
        match fs::read_if_exists(path)? {
            None => Ok(LockFile::default()),
            Some(bytes) => LockFile::parse(&bytes).map_err(|reason| StoreError::LockFile {
                path: path.to_owned(),
                reason,
            }),
        }
    }

    /// Parses the file's bytes, which may be anything; `Err` says what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<LockFile, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        let conflict = |line: &&str| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
        if text.lines().any(|line| conflict(&line)) {
            return Err("it has merge conflicts".to_owned());
        }
        let ended = text.lines().last().map(str::trim_end) == Some(END);
        let cut = || "it was cut: its last line is missing".to_owned();
        let document: Document = serde_saphyr::from_str(text).map_err(|error| {
            if text.starts_with(HEAD) && !ended {
                return cut();
            }
            first_line(error.to_string().trim_start_matches("error: "))
        })?;
        if !(1..=SCHEMA).contains(&document.schema) {
            let found = document.schema;
            return Err(format!(
                "it has schema {found}, and this restage knows schemas up to {SCHEMA}"
            ));
        }
        if document.schema >= ENDED && !ended {
            return Err(cut());
        }
        let mut profiles = document.profiles;
        profiles.retain(|_, stages| !stages.is_empty());
        Ok(LockFile {
            profiles,
            left_over: document.left_over,
            data: document.data,
        })
    }

    /// The keys that a lock file's text names, whatever it is: one that was cut, has conflicts or is
    /// of a newer restage too. None if it is no lock file of ours.
    pub fn keys_in(bytes: &[u8]) -> BTreeSet<Digest> {
        if !is_ours(bytes) {
            return BTreeSet::new();
        }
        // Digests of outs come along: no record has them for its key.
        let words = bytes.split(|byte| !byte.is_ascii_alphanumeric());
        let digests = words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok());
        digests.collect()
    }

    /// What a stage last finished with under a profile.
    pub fn get(&self, profile: &str, stage: &str) -> Option<&LockEntry> {
        self.profiles.get(profile)?.get(stage)
    }

    /// Every entry, with its profile and stage.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, &LockEntry)> {
        self.profiles.iter().flat_map(|(profile, stages)| {
            let entries = stages.iter();
            entries.map(move |(stage, entry)| (profile.as_str(), stage.as_str(), entry))
        })
    }

    /// What data is pinned to, by its name.
    pub fn pins(&self) -> &BTreeMap<String, Digest> {
        &self.data
    }

    /// Every file that is left over: the stage that wrote it, its path and its content.
    pub fn files_left_over(&self) -> impl Iterator<Item = (&str, &str, Digest)> {
        self.left_over.iter().flat_map(|(stage, files)| {
            let files = files.iter();
            files.map(move |(path, digest)| (stage.as_str(), path.as_str(), *digest))
        })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let schema = match (self.data.is_empty(), self.left_over.is_empty()) {
            (false, _) => SCHEMA,
            (true, false) => NAMES_LEFT_OVER,
            (true, true) => ENDED,
        };
        let mut text = format!("{HEAD}schema: {schema}\n");
        if !self.profiles.is_empty() {
            text.push_str("profiles:\n");
        }
        for (profile, stages) in &self.profiles {
            text.push_str(&format!("  {}:\n", quoted(profile)));
            for (stage, LockEntry { key, outs }) in stages {
                text.push_str(&format!("    {}:\n      key: \"{key}\"\n", quoted(stage)));
                if outs.is_empty() {
                    text.push_str("      outs: {}\n");
                    continue;
                }
                text.push_str("      outs:\n");
                for (path, digest) in outs {
                    let digest = digest.map_or("null".to_owned(), |digest| format!("\"{digest}\""));
                    text.push_str(&format!("        {}: {digest}\n", quoted(path)));
                }
            }
        }
        if !self.left_over.is_empty() {
            text.push_str("left_over:\n");
        }
        for (stage, files) in &self.left_over {
            text.push_str(&format!("  {}:\n", quoted(stage)));
            for (path, digest) in files {
                text.push_str(&format!("    {}: \"{digest}\"\n", quoted(path)));
            }
        }
        if !self.data.is_empty() {
            text.push_str("data:\n");
        }
        for (name, digest) in &self.data {
            text.push_str(&format!("  {}: \"{digest}\"\n", quoted(name)));
        }
        text + END + "\n"
    }
}

/// Whether a file is a lock file of restage, even if it was damaged since.
fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(HEAD.as_bytes()) || LockFile::parse(bytes).is_ok()
}

/// Name and bytes of the lock files in a pipeline's folder: each pipeline file there has its own.
pub fn all_in(root: &Path) -> Result<Vec<(String, Vec<u8>)>, FsError> {
    let mut found = Vec::new();
    for name in fs::read_dir(root)? {
        let path = root.join(&name);
        let name = name.to_string_lossy();
        if name.ends_with(".lock") && fs::metadata_if_exists(&path)?.is_some_and(|it| it.is_file())
        {
            // Other programs have lock files too.
            match fs::read(&path) {
                Err(error) if error.is_about_content() && name != NAME => {}
                Err(error) => return Err(error),
                Ok(bytes) if name == NAME || is_ours(&bytes) => {
                    found.push((name.into_owned(), bytes));
                }
                Ok(_) => {}
            }
        }
    }
    Ok(found)
}

/// A YAML string: a JSON string, with more characters escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for char in serde_json::Value::from(text).to_string().chars() {
        match char {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => quoted.push(char),
        }
    }
    quoted
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Writes a lock file, atomically.
pub fn write(path: &Path, lock: &LockFile) -> Result<(), StoreError> {
    Ok(fs::write_atomic(path, lock.to_text().as_bytes())?)
}

/// Writes a new file: `entries` by profile and stage. `temp` is a folder on the same file system.
pub fn rebuild(
    temp: &Path,
    path: &Path,
    entries: impl IntoIterator<Item = ((String, String), Arc<Record>)>,
) -> Result<(), StoreError> {
    let mut lock = LockFile::default();
    for ((profile, stage), record) in entries {
        let stages = lock.profiles.entry(profile).or_default();
        stages.insert(stage, LockEntry::of(&record));
    }
    Ok(fs::write_atomic_from(
        temp,
        path,
        lock.to_text().as_bytes(),
    )?)
}

/// Data of the pipeline, and what of it was read for the first time.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// The names of all data.
    pub known: BTreeSet<String>,
    /// Contents by name.
    pub read: BTreeMap<String, Digest>,
}

/// Pins data to what it is now, whatever it was pinned to. The rest of the file stays. `temp` is a folder on
/// the same file system. The caller has the [`Turn`].
pub fn pin(temp: &Path, path: &Path, name: &str, content: Digest) -> Result<(), StoreError> {
    let mut lock = LockFile::read(path)?;
    lock.data.insert(name.to_owned(), content);
    Ok(fs::write_atomic_from(
        temp,
        path,
        lock.to_text().as_bytes(),
    )?)
}

/// Adds what was reproduced under a profile: `entries` by stage, and what was read of data that was not
/// pinned. The profile's stages that are no longer `known` are removed; other profiles stay. `left_over` says what is left over by a file that has
/// all this. The file is left alone if nothing changed. `temp` is a folder on the same file system. The
/// caller has the [`Turn`].
pub fn update(
    temp: &Path,
    path: &Path,
    profile: &str,
    entries: impl IntoIterator<Item = (String, Arc<Record>)>,
    known: &BTreeSet<String>,
    pins: Pins,
    left_over: impl FnOnce(&LockFile) -> Result<LeftOver, StoreError>,
) -> Result<(), StoreError> {
    let old = fs::read_if_exists(path)?;
    let mut lock = LockFile::read(path)?;
    let stages = lock.profiles.entry(profile.to_owned()).or_default();
    stages.retain(|stage, _| known.contains(stage));
    stages.extend(
        entries
            .into_iter()
            .map(|(stage, record)| (stage, LockEntry::of(&record))),
    );
    if stages.is_empty() {
        lock.profiles.remove(profile);
    }
    lock.data.retain(|name, _| pins.known.contains(name));
    for (name, content) in pins.read {
        lock.data.entry(name).or_insert(content);
    }
    lock.left_over = left_over(&lock)?;
    let text = lock.to_text();
    if old.as_deref() == Some(text.as_bytes()) || (old.is_none() && lock == LockFile::default()) {
        return Ok(());
    }
    Ok(fs::write_atomic_from(temp, path, text.as_bytes())?)
}

/// The right to read the file and replace it, until it is dropped or its process dies: of two that
/// do so at once, one would lose its entries.
#[derive(Debug)]
#[must_use = "a turn that is dropped is over"]
pub struct Turn {
    _lock: FileLock,
}

impl Turn {
    /// Waits for the turn. `store` is the store's folder beside the file: a lock on the file
    /// itself would be lost with each replacement.
    pub fn wait(store: &Path) -> Result<Self, FsError> {
        let lock = FileLock::open(&store.join("pipeline.lock.turn"))?;
        lock.exclusive()?;
        Ok(Self { _lock: lock })
    }
}

/// The merge of two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The entries that both agree on.
    pub lock: LockFile,
    /// Stages that were left out because they don't agree, by profile and name.
    pub left_out: Vec<Disagreement>,
}

/// A stage on which two sides disagree: it counts as not reproduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The profile.
    pub profile: String,
    /// The stage.
    pub stage: String,
    /// How they differ.
    pub reason: Reason,
}

/// How two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Each has a different result.
    BothChanged,
    /// One has a different result, the other no longer has any.
    RemovedAndChanged,
}

/// Three-way merge: a stage that one side left alone is taken from the other; one that both changed
/// differently is left out.
pub fn merge(base: &LockFile, ours: &LockFile, theirs: &LockFile) -> Merged {
    let mut merged = Merged {
        lock: LockFile::default(),
        left_out: Vec::new(),
    };
    let files: BTreeSet<(&str, &str)> = [base, ours, theirs]
        .into_iter()
        .flat_map(LockFile::files_left_over)
        .map(|(stage, path, _)| (stage, path))
        .collect();
    for (stage, path) in files {
        let side = |lock: &LockFile| lock.left_over.get(stage)?.get(path).copied();
        let (base, ours, theirs) = (side(base), side(ours), side(theirs));
        // Contents decide what is passed over: a line too many does no harm.
        let settled = match () {
            () if theirs == base => ours,
            () if ours == base => theirs,
            () => ours.max(theirs),
        };
        if let Some(digest) = settled {
            let files = merged.lock.left_over.entry(stage.to_owned()).or_default();
            files.insert(path.to_owned(), digest);
        }
    }
    let names: BTreeSet<&String> = [base, ours, theirs]
        .into_iter()
        .flat_map(|lock| lock.data.keys())
        .collect();
    for name in names {
        let side = |lock: &LockFile| lock.data.get(name).copied();
        let (base, ours, theirs) = (side(base), side(ours), side(theirs));
        // A pin that is wrong stops the stages that read the data; one that is missing would let them take
        // whatever is there.
        let settled = match () {
            () if theirs == base => ours,
            () if ours == base => theirs,
            () => ours.max(theirs),
        };
        merged
            .lock
            .data
            .extend(settled.map(|pin| (name.clone(), pin)));
    }
    let names: BTreeSet<(&str, &str)> = [base, ours, theirs]
        .into_iter()
        .flat_map(LockFile::entries)
        .map(|(profile, stage, _)| (profile, stage))
        .collect();
    for (profile, stage) in names {
        let side = |lock| LockFile::get(lock, profile, stage);
        match settled(side(base), side(ours), side(theirs)) {
            Ok(Some(entry)) => {
                let stages = merged.lock.profiles.entry(profile.to_owned()).or_default();
                stages.insert(stage.to_owned(), entry.clone());
            }
            Ok(None) => {}
            Err(reason) => merged.left_out.push(Disagreement {
                profile: profile.to_owned(),
                stage: stage.to_owned(),
                reason,
            }),
        }
    }
    merged
}

fn settled<'a>(
    base: Option<&'a LockEntry>,
    ours: Option<&'a LockEntry>,
    theirs: Option<&'a LockEntry>,
) -> Result<Option<&'a LockEntry>, Reason> {
    if ours == theirs || theirs == base {
        Ok(ours)
    } else if ours == base {
        Ok(theirs)
    } else if ours.is_some() && theirs.is_some() {
        Err(Reason::BothChanged)
    } else {
        Err(Reason::RemovedAndChanged)
    }
}
