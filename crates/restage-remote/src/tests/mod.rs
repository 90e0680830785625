//! Pushing and pulling as callers see it, by every kind of remote.

mod attacks;
mod bad_servers;
mod large;
mod seaweed;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, KeyAction, KeyOut, StageKey};
use restage_store::{Record, RecordedOut, Store, Unflushed};
use server::Server;

const PATIENCE: Patience = Patience {
    tries: 4,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(5),
    connect: Duration::from_secs(2),
    wait: Duration::from_secs(2),
};

/// A workspace with a store.
struct Bench {
    dir: TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        let store = Store::open(&dir.path().join(".restage")).expect("a store");
        Self { dir, store }
    }

    /// The record of a stage that wrote these files, and a folder with the same files.
    fn record(&self, seed: u64, files: &[&[u8]]) -> Arc<Record> {
        let work = self.store.workdirs().new_work("test").expect("a folder");
        let folder = work.join("folder");
        std::fs::create_dir(&folder).expect("a folder");
        let mut paths = vec!["folder".to_owned()];
        for (number, bytes) in files.iter().enumerate() {
            let name = format!("file{number}");
            std::fs::write(work.join(&name), bytes).expect("a file");
            std::fs::write(folder.join(&name), bytes).expect("a file");
            paths.push(name);
        }
        let objects = self.store.objects();
        let outs = paths.iter().map(|path| RecordedOut {
            path: path.clone(),
            volatile: false,
            content: objects.ingest(&work.join(path)).expect("an out"),
            freed: false,
        });
        let outs: Vec<RecordedOut> = outs.collect();
        let record = Record::new(
            key(seed, &paths),
            format!("quick/stage{seed}"),
            outs,
            WallTime::now(),
            1.0,
            None,
            vec![],
        );
        let lock = self.store.locks().try_lock(&record.key).expect("a lock");
        let lock = lock.expect("nobody has it");
        let (outs, mut unflushed) = (Unflushed::default(), Unflushed::default());
        self.store
            .commit(&lock, &record, outs, &mut unflushed)
            .expect("a commit");
        Arc::new(record)
    }

    fn push<'a>(&'a self, remote: &'a Remote, signer: &'a Signer) -> Push<'a> {
        Push {
            remote,
            store: &self.store,
            signer,
            notes: self.notes(),
            repair: false,
        }
    }

    fn notes(&self) -> PathBuf {
        self.dir.path().join("uploads")
    }

    fn pull<'a>(&'a self, remote: &'a Remote, trusted: &'a Trusted) -> Pull<'a> {
        Pull {
            remote,
            store: &self.store,
            trusted,
        }
    }

    /// Whether the store has the record with all its bytes, each of them right.
    #[track_caller]
    fn has(&self, record: &Record) {
        let there = self.store.records().get(&record.key).expect("a store");
        assert_eq!(there.as_deref(), Some(record));
        self.is_sound();
        for out in record.kept_outs() {
            assert!(self.store.objects().has(&out.content).expect("a store"));
        }
    }

    /// Whether all that it has is right: no object with wrong bytes, no record without its objects.
    #[track_caller]
    fn is_sound(&self) {
        let objects = self.store.objects();
        for record in self.store.records().all().expect("records") {
            for out in record.kept_outs() {
                objects.verify(&out.content).expect("a sound object");
            }
        }
        let damaged = self.store.records().any_is_damaged().expect("records");
        assert!(!damaged);
        let tmp = std::fs::read_dir(self.store.location().dir().join("tmp")).expect("a folder");
        let names = tmp.map(|entry| entry.expect("an entry").file_name());
        // Locks that were given back lie there too, until the store is closed.
        let objects = names.filter(|name| !name.to_string_lossy().contains(".lock."));
        assert_eq!(objects.count(), 0, "something is left in tmp");
    }
}

fn key(seed: u64, outs: &[String]) -> StageKey {
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
        outs: outs
            .iter()
            .map(|path| KeyOut {
                path: path.clone(),
                volatile: false,
            })
            .collect(),
        machine: BTreeMap::new(),
        tools: BTreeMap::new(),
        secrets: BTreeSet::new(),
        environment: None,
    }
}

fn signer(name: &str) -> (TempDir, Signer) {
    let dir = TempDir::new().expect("a folder");
    let signer = Signer::make(&dir.path().join("key"), name).expect("a key");
    (dir, signer)
}

fn trusting(signers: &[&Signer]) -> Trusted {
    Trusted::new(signers.iter().map(|signer| signer.public().clone()))
}

/// Settings for an address; S3 is asked with a key.
fn at(url: &str, endpoint: Option<&str>) -> Remote {
    let config = RemoteConfig {
        url: url.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        ..RemoteConfig::default()
    };
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("testkey".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("testsecret".to_owned()),
        _ => None,
    };
    let around = Surroundings {
        variable: &variable,
        patience: PATIENCE,
    };
    open("lab", &config, &around).expect("a remote")
}

fn s3(server: &Server) -> Remote {
    at(
        "s3://cache/lab",
        Some(&format!("http://{}", server.address)),
    )
}

/// Every kind of remote that can be had here, empty.
fn kinds() -> Vec<(Remote, Option<Server>, Option<TempDir>)> {
    let (web, bucket) = (Server::start(), Server::start());
    let dir = TempDir::new().expect("a folder");
    let folder = dir.path().join("remote");
    vec![
        (
            at(&format!("file://{}", folder.display()), None),
            None,
            Some(dir),
        ),
        (
            at(&format!("http://{}/x", web.address), None),
            Some(web),
            None,
        ),
        (s3(&bucket), Some(bucket), None),
    ]
}

fn wanted(found: Vec<Found>) -> Vec<Arc<Record>> {
    let records = found.into_iter().filter_map(|found| match found.what {
        Wanted::Record(record) => Some(record),
        _ => None,
    });
    records.collect()
}

#[test]
fn what_was_pushed_is_pulled_with_the_same_bytes() {
    let (_dir, me) = signer("ada");
    for (remote, _server, _folder) in kinds() {
        let (here, there) = (Bench::new(), Bench::new());
        let records = [
            here.record(1, &[b"one", b""]),
            here.record(2, &[b"two", b"one"]),
        ];
        let trusted = trusting(&[&me]);
        let keys: Vec<Digest> = records.iter().map(|record| record.key).collect();
        let pull = there.pull(&remote, &trusted);
        if !remote.address().starts_with("file") {
            assert!(wanted(pull.find(&keys).expect("an answer")).is_empty());
        }
        let pushed = here.push(&remote, &me).push(&records);
        assert!(pushed.ended.is_none(), "{:?}", pushed.ended);
        assert_eq!((pushed.put, pushed.were_there), (2, 0), "{remote:?}");
        assert!(pushed.failed.is_empty());
        // Three files and the manifests of two folders.
        assert_eq!(pushed.objects, 5);
        let again = here.push(&remote, &me).push(&records);
        assert_eq!((again.put, again.were_there, again.objects), (0, 2, 0));
        let found = wanted(pull.find(&keys).expect("an answer"));
        assert_eq!(found.len(), 2);
        let pulled = pull.bring(&found);
        assert!(
            pulled.ended.is_none() && pulled.failed.is_empty(),
            "{pulled:?}"
        );
        assert_eq!(pulled.objects, 5);
        for record in &records {
            there.has(record);
        }
        let again = pull.bring(&found);
        assert_eq!((again.objects, again.keys.len()), (0, 2));
    }
}

#[test]
fn a_record_follows_its_objects() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let here = Bench::new();
    let records = [here.record(1, &[b"one"]), here.record(2, &[b"two"])];
    here.push(&s3(&server), &me).push(&records);
    let put = server.state().put.clone();
    let first_record = put.iter().position(|name| name.contains("/records/"));
    let last_object = put.iter().rposition(|name| name.contains("/objects/"));
    assert!(first_record > last_object, "{put:?}");
}

#[test]
fn many_names_are_listed_and_not_asked_for_one_by_one() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let (here, there) = (Bench::new(), Bench::new());
    let texts: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    let files: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let records = [here.record(1, &files)];
    let remote = s3(&server);
    let pushed = here.push(&remote, &me).push(&records);
    assert_eq!((pushed.objects, pushed.put), (301, 1), "{pushed:?}");
    let pushed = here.push(&remote, &me).push(&records);
    assert_eq!((pushed.objects, pushed.objects_there), (0, 301));
    assert_eq!(server.count("HEAD", ""), 0);
    let trusted = trusting(&[&me]);
    let pull = there.pull(&remote, &trusted);
    // So many keys that records are listed, too.
    let mut keys: Vec<Digest> = (0..250_u32)
        .map(|number| Digest::of(&number.to_le_bytes()))
        .collect();
    keys.push(records[0].key);
    let before = server.count("GET", "/records/");
    let found = wanted(pull.find(&keys).expect("an answer"));
    assert_eq!(server.count("GET", "/records/") - before, 1);
    pull.bring(&found);
    there.has(&records[0]);
}

#[test]
fn variants_stay_at_home_and_outs_that_were_given_up_are_not_missed() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let (here, there) = (Bench::new(), Bench::new());
    let mut record = Record::clone(&here.record(1, &[b"kept", b"temporary"]));
    record.variants.push(record.outs.clone());
    record.nondeterministic = true;
    for out in &mut record.outs {
        out.freed = out.path != "file0";
    }
    let remote = s3(&server);
    let pushed = here.push(&remote, &me).push(&[Arc::new(record.clone())]);
    assert_eq!((pushed.put, pushed.objects), (1, 1), "{pushed:?}");
    let trusted = trusting(&[&me]);
    let pull = there.pull(&remote, &trusted);
    pull.bring(&wanted(pull.find(&[record.key]).expect("an answer")));
    record.variants.clear();
    there.has(&record);
}

#[test]
fn an_object_that_is_damaged_here_is_not_pushed_and_neither_is_its_record() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let here = Bench::new();
    let records = [here.record(1, &[b"damaged"]), here.record(2, &[b"sound"])];
    let hex = Digest::of(b"damaged").to_string();
    let objects = here.store.location().dir().join("objects");
    let path = objects.join(&hex[..2]).join(&hex[2..]);
    restage_core::fs::set_mode(&path, 0o644).expect("a mode");
    std::fs::write(&path, b"damagee").expect("a file");
    let pushed = here.push(&s3(&server), &me).push(&records);
    assert_eq!((pushed.put, pushed.failed.len()), (1, 1), "{pushed:?}");
    assert_eq!(server.names("/records/").len(), 1);
    assert_eq!(server.names(&hex[2..]), [] as [&str; 0]);
}

#[test]
fn a_result_that_is_there_already_stays_as_it_is() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let (here, there) = (Bench::new(), Bench::new());
    let theirs = here.record(1, &[b"theirs"]);
    let ours = there.record(1, &[b"ours"]);
    let remote = s3(&server);
    here.push(&remote, &me).push(&[Arc::clone(&theirs)]);
    let trusted = trusting(&[&me]);
    let pull = there.pull(&remote, &trusted);
    pull.bring(&wanted(pull.find(&[ours.key]).expect("an answer")));
    there.has(&ours);
}
