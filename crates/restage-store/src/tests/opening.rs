//! What opening a store removes.

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
    let store = Store::open(&dir.path().join(".restage")).unwrap();
    assert_eq!(
        fs::read_dir(&store.location().dir().join("work")).unwrap(),
        ["a-1-11", "b-1"]
    );
    assert!(
        fs::read_dir(&store.location().dir().join("tmp"))
            .unwrap()
            .is_empty()
    );
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
