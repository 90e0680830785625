//! Who may open a store, and what opening it removes.

use super::*;

#[test]
fn what_dead_processes_left_is_removed_except_each_stages_last_work_folder() {
    let Bench { dir, store } = Bench::new();
    for _ in 0..11 {
        store.workdirs().new_work("a-1").unwrap();
    }
    store.workdirs().new_work("b").unwrap();
    std::fs::create_dir_all(store.location().dir().join("tmp/old/inner")).unwrap();
    drop(store);
    let dir = dir.path().join(".restage");
    patiently(|| {
        let _store = Store::open(&dir).unwrap();
        fs::read_dir(&dir.join("tmp"))
            .unwrap()
            .is_empty()
            .then_some(())
    });
    assert_eq!(fs::read_dir(&dir.join("work")).unwrap(), ["a-1-11", "b-1"]);
}

#[test]
fn nothing_is_removed_while_another_has_the_store_open() {
    let Bench { dir, store } = Bench::new();
    store.workdirs().new_work("a").unwrap();
    store.workdirs().new_work("a").unwrap();
    let second = Store::open(&dir.path().join(".restage")).unwrap();
    assert_eq!(
        fs::read_dir(&second.location().dir().join("work")).unwrap(),
        ["a-1", "a-2"]
    );
}

#[test]
fn a_store_is_alone_only_while_nobody_else_has_it() {
    let bench = Bench::new();
    let dir = bench.store.location().dir().to_owned();
    let error = Store::open_alone(&Location::alone(&dir)).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.hint().unwrap().contains("again later"));
    let Bench { dir: _kept, store } = bench;
    drop(store);
    let alone = patiently(|| Store::open_alone(&Location::alone(&dir)).ok());
    assert!(Store::open_alone(&Location::alone(&dir)).is_err());
    drop(alone);
    Store::open(&dir).unwrap();
}
