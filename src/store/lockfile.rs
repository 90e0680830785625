//! `pipeline.lock`: what was last reproduced, as text for git.
//! It must not decide anything: no stage is fresh because this file says so.
//!
//! YAML, one block for each profile and stage, sorted, so that two branches conflict only
//! where they differ. Volatile outs have no digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::{Record, StoreError};
use crate::base::fs;
use crate::digest::Digest;

const SCHEMA: u32 = 1;
const HEAD: &str =
    "# What restage last reproduced. Written by restage; commit it, don't edit it.\n";

/// What was last reproduced: by profile, then by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile(BTreeMap<String, BTreeMap<String, LockEntry>>);

/// What a stage last finished with.
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
}

impl LockEntry {
    /// What a record says.
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

    fn parse(bytes: &[u8]) -> Result<LockFile, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        if text.trim().is_empty() {
            return Ok(LockFile::default());
        }
        let conflict = |line: &&str| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
        if text.lines().any(|line| conflict(&line)) {
            return Err("it has merge conflicts".to_owned());
        }
        let document: Document =
            serde_saphyr::from_str(text).map_err(|error| first_line(&error.to_string()))?;
        if document.schema != SCHEMA {
            return Err(format!("it has schema {}, not {SCHEMA}", document.schema));
        }
        Ok(LockFile(document.profiles))
    }

    /// What a stage last finished with under a profile.
    pub fn get(&self, profile: &str, stage: &str) -> Option<&LockEntry> {
        self.0.get(profile)?.get(stage)
    }

    /// Every entry, with its profile and stage.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, &LockEntry)> {
        self.0.iter().flat_map(|(profile, stages)| {
            let entries = stages.iter();
            entries.map(move |(stage, entry)| (profile.as_str(), stage.as_str(), entry))
        })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}schema: {SCHEMA}\n");
        if self.0.is_empty() {
            return text;
        }
        text.push_str("profiles:\n");
        for (profile, stages) in &self.0 {
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
        text
    }
}

/// A YAML string. JSON's is one, but for characters that YAML wants escaped and JSON does not.
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

/// Writes what was reproduced under a profile now: `entries` by stage. Stages of the profile
/// that are not `known` any more go; other profiles stay. The file is left alone if nothing
/// changed. `temp` is a folder for the file in the making.
pub fn update(
    temp: &Path,
    path: &Path,
    profile: &str,
    entries: impl IntoIterator<Item = (String, Arc<Record>)>,
    known: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let old = fs::read_if_exists(path)?;
    let mut lock = LockFile::read(path)?;
    let stages = lock.0.entry(profile.to_owned()).or_default();
    stages.retain(|stage, _| known.contains(stage));
    stages.extend(
        entries
            .into_iter()
            .map(|(stage, record)| (stage, LockEntry::of(&record))),
    );
    if stages.is_empty() {
        lock.0.remove(profile);
    }
    let text = lock.to_text();
    if old.as_deref() == Some(text.as_bytes()) || (old.is_none() && lock.0.is_empty()) {
        return Ok(());
    }
    Ok(fs::write_atomic_from(temp, path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(text: &str) -> LockEntry {
        let outs = [("w.bin", Some(Digest::of(b"w"))), ("t.csv", None)];
        let outs = outs.map(|(path, digest)| (path.to_owned(), digest));
        LockEntry {
            key: Digest::of(text.as_bytes()),
            outs: BTreeMap::from(outs),
        }
    }

    fn lock() -> LockFile {
        let stages = BTreeMap::from([
            ("train@b".to_owned(), entry("b")),
            (
                "train@a".to_owned(),
                LockEntry {
                    outs: BTreeMap::new(),
                    ..entry("a")
                },
            ),
        ]);
        LockFile(BTreeMap::from([("quick".to_owned(), stages)]))
    }

    #[test]
    fn the_file_is_sorted_and_has_one_out_a_line() {
        insta::assert_snapshot!(lock().to_text(), @r#"
        # What restage last reproduced. Written by restage; commit it, don't edit it.
        schema: 1
        profiles:
          "quick":
            "train@a":
              key: "17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f"
              outs: {}
            "train@b":
              key: "10e5cf3d3c8a4f9f3468c8cc58eea84892a22fdadbc1acb22410190044c1d553"
              outs:
                "t.csv": null
                "w.bin": "f2f21520bebe5d07c6813b972de3617a0a0d50a36be3784e9fece54cff8d8032"
        "#);
    }

    #[test]
    fn the_file_reads_back_as_it_was() {
        assert_eq!(LockFile::parse(lock().to_text().as_bytes()), Ok(lock()));
        let empty = LockFile::default();
        assert_eq!(LockFile::parse(empty.to_text().as_bytes()), Ok(empty));
    }

    #[test]
    fn a_file_with_conflicts_or_cut_short_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipeline.lock");
        let text = lock().to_text();
        for broken in [
            format!("<<<<<<< ours\n{text}"),
            text[..text.len() - 40].to_owned(),
        ] {
            std::fs::write(&path, broken).unwrap();
            let error = update(dir.path(), &path, "quick", [], &BTreeSet::new()).unwrap_err();
            assert!(error.hint().unwrap().contains("delete the file"), "{error}");
            assert!(error.to_string().contains("pipeline.lock"), "{error}");
        }
    }

    #[test]
    fn an_update_keeps_other_profiles_drops_unknown_stages_and_is_idle_without_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipeline.lock");
        std::fs::write(&path, lock().to_text()).unwrap();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        let all = BTreeSet::from(["train@a".to_owned(), "train@b".to_owned()]);
        update(dir.path(), &path, "quick", [], &all).unwrap();
        update(dir.path(), &path, "paper", [], &BTreeSet::new()).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().modified().unwrap(),
            before
        );
        update(
            dir.path(),
            &path,
            "quick",
            [],
            &BTreeSet::from(["train@a".to_owned()]),
        )
        .unwrap();
        let left = LockFile::read(&path).unwrap();
        assert!(left.get("quick", "train@a").is_some() && left.get("quick", "train@b").is_none());
    }

    proptest! {
        #[test]
        fn any_names_read_back(profile in ".{1,6}", stage in ".{1,6}", out in ".{1,6}") {
            let outs = BTreeMap::from([(out, Some(Digest::of(b"w")))]);
            let stages = BTreeMap::from([(stage, LockEntry { outs, ..entry("a") })]);
            let lock = LockFile(BTreeMap::from([(profile, stages)]));
            prop_assert_eq!(LockFile::parse(lock.to_text().as_bytes()), Ok(lock));
        }
    }
}
