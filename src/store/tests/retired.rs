//! What finished attempts leave.
//! They must not know why it is removed late.

use super::Bench;
use crate::base::fs;

#[test]
fn what_is_retired_is_out_of_the_way_and_empty_at_once_and_gone_once_swept() {
    let bench = Bench::new();
    bench.write("work/a", "1");
    bench.write("work/b/c", "2");
    let work = bench.path("work");
    bench.store.retire(&work).unwrap();
    assert!(!work.exists());
    let left = fs::read_dir(&bench.store.tmp()).unwrap();
    let folder = bench.store.tmp().join(&left[0]);
    assert_eq!(fs::read_dir(&folder).unwrap(), ["b"]);
    assert!(fs::read_dir(&folder.join("b")).unwrap().is_empty());
    bench.store.sweep().unwrap();
    assert!(fs::read_dir(&bench.store.tmp()).unwrap().is_empty());
}

#[test]
fn what_is_retired_goes_with_the_store_at_the_latest() {
    let bench = Bench::new();
    bench.write("work/a/b", "1");
    bench.store.retire(&bench.path("work")).unwrap();
    let tmp = bench.store.tmp();
    drop(bench.store);
    assert!(fs::read_dir(&tmp).unwrap().is_empty());
}

#[test]
fn a_folder_that_a_stage_made_read_only_is_retired_too() {
    let bench = Bench::new();
    bench.write("work/sealed/a", "1");
    fs::set_mode(&bench.path("work/sealed"), 0o555).unwrap();
    bench.store.retire(&bench.path("work")).unwrap();
    assert!(!bench.path("work").exists());
    bench.store.sweep().unwrap();
    assert!(fs::read_dir(&bench.store.tmp()).unwrap().is_empty());
}

#[test]
fn to_retire_nothing_is_no_error() {
    let bench = Bench::new();
    bench.store.retire(&bench.path("nothing")).unwrap();
}
