//! One store of several workspaces.

use super::*;
use crate::fsck::{self, Remedy};
use crate::gc::{self, Category, Needs};

/// Two workspaces and the folder that they share.
struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn location(&self, name: &str) -> Location {
        let shared = self.dir.path().join("shared");
        Location::of_workspace(&self.root(name), Some(&shared)).unwrap()
    }

    fn open(&self, name: &str) -> Store {
        Store::open_patiently(&self.location(name), &|| {}).unwrap()
    }

    fn alone(&self, name: &str) -> Store {
        Store::open_alone(&self.location(name)).unwrap()
    }
}

/// Commits a record with one out, and puts the out where its workspace wants it.
fn commit(store: &Store, root: &Path, seed: u64, text: &str) -> Arc<Record> {
    let work = store.workdirs().new_work("train").unwrap();
    std::fs::write(work.join("out"), text).unwrap();
    let out = RecordedOut {
        freed: false,
        path: "w".to_owned(),
        volatile: false,
        content: store.objects().ingest(&work.join("out")).unwrap(),
    };
    let started = WallTime {
        seconds: seed as i64,
        nanos: 0,
    };
    let (stage, content) = ("quick/train".to_owned(), out.content);
    let record = Record::new(key(seed), stage, vec![out], started, 1.5, None, vec![]);
    let lock = store.locks().try_lock(&record.key).unwrap().unwrap();
    store
        .commit(
            &lock,
            &record,
            Unflushed::default(),
            &mut Unflushed::default(),
        )
        .unwrap();
    drop(lock);
    std::fs::remove_dir_all(work).unwrap();
    let placed = store
        .objects()
        .materialize(&content, &root.join("w"), Placement::Linked);
    placed.unwrap();
    Arc::new(record)
}

#[test]
fn records_and_locks_are_shared_and_histories_are_not() {
    let pair = Pair::new();
    let (a, b) = (pair.open("a"), pair.open("b"));
    let record = commit(&a, &pair.root("a"), 1, "weights");
    assert_eq!(b.records().get(&record.key).unwrap().unwrap(), record);
    assert_eq!(a.records().last("quick/train").unwrap().key, record.key);
    assert_eq!(b.records().last("quick/train"), None);
    assert!(b.records().results("quick/train").unwrap().is_empty());
    let lock = a.locks().try_lock(&key(2).digest()).unwrap();
    assert!(lock.is_some() && b.locks().try_lock(&key(2).digest()).unwrap().is_none());
    b.records().mark_current(&record).unwrap();
    assert_eq!(b.records().results("quick/train").unwrap(), [record]);
}

#[test]
fn each_workspace_knows_the_others_and_what_became_of_them() {
    let pair = Pair::new();
    let (a, b) = (pair.open("a"), pair.open("b"));
    let [member] = &members(a.location()).unwrap()[..] else {
        panic!("one other workspace");
    };
    assert_eq!(
        (&member.root, member.presence),
        (&pair.root("b"), Presence::Here)
    );
    assert_eq!(members(b.location()).unwrap()[0].root, pair.root("a"));
    std::fs::remove_dir_all(pair.root("b")).unwrap();
    assert_eq!(members(a.location()).unwrap()[0].presence, Presence::Gone);
    // A note that was cut does not say that anyone is gone.
    std::fs::write(member.entry.join("workspace"), "x").unwrap();
    assert_eq!(members(a.location()).unwrap()[0].presence, Presence::Unseen);
    let own = Store::open(&pair.root("a").join(".restage")).unwrap();
    assert!(members(own.location()).unwrap().is_empty());
}

#[test]
fn what_is_forgotten_with_its_record_is_forgotten_by_all_histories() {
    let pair = Pair::new();
    let (a, b) = (pair.open("a"), pair.open("b"));
    let old = commit(&a, &pair.root("a"), 1, "old");
    let new = commit(&a, &pair.root("a"), 2, "new");
    for record in [&new, &old, &new] {
        b.records().mark_current(record).unwrap();
    }
    drop((a, b));
    let store = pair.alone("b");
    let needs = Needs {
        runs: 1,
        ..Needs::default()
    };
    let garbage = gc::find(&store, &pair.root("b"), &needs).unwrap();
    assert_eq!(garbage.tally(Category::Records).removed, 1);
    gc::remove(&store, &garbage).unwrap();
    drop(store);
    for name in ["a", "b"] {
        let store = pair.open(name);
        let (mentions, _) = store.records().mentions().unwrap();
        assert!(mentions.iter().all(|(_, key)| *key == new.key), "{name}");
    }
}

#[test]
fn the_store_is_alone_only_while_no_workspace_has_it() {
    let pair = Pair::new();
    let a = pair.open("a");
    let error = Store::open_alone(&pair.location("b")).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(a);
    let alone = pair.alone("b");
    assert!(Store::open_alone(&pair.location("a")).is_err());
    // A workspace's own folder is another matter.
    let own = Store::open(&pair.root("a").join(".restage")).unwrap();
    drop((alone, own));
    pair.open("a");
}

#[test]
fn leftovers_of_dead_processes_go_from_both_folders() {
    let pair = Pair::new();
    let leave = || {
        for folder in ["shared", "a/.restage"] {
            std::fs::create_dir_all(pair.dir.path().join(folder).join("tmp/.left.restage-1-1"))
                .unwrap();
        }
    };
    let left = |folder: &str| {
        pair.dir
            .path()
            .join(folder)
            .join("tmp/.left.restage-1-1")
            .exists()
    };
    drop(pair.open("a"));
    leave();
    let b = pair.open("b");
    assert!(!left("shared"));
    assert!(left("a/.restage"));
    leave();
    let _a = pair.open("a");
    assert!(!left("a/.restage"));
    assert!(left("shared"), "b is at work");
    drop(b);
}

#[test]
fn a_lost_object_is_restored_from_another_workspaces_copy() {
    let pair = Pair::new();
    let a = pair.open("a");
    let record = commit(&a, &pair.root("a"), 1, "weights");
    pair.open("b").records().mark_current(&record).unwrap();
    let hex = record.outs[0].content.digest.to_string();
    let object = a
        .location()
        .dir()
        .join("objects")
        .join(&hex[..2])
        .join(&hex[2..]);
    std::fs::remove_file(object).unwrap();
    drop(a);
    let report = fsck::check(&pair.alone("b"), &pair.root("b"), &|_| {}).unwrap();
    let [finding] = &report.findings[..] else {
        panic!("{:?}", report.findings);
    };
    let healed = pair.root("a").join("w").display().to_string();
    assert_eq!(finding.remedy, Remedy::Healed(healed));
    pair.open("b")
        .objects()
        .verify(&record.outs[0].content)
        .unwrap();
}

#[test]
fn a_record_that_lost_its_outs_stays_while_any_lock_file_names_it_and_otherwise_leaves_no_history()
{
    let pair = Pair::new();
    let a = pair.open("a");
    let named = commit(&a, &pair.root("a"), 1, "named");
    let unnamed = commit(&a, &pair.root("a"), 2, "unnamed");
    lockfile::update(
        &a.location().own_tmp(),
        &pair.root("a").join("pipeline.lock"),
        "quick",
        [("train".into(), Arc::clone(&named))],
        &["train".into()].into(),
        lockfile::Pins::default(),
        |_| Ok(lockfile::LeftOver::new()),
    )
    .unwrap();
    std::fs::remove_dir_all(a.location().dir().join("objects")).unwrap();
    std::fs::remove_file(pair.root("a").join("w")).unwrap();
    drop(a);
    let store = pair.alone("b");
    fsck::check(&store, &pair.root("b"), &|_| {}).unwrap();
    assert!(store.records().get(&named.key).unwrap().is_some());
    assert!(store.records().get(&unnamed.key).unwrap().is_none());
    drop(store);
    let (mentions, _) = pair.open("a").records().mentions().unwrap();
    assert_eq!(mentions, [("quick/train".to_owned(), named.key)]);
}

#[test]
fn what_is_made_in_a_shared_store_is_for_all_who_may_use_its_folder() {
    let pair = Pair::new();
    let shared = pair.dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    fs::set_mode(&shared, 0o770).unwrap();
    let store = pair.open("a");
    let record = commit(&store, &pair.root("a"), 1, "weights");
    let object = store.objects().path(&record.outs[0].content.digest);
    assert_eq!(mode(&object), 0o440);
    assert_eq!(mode(&store.records().path(&record.key)) & 0o660, 0o660);
    for folder in ["objects", "records", "claims"] {
        assert_eq!(mode(&shared.join(folder)) & 0o770, 0o770, "{folder}");
    }
    assert_eq!(mode(object.parent().unwrap()) & 0o770, 0o770);
    // What a stage itself made private is for its user alone.
    let secret = pair.root("a").join("secret");
    std::fs::write(&secret, "secret").unwrap();
    fs::set_mode(&secret, 0o600).unwrap();
    let content = store.objects().ingest(&secret).unwrap();
    assert_eq!(mode(&store.objects().path(&content.digest)), 0o400);
}
