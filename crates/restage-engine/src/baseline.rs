//! Compares what a rerun wrote at an out with the recorded out, byte by byte or by rules.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::error::RunError;
use restage_claims::tables::{self, Comparison, Content, Format, TableDiff};
use restage_core::digest::{Kind, Node};
use restage_core::fs::{self, Context};
use restage_core::rel_path::RelPath;
use restage_exec::Secrets;
use restage_pipeline::{CompareRule, TableFormat};
use restage_store::{Placement, RecordedOut, Store};

/// Differences of a table that are told of each kind.
const MOST: usize = 100;

/// How an out that was written once more compares with the recorded one.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Its bytes do not count.
    Volatile,
    /// The same bits.
    Identical,
    /// Other bits, but within what `compare:` allows.
    Within,
    /// It differs; this is the first difference.
    Differs(Difference),
}

/// The first difference between two outs.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// A table has other cells, columns or rows.
    Table(TableDiff),
    /// A file has other bytes.
    Bytes {
        /// The file.
        path: String,
        /// The first byte that differs, from 0.
        offset: u64,
        /// Size of the recorded file.
        recorded: u64,
        /// Size of the new one.
        now: u64,
    },
    /// It is another kind of thing.
    Kind {
        /// Where.
        path: String,
        /// What was recorded.
        recorded: &'static str,
        /// What was written now.
        now: &'static str,
    },
    /// Its digest differs. The recorded bytes were not kept.
    NotKept {
        /// The out.
        path: String,
    },
}

impl Difference {
    /// The file in which it lies, if both have one.
    pub(super) fn file(&self) -> Option<&str> {
        match self {
            Self::Table(diff) => Some(&diff.path),
            Self::Bytes { path, .. } => Some(path),
            Self::Kind { .. } | Self::NotKept { .. } => None,
        }
    }
}

/// The recorded outs that new ones are compared with, and how.
pub(super) struct Baseline<'a> {
    pub(super) recorded: &'a Store,
    pub(super) now: &'a Store,
    pub(super) rules: &'a [CompareRule],
    pub(super) tables: &'a [TableFormat],
    /// A folder to put both in.
    pub(super) folder: PathBuf,
}

impl Baseline<'_> {
    /// Compares one out.
    pub(super) fn verdict(
        &self,
        recorded: &RecordedOut,
        now: &RecordedOut,
    ) -> Result<Verdict, RunError> {
        if recorded.volatile {
            return Ok(Verdict::Volatile);
        }
        if recorded.content.content_id() == now.content.content_id() {
            return Ok(Verdict::Identical);
        }
        if recorded.freed && !self.recorded.objects().has(&recorded.content)? {
            return Ok(Verdict::Differs(Difference::NotKept {
                path: recorded.path.clone(),
            }));
        }
        let (old, new) = (self.folder.join("recorded"), self.folder.join("now"));
        for (store, out, place) in [(self.recorded, recorded, &old), (self.now, now, &new)] {
            fs::remove_all(place)?;
            store
                .objects()
                .materialize(&out.content, place, Placement::Linked)?;
        }
        let path = recorded.path.as_str();
        let (kind, kind_now) = (recorded.content.kind, now.content.kind);
        match (kind, kind_now) {
            (Kind::Tree, Kind::Tree) => self.folders(path, &old, &new),
            (Kind::File { executable: was }, Kind::File { executable: is }) if was == is => {
                self.files(path, &old, &new)
            }
            _ => Ok(Verdict::Differs(Difference::Kind {
                path: path.to_owned(),
                recorded: kind_name(kind),
                now: kind_name(kind_now),
            })),
        }
    }

    /// Whether a file of the new out that was compared last contains a path, as it is or as JSON
    /// writes it.
    pub(super) fn contains(
        &self,
        now: &RecordedOut,
        file: &str,
        path: &Path,
    ) -> Result<bool, RunError> {
        let mut at = self.folder.join("now");
        if let Ok(inside) = Path::new(file).strip_prefix(&now.path)
            && !inside.as_os_str().is_empty()
        {
            at.push(inside);
        }
        // Searched for as a secret is.
        let wanted = Secrets::new([path.as_os_str().as_encoded_bytes()]);
        Ok(wanted.stand_in(fs::open(&at)?).at("read", &at)?)
    }

    fn folders(&self, path: &str, old: &Path, new: &Path) -> Result<Verdict, RunError> {
        let nodes = |folder: &Path| -> Result<BTreeMap<String, Node>, RunError> {
            let manifest = self.now.stat_cache().tree(folder)?.manifest;
            let entries = manifest.entries().iter();
            Ok(entries
                .map(|entry| (entry.path.clone(), entry.node.clone()))
                .collect())
        };
        let (recorded, mut now) = (nodes(old)?, nodes(new)?);
        let mut verdict = Verdict::Identical;
        let mut pairs: BTreeMap<String, (Option<Node>, Option<Node>)> = BTreeMap::new();
        for (inside, node) in recorded {
            let other = now.remove(&inside);
            pairs.insert(inside, (Some(node), other));
        }
        pairs.extend(
            now.into_iter()
                .map(|(inside, node)| (inside, (None, Some(node)))),
        );
        for (inside, (was, is)) in pairs {
            if was == is {
                continue;
            }
            let path = format!("{path}/{inside}");
            let files = was.as_ref().and_then(executable) == is.as_ref().and_then(executable)
                && was.as_ref().and_then(executable).is_some();
            verdict = if files {
                self.files(&path, &old.join(&inside), &new.join(&inside))?
            } else {
                Verdict::Differs(Difference::Kind {
                    path,
                    recorded: node_name(was.as_ref()),
                    now: node_name(is.as_ref()),
                })
            };
            if matches!(verdict, Verdict::Differs(_)) {
                break;
            }
        }
        Ok(verdict)
    }

    /// Two files whose bytes differ.
    fn files(&self, path: &str, old: &Path, new: &Path) -> Result<Verdict, RunError> {
        if let Some(format) = Format::of(path, self.tables) {
            let rule = RelPath::new(path)
                .ok()
                .and_then(|path| tables::effective_rule(self.rules, &path));
            let comparison = Comparison {
                path,
                format: Some(format),
                rule: &rule.clone().unwrap_or_default(),
                most: MOST,
            };
            let diff = comparison.of(Content::File(old), Content::File(new))?;
            if !diff.is_same() {
                return Ok(Verdict::Differs(Difference::Table(diff)));
            }
            // Without a rule every byte counts, even line ends and quotes.
            if rule.is_some() {
                return Ok(Verdict::Within);
            }
        }
        Ok(Verdict::Differs(Difference::Bytes {
            path: path.to_owned(),
            offset: first_difference(old, new)?,
            recorded: fs::metadata(old)?.len(),
            now: fs::metadata(new)?.len(),
        }))
    }
}

/// The first byte that differs, from 0; the shorter one's length if the other starts with it.
fn first_difference(old: &Path, new: &Path) -> Result<u64, RunError> {
    let mut one = BufReader::new(fs::open(old)?);
    let mut other = BufReader::new(fs::open(new)?);
    let mut offset = 0;
    loop {
        let (a, b) = (
            one.fill_buf().at("read", old)?,
            other.fill_buf().at("read", new)?,
        );
        let both = a.len().min(b.len());
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        offset += same as u64;
        if same < both || both == 0 {
            return Ok(offset);
        }
        one.consume(both);
        other.consume(both);
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Tree => "a folder",
        Kind::File { executable: true } => "an executable file",
        Kind::File { executable: false } => "a file",
    }
}

fn node_name(node: Option<&Node>) -> &'static str {
    match node {
        None => "nothing",
        Some(Node::File { executable, .. }) => kind_name(Kind::File {
            executable: *executable,
        }),
        Some(Node::Link(_)) => "a link",
        Some(Node::EmptyFolder) => "an empty folder",
    }
}

fn executable(node: &Node) -> Option<bool> {
    match node {
        Node::File { executable, .. } => Some(*executable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_differing_byte_is_found_wherever_it_lies(
            start in proptest::collection::vec(any::<u8>(), 0..20_000),
            old in proptest::collection::vec(0u8..4, 0..3),
            new in proptest::collection::vec(4u8..8, 0..3),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (a, b) = (dir.path().join("a"), dir.path().join("b"));
            std::fs::write(&a, [start.clone(), old].concat()).unwrap();
            std::fs::write(&b, [start.clone(), new].concat()).unwrap();
            prop_assert_eq!(first_difference(&a, &b).unwrap(), start.len() as u64);
        }
    }
}
