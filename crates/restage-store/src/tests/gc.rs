//! What nothing needs, and what somebody does.

use super::*;
use crate::gc::{self, Category, Garbage, Needs};
use restage_core::digest::Kind;
use restage_core::process::ProcessRef;
use restage_core::whereabouts::Whereabouts;

use super::key_locks::{left_elsewhere, lock_files};

/// What stays needed where `runs` successes of each stage are kept.
fn needs(runs: usize) -> Needs {
    Needs {
        runs,
        scratch: Some(Default::default()),
        programs: Some(Default::default()),
        ..Needs::default()
    }
}

fn collect(bench: &Bench, needs: &Needs) -> Garbage {
    let garbage = gc::find(&bench.store, bench.dir.path(), needs).unwrap();
    gc::remove(&bench.store, &garbage).unwrap();
    garbage
}

fn kept(bench: &Bench) -> Vec<u64> {
    let exists = |seed: &u64| {
        bench
            .store
            .records()
            .get(&key(*seed).digest())
            .unwrap()
            .is_some()
    };
    (0..10).filter(exists).collect()
}

fn commit_each(bench: &Bench, seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        bench.commit(&bench.record(seed, &[("w", false, &format!("weights {seed}"))]));
    }
}

#[test]
fn the_last_different_successes_of_a_stage_stay_in_the_order_in_which_they_were_current() {
    let bench = Bench::new();
    commit_each(&bench, [1, 2, 3, 4, 5]);
    let first = bench
        .store
        .records()
        .get(&key(1).digest())
        .unwrap()
        .unwrap();
    bench.store.records().mark_current(&first).unwrap();
    let bench = bench.alone();
    let garbage = collect(&bench, &needs(3));
    assert_eq!(kept(&bench), [1, 4, 5]);
    assert_eq!(garbage.tally(Category::Records).kept, 3);
    assert_eq!(garbage.tally(Category::Objects).removed, 2);
    assert_eq!(bench.objects().len(), 3);
    assert_eq!(
        bench.store.records().last("quick/train").unwrap().key,
        first.key
    );
    assert_eq!(collect(&bench, &needs(3)).total().removed, 0);
}

#[test]
fn without_a_history_the_last_to_start_stay() {
    let bench = Bench::new();
    commit_each(&bench, [4, 2, 3, 1]);
    std::fs::remove_file(bench.store.location().dir().join("history.jsonl")).unwrap();
    let bench = bench.alone();
    collect(&bench, &needs(2));
    assert_eq!(kept(&bench), [3, 4]);
}

#[test]
fn what_the_lock_file_names_what_is_in_place_and_what_the_caller_needs_stays() {
    let bench = Bench::new();
    commit_each(&bench, [1, 2, 3, 4]);
    let record = bench
        .store
        .records()
        .get(&key(1).digest())
        .unwrap()
        .unwrap();
    let lock = bench.path("pipeline.lock");
    lockfile::update(
        &bench.store.location().tmp(),
        &lock,
        "paper",
        [("s".into(), record)],
        &["s".into()].into(),
        lockfile::Pins::default(),
        |_| Ok(lockfile::LeftOver::new()),
    )
    .unwrap();
    bench.write("w", "weights 2");
    let bench = bench.alone();
    let needs = Needs {
        keys: [key(3).digest()].into(),
        ..needs(0)
    };
    collect(&bench, &needs);
    assert_eq!(kept(&bench), [1, 2, 3]);
    assert_eq!(bench.objects().len(), 3);
}

#[test]
fn folders_and_variants_of_records_that_stay_are_whole() {
    let bench = Bench::new();
    bench.write("tree/a", "inner");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    assert_eq!(tree.kind, Kind::Tree);
    let mut record = bench.record(1, &[("w", false, "first")]);
    record.outs[0].content = tree;
    bench.commit(&record);
    bench.commit(&bench.record(1, &[("w", false, "second")]));
    bench.ingest("nobody's");
    let bench = bench.alone();
    let objects = collect(&bench, &needs(1)).tally(Category::Objects);
    assert_eq!((objects.removed, objects.kept), (2, 3));
    let record = bench
        .store
        .records()
        .get(&key(1).digest())
        .unwrap()
        .unwrap();
    assert_eq!(record.variants.len(), 1);
    for out in record.outs.iter().chain(record.variants.iter().flatten()) {
        bench.store.objects().verify(&out.content).unwrap();
    }
}

#[test]
fn scratch_folders_stay_for_keys_that_are_needed_or_still_worked_on() {
    let bench = Bench::new();
    let scratch = |seed| {
        let lock = bench
            .store
            .locks()
            .try_lock(&key(seed).digest())
            .unwrap()
            .unwrap();
        lock.scratch().unwrap()
    };
    let [needed, orphaned, dead] = [1, 2, 3].map(scratch);
    let mut child = std::process::Command::new("sleep");
    let child = std::os::unix::process::CommandExt::process_group(child.arg("60"), 0);
    let mut child = child.spawn().unwrap();
    for (seed, stage) in [(2, Some(ProcessRef::of(child.id()))), (3, None)] {
        let name = format!("claims/{}.lock", key(seed).digest());
        let mut note = json!(Whereabouts::here());
        (note["restage"], note["stage"]) = (json!(1), json!(stage));
        std::fs::write(bench.store.location().dir().join(name), note.to_string()).unwrap();
    }
    let bench = bench.alone();
    let needs = Needs {
        scratch: Some([key(1).digest()].into()),
        ..needs(1)
    };
    let garbage = collect(&bench, &needs);
    assert!(needed.exists() && orphaned.exists() && !dead.exists());
    let claims = garbage.tally(Category::Claims);
    assert_eq!((claims.removed, claims.kept), (1, 1));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_number_of_a_scratch_folder_stays_as_long_as_the_key_is_needed() {
    let bench = Bench::new();
    let key = key(1).digest();
    left_elsewhere(&bench, &key);
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    lock.settle().unwrap();
    let ours = lock.scratch().unwrap();
    drop(lock);
    let bench = bench.alone();
    collect(
        &bench,
        &Needs {
            scratch: Some([key].into()),
            ..needs(1)
        },
    );
    assert!(ours.exists() && lock_files(&bench).len() == 1);
    collect(
        &bench,
        &Needs {
            scratch: Some([].into()),
            ..needs(1)
        },
    );
    assert!(!ours.exists() && lock_files(&bench).is_empty());
}

#[test]
fn programs_stay_that_a_record_or_the_present_sources_need_else_the_newest() {
    let bench = Bench::new();
    let program = |code: &str| {
        let folder = format!(".restage/programs/{}", Digest::of(code.as_bytes()));
        bench.write(&format!("{folder}/train"), code);
        bench.path(&folder)
    };
    let [recorded, old, new] = ["recorded", "old", "new"].map(program);
    let mut record = bench.record(1, &[("w", false, "w")]);
    record.inputs.action = KeyAction::Program {
        package: "train".into(),
        code: Digest::of(b"recorded"),
        args: vec![],
    };
    record.key = record.inputs.digest();
    bench.commit(&record);
    let early = std::fs::File::open(old.join("train")).unwrap();
    early.set_modified(std::time::UNIX_EPOCH).unwrap();
    let bench = bench.alone();
    let unknown = Needs {
        programs: None,
        ..needs(1)
    };
    collect(&bench, &unknown);
    assert!(recorded.exists() && !old.exists() && new.exists());
    collect(&bench, &needs(1));
    assert!(recorded.exists() && !new.exists());
}

#[test]
fn the_last_work_folder_of_a_stage_stays_until_it_succeeds() {
    let bench = Bench::new();
    let of = |stage| bench.store.workdirs().new_work(stage).unwrap();
    let (old, last, over) = (of("other"), of("other"), of("train"));
    commit_each(&bench, [1]);
    for path in [&old, &last, &over] {
        std::fs::write(path.join("core"), "x").unwrap();
        let folder = std::fs::File::open(path).unwrap();
        folder.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let bench = bench.alone();
    collect(&bench, &needs(1));
    assert!(!old.exists() && last.exists() && !over.exists());
}

#[test]
fn logs_of_the_last_attempts_stay() {
    let bench = Bench::new();
    let logs: Vec<_> = (0..5)
        .map(|_| {
            bench
                .store
                .workdirs()
                .new_logs("quick/train@1")
                .unwrap()
                .dir
        })
        .collect();
    let bench = bench.alone();
    collect(&bench, &needs(2));
    let left: Vec<bool> = logs.iter().map(|path| path.exists()).collect();
    assert_eq!(left, [false, false, false, true, true]);
    collect(&bench, &needs(0));
    assert!(
        bench
            .store
            .workdirs()
            .last_logs("quick/train@1")
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_file_with_another_name_that_stays_frees_nothing() {
    let bench = Bench::new();
    let content = bench.ingest("weights");
    let work = bench.store.workdirs().new_work("train").unwrap();
    let bench = bench.alone();
    let _ = std::fs::remove_dir_all(bench.store.location().dir().join("work"));
    std::fs::create_dir_all(&work).unwrap();
    std::fs::hard_link(bench.object(&content.digest), bench.path("w")).unwrap();
    let garbage = gc::find(&bench.store, bench.dir.path(), &needs(1)).unwrap();
    assert_eq!(garbage.tally(Category::Objects).removed, 1);
    assert_eq!(garbage.total().bytes, 0);
    std::fs::remove_file(bench.path("w")).unwrap();
    let garbage = gc::find(&bench.store, bench.dir.path(), &needs(1)).unwrap();
    assert_eq!(garbage.total().bytes, 7);
}
