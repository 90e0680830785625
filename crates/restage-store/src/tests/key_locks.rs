//! Who may work on a key, and what becomes of what dead ones left.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use restage_core::process::ProcessRef;
use restage_core::whereabouts::Whereabouts;

const TICK: Duration = Duration::from_millis(1);

pub(super) fn lock_files(bench: &Bench) -> Vec<std::ffi::OsString> {
    fs::read_dir(&bench.store.location().dir().join("claims")).unwrap()
}

#[test]
fn a_key_has_one_owner_at_a_time_and_leaves_no_trace() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    assert!(bench.store.locks().try_lock(&key).unwrap().is_none());
    assert!(
        bench
            .store
            .locks()
            .try_lock(&Digest::of(b"other"))
            .unwrap()
            .is_some()
    );
    drop(lock);
    assert!(lock_files(&bench).is_empty());
    assert!(bench.store.locks().try_lock(&key).unwrap().is_some());
}

#[test]
fn many_threads_take_turns_and_never_share() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let counter = bench.write("counter", "0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // As another process: it shares nothing but the folder.
                let store = Store::open(bench.store.location().dir()).unwrap();
                for _ in 0..20 {
                    let lock = store.locks().lock(&key, &|| false, TICK).unwrap().unwrap();
                    let count: u32 = text(&counter).parse().unwrap();
                    std::thread::yield_now();
                    std::fs::write(&counter, (count + 1).to_string()).unwrap();
                    drop(lock);
                }
            });
        }
    });
    assert_eq!(text(&counter), "80");
}

#[test]
fn waiting_for_a_lock_can_be_cancelled() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let _claim = bench.store.locks().try_lock(&key).unwrap().unwrap();
    let looks = std::cell::Cell::new(0);
    let cancelled = || looks.replace(looks.get() + 1) >= 3;
    assert!(
        bench
            .store
            .locks()
            .lock(&key, &cancelled, TICK)
            .unwrap()
            .is_none()
    );
}

#[test]
fn scratch_is_kept_across_attempts_and_goes_with_the_commit() {
    let bench = Bench::new();
    let record = bench.record(1, &[("w", false, "w")]);
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    std::fs::write(lock.scratch().unwrap().join("epoch-3"), "state").unwrap();
    drop(lock);
    let bench = bench.reopened();
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    let scratch = lock.scratch().unwrap();
    assert_eq!(text(&scratch.join("epoch-3")), "state");
    bench.commit_under(&lock, &record);
    assert!(!scratch.exists());
}

/// A stage that would run for a minute, as a restage would start it.
fn stage(scratch: &Path) -> Child {
    let mut command = Command::new("sleep");
    command
        .arg("60")
        .env("RESTAGE_SCRATCH", scratch)
        .process_group(0);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// What a lock's file says when its restage was killed.
fn leave_lock(bench: &Bench, key: &Digest, stage: Option<&ProcessRef>) {
    let path = bench
        .store
        .location()
        .dir()
        .join("claims")
        .join(format!("{key}.lock"));
    leave(&path, Whereabouts::here(), stage);
}

fn leave(path: &Path, at: &Whereabouts, stage: Option<&ProcessRef>) {
    let mut note = json!(at);
    note["restage"] = json!(1);
    note["stage"] = json!(stage);
    std::fs::write(path, note.to_string()).unwrap();
}

/// A key that a restage on another machine had when it died, and its scratch folder.
pub(super) fn left_elsewhere(bench: &Bench, key: &Digest) -> std::path::PathBuf {
    let dir = bench.store.location().dir();
    let mut at = Whereabouts::here().clone();
    at.host = "node7".to_owned();
    leave(&dir.join(format!("claims/{key}.lock")), &at, None);
    let scratch = dir.join(format!("scratch/{key}"));
    fs::create_dir_all(&scratch.join("deep")).unwrap();
    std::fs::write(scratch.join("deep/epoch-3"), "state").unwrap();
    scratch
}

#[test]
fn a_stage_that_outlived_its_restage_is_stopped_before_its_scratch_is_used() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let mut child = stage(Path::new("/elsewhere"));
    leave_lock(&bench, &key, Some(&ProcessRef::of(child.id())));
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    assert_eq!(lock.orphans().unwrap().len(), 1);
    lock.settle().unwrap();
    assert!(lock.orphans().unwrap().is_empty());
    assert!(!child.wait().unwrap().success());
    drop(lock);
    assert!(lock_files(&bench).is_empty());
}

#[test]
fn a_stage_is_found_by_its_scratch_if_its_restage_died_before_noting_it() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let mut child = stage(
        &bench
            .store
            .location()
            .dir()
            .join("scratch")
            .join(key.to_string()),
    );
    let mut other = stage(&bench.store.location().dir().join("scratch/other"));
    leave_lock(&bench, &key, None);
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    lock.settle().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(
        other.try_wait().unwrap().is_none(),
        "another key's stage goes on"
    );
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn an_orphan_that_nobody_stopped_stays_noted_for_the_next_owner() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let mut child = stage(Path::new("/elsewhere"));
    leave_lock(&bench, &key, Some(&ProcessRef::of(child.id())));
    drop(bench.store.locks().try_lock(&key).unwrap().unwrap());
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    assert_eq!(lock.orphans().unwrap().len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_stage_that_still_works_when_its_lock_is_dropped_stays_noted() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let mut child = stage(Path::new("/elsewhere"));
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    lock.note_process(&ProcessRef::of(child.id())).unwrap();
    drop(lock);
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    lock.settle().unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_note_that_was_cut_says_what_the_one_before_it_said() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let dir = bench.store.location().dir();
    let path = dir.join(format!("claims/{key}.lock"));
    let cut = "{\"restage\": 1, \"ho";
    std::fs::write(&path, cut).unwrap();
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    assert_eq!(lock.settle().unwrap(), None);
    drop(lock);
    assert!(lock_files(&bench).is_empty());
    left_elsewhere(&bench, &key);
    let before = text(&path);
    std::fs::write(&path, format!("{before}\n{cut}")).unwrap();
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    lock.settle().unwrap().expect("it keeps its scratch folder");
    let ours = lock.scratch().unwrap();
    assert!(ours.ends_with(format!("{key}.2")), "{ours:?}");
}

#[test]
fn a_stage_on_another_machine_keeps_its_scratch_and_the_next_goes_on_from_a_copy() {
    let bench = Bench::new();
    let record = bench.record(1, &[("w", false, "w")]);
    let theirs = left_elsewhere(&bench, &record.key);
    let epoch = theirs.join("deep/epoch-3");
    let file = std::fs::File::options().write(true).open(&epoch).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::set_mode(&epoch, 0o640).unwrap();
    fs::symlink(Path::new("deep"), &theirs.join("latest")).unwrap();
    // Whoever only asks for the key leaves it as it is.
    drop(bench.store.locks().try_lock(&record.key).unwrap().unwrap());
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    let told = lock.settle().unwrap().unwrap();
    assert!(
        told.contains("on `node7`") && told.contains("a copy"),
        "{told}"
    );
    let ours = lock.scratch().unwrap();
    assert_ne!(ours, theirs);
    assert_eq!(text(&ours.join("latest/epoch-3")), "state");
    let copied = fs::metadata(&ours.join("deep/epoch-3")).unwrap();
    assert_eq!(copied.modified().unwrap(), std::time::UNIX_EPOCH);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&copied) & 0o777, 0o640);
    // It writes on, to no effect.
    std::fs::write(&epoch, "other").unwrap();
    drop(lock);
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    assert_eq!(lock.settle().unwrap(), None);
    assert_eq!(lock.scratch().unwrap(), ours);
    assert_eq!(text(&ours.join("deep/epoch-3")), "state");
    bench.commit_under(&lock, &record);
    assert!(!ours.exists() && !theirs.exists());
    drop(lock);
    // A run that is forced after that does not meet it either.
    let lock = bench.reopened().store.locks().try_lock(&record.key);
    assert_eq!(lock.unwrap().unwrap().scratch().unwrap(), ours);
}

#[test]
fn what_is_written_while_it_is_copied_is_not_gone_on_from() {
    let bench = Bench::new();
    let key = Digest::of(b"key");
    let theirs = left_elsewhere(&bench, &key);
    let lock = bench.store.locks().try_lock(&key).unwrap().unwrap();
    let ended = std::sync::atomic::AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::write(theirs.join("deep/epoch-3"), "state").unwrap();
                std::thread::sleep(TICK);
            }
        });
        let told = lock.settle();
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        told.unwrap().unwrap()
    });
    assert!(told.contains("begins anew"), "{told}");
    let ours = lock.scratch().unwrap();
    assert!(ours != theirs && fs::read_dir(&ours).unwrap().is_empty());
}
