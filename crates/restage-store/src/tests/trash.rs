//! What finished attempts leave behind.

use super::Bench;
use restage_core::fs;

#[test]
fn what_is_discarded_is_moved_aside_and_emptied_at_once_and_gone_once_the_trash_is_emptied() {
    let bench = Bench::new();
    bench.write("work/a", "1");
    bench.write("work/b/c", "2");
    let work = bench.path("work");
    bench.store.workdirs().discard(&work).unwrap();
    assert!(!work.exists());
    let left = fs::read_dir(&bench.store.location().tmp()).unwrap();
    let folder = bench.store.location().tmp().join(&left[0]);
    assert_eq!(fs::read_dir(&folder).unwrap(), ["b"]);
    assert!(fs::read_dir(&folder.join("b")).unwrap().is_empty());
    bench.store.workdirs().empty_trash().unwrap();
    assert!(
        fs::read_dir(&bench.store.location().tmp())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_discarded_is_removed_with_the_store_at_the_latest() {
    let bench = Bench::new();
    bench.write("work/a/b", "1");
    bench.store.workdirs().discard(&bench.path("work")).unwrap();
    let tmp = bench.store.location().tmp();
    drop(bench.store);
    assert!(fs::read_dir(&tmp).unwrap().is_empty());
}

#[test]
fn a_folder_that_a_stage_made_read_only_can_be_discarded() {
    let bench = Bench::new();
    bench.write("work/sealed/a", "1");
    fs::set_mode(&bench.path("work/sealed"), 0o555).unwrap();
    bench.store.workdirs().discard(&bench.path("work")).unwrap();
    assert!(!bench.path("work").exists());
    bench.store.workdirs().empty_trash().unwrap();
    assert!(
        fs::read_dir(&bench.store.location().tmp())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn discarding_nothing_is_not_an_error() {
    let bench = Bench::new();
    bench
        .store
        .workdirs()
        .discard(&bench.path("nothing"))
        .unwrap();
}
