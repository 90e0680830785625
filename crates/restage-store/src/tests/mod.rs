//! Behaviour of the store as its callers see it: what it returns, and what lies on the disk.

mod faults;
mod flushing;
mod fsck;
mod gc;
mod key_locks;
mod objects;
mod opening;
mod places;
mod records;
mod shared;
mod trash;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::*;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, KeyAction, PathDigest, StageKey};
use restage_core::fs;

/// A workspace with a store in it.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join(".restage")).unwrap();
        Self { dir, store }
    }

    /// The same folder as a later process sees it.
    fn reopened(self) -> Self {
        self.store.stat_cache().save().unwrap();
        let Self { dir, store } = self;
        drop(store);
        let store = Store::open(&dir.path().join(".restage")).unwrap();
        Self { dir, store }
    }

    /// The same store as `gc` and `fsck` open it.
    fn alone(self) -> Self {
        self.store.stat_cache().save().unwrap();
        let Self { dir, store } = self;
        drop(store);
        let location = Location::alone(&dir.path().join(".restage"));
        let store = Store::open_alone(&location).unwrap();
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn ingest(&self, text: &str) -> PathDigest {
        let dir = self.store.workdirs().new_work("test").unwrap();
        std::fs::write(dir.join("out"), text).unwrap();
        self.store.objects().ingest(&dir.join("out")).unwrap()
    }

    fn object(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.store
            .location()
            .dir()
            .join("objects")
            .join(&hex[..2])
            .join(&hex[2..])
    }

    /// Every object, by path.
    fn objects(&self) -> Vec<PathBuf> {
        let found = fs::walk(&self.store.location().dir().join("objects")).unwrap();
        found
            .into_iter()
            .filter(|entry| entry.metadata.is_file())
            .map(|entry| entry.path)
            .collect()
    }

    fn record(&self, seed: u64, outs: &[(&str, bool, &str)]) -> Record {
        let outs = outs.iter().map(|(path, volatile, text)| RecordedOut {
            freed: false,
            path: (*path).to_owned(),
            volatile: *volatile,
            content: self.ingest(text),
        });
        let started = WallTime {
            seconds: seed as i64,
            nanos: 0,
        };
        Record::new(
            key(seed),
            "quick/train".into(),
            outs.collect(),
            started,
            1.5,
            None,
            vec![],
        )
    }

    /// Commits a record whose outs are on the disk, under a lock that the caller has.
    fn commit_under(&self, lock: &KeyLock, record: &Record) {
        let (outs, mut records) = (Unflushed::default(), Unflushed::default());
        let committed = self.store.commit(lock, record, outs, &mut records);
        committed.unwrap();
    }

    fn commit(&self, record: &Record) -> CommitOutcome {
        let lock = self.store.locks().try_lock(&record.key).unwrap().unwrap();
        let mut unflushed = Unflushed::default();
        let outcome = self
            .store
            .commit(&lock, record, Unflushed::default(), &mut unflushed)
            .unwrap();
        self.store.objects().flush(&unflushed).unwrap();
        outcome
    }
}

/// The name by which the test binary knows a test, for running it in another process.
fn test_name(module: &str, test: &str) -> String {
    let (_crate, module) = module.split_once("::").unwrap();
    format!("{module}::{test}")
}

fn key(seed: u64) -> StageKey {
    StageKey {
        version: StageKey::VERSION,
        action: KeyAction::Script {
            shell: vec!["sh".into()],
            lines: vec!["train".into()],
        },
        params: BTreeMap::from([("seed".into(), json!(seed))]),
        deps: vec![],
        globs: vec![],
        env: BTreeMap::new(),
        outs: vec![],
        machine: BTreeMap::new(),
        tools: BTreeMap::new(),
        secrets: BTreeSet::new(),
        environment: None,
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().ino()
}

/// Changes a byte behind the store's back, as a failing disk would.
fn damage(path: &Path) {
    fs::set_mode(path, 0o644).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
    fs::set_mode(path, 0o444).unwrap();
}
