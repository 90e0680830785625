//! Who may open a store, and what opening it removes.

use super::*;

#[test]
fn what_dead_processes_left_is_removed_except_each_stages_last_work_folder() {
    let Bench { dir, store } = Bench::new();
    for _ in 0..11 {
        store.workdirs().new_work("a-1").unwrap();
    }
    store.workdirs().new_work("b").unwrap();
    let left = fs::temp_name(&store.location().tmp().join("old"));
    std::fs::create_dir_all(left.join("inner")).unwrap();
    drop(store);
    let dir = dir.path().join(".restage");
    Store::open(&dir).unwrap();
    assert!(fs::read_dir(&dir.join("tmp")).unwrap().is_empty());
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
    let alone = Store::open_alone(&Location::alone(&dir)).unwrap();
    assert!(Store::open_alone(&Location::alone(&dir)).is_err());
    drop(alone);
    Store::open(&dir).unwrap();
}

/// What is below a folder, each path with its text.
fn all_of(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
    let entries = fs::walk(folder).unwrap().into_iter();
    entries
        .map(|entry| {
            let is_file = entry.metadata.is_file();
            let text = is_file.then(|| text(&folder.join(&entry.path)));
            (entry.path, text)
        })
        .collect()
}

#[test]
fn a_folder_of_the_users_is_neither_made_a_store_nor_changed() {
    let homes: [&[&str]; 6] = [
        &["tmp/thesis", "Documents/a"],
        &["tmp/thesis"],
        &["objects/mine"],
        &["format"],
        &["objects/mine", "records/mine", "claims/mine", "tmp/mine"],
        &["objects/ab/x", "records/y", "claims/z", "Documents/a"],
    ];
    for files in homes {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "1").unwrap();
        }
        let workspace = tempfile::tempdir().unwrap();
        let before = all_of(home.path());
        let shared = Location::of_workspace(workspace.path(), Some(home.path())).unwrap();
        for location in [shared, Location::alone(home.path())] {
            for error in [
                Store::open_patiently(&location, &|| {}).unwrap_err(),
                Store::open_alone(&location).unwrap_err(),
            ] {
                assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
                assert!(error.hint().unwrap().contains("nothing was changed"));
            }
        }
        assert_eq!(all_of(home.path()), before);
        assert!(!workspace.path().join(".restage").exists());
    }
}

#[test]
fn a_store_whose_making_was_cut_short_or_that_lost_its_marker_is_one() {
    let bench = Bench::new();
    let store = bench.path(".restage");
    drop(bench.store);
    std::fs::remove_file(store.join("format")).unwrap();
    drop(Store::open(&store).unwrap());
    assert_eq!(text(&store.join("format")), "1\n");
    for made in [
        &["lock"][..],
        &["lock", "CACHEDIR.TAG"],
        &["lock", ".format.restage-1-2"],
    ] {
        let begun = tempfile::tempdir().unwrap();
        for file in made {
            std::fs::write(begun.path().join(file), "").unwrap();
        }
        Store::open(begun.path()).unwrap();
        assert_eq!(text(&begun.path().join("format")), "1\n");
    }
}

#[test]
fn git_ignores_a_store_unless_its_owner_says_otherwise() {
    let bench = Bench::new();
    let ignore = bench.path(".restage/.gitignore");
    assert!(text(&ignore).lines().any(|line| line == "*"));
    std::fs::remove_file(&ignore).unwrap();
    let bench = bench.reopened();
    assert!(text(&ignore).lines().any(|line| line == "*"));
    std::fs::write(&ignore, "!records").unwrap();
    let _bench = bench.reopened();
    assert_eq!(text(&ignore), "!records");
}

#[test]
fn of_what_others_put_into_tmp_nothing_is_removed() {
    let bench = Bench::new();
    let users = bench.write("users/claims/thesis", "x");
    bench.write(".restage/tmp/mine", "x");
    let link = fs::temp_name(&bench.path(".restage/tmp/old"));
    fs::symlink(&bench.path("users"), &link).unwrap();
    let bench = bench.reopened();
    assert_eq!(text(&users), "x");
    assert_eq!(fs::read_dir(&bench.path("users")).unwrap(), ["claims"]);
    assert_eq!(fs::read_dir(&bench.path(".restage/tmp")).unwrap(), ["mine"]);
}

#[test]
fn a_link_in_place_of_a_folder_of_the_store_is_refused() {
    for folder in [
        "objects",
        "records",
        "claims",
        "scratch",
        "quarantine",
        "tmp",
        "work",
        "logs",
    ] {
        let bench = Bench::new();
        let users = bench.write("users/.x.restage-1-2", "x");
        let path = bench.path(".restage").join(folder);
        std::fs::remove_dir_all(&path).unwrap();
        fs::symlink(&bench.path("users"), &path).unwrap();
        let store = bench.path(".restage");
        drop(bench.store);
        let error = Store::open(&store).unwrap_err();
        assert!(
            matches!(error, StoreError::NotAFolder { .. }),
            "{folder}: {error}"
        );
        assert_eq!(text(&users), "x");
    }
}

#[test]
fn a_link_that_takes_a_folders_place_while_the_store_is_open_is_not_followed() {
    for folder in ["scratch", "tmp", "work"] {
        let bench = Bench::new();
        let work = bench.store.workdirs().new_work("a").unwrap();
        std::fs::write(work.join("file"), "x").unwrap();
        let name = work.file_name().unwrap().to_owned();
        let users = bench.write(&format!("users/{}/thesis", name.display()), "x");
        let path = bench.path(".restage").join(folder);
        let _ = std::fs::remove_dir_all(&path);
        fs::symlink(&bench.path("users"), &path).unwrap();
        bench.store.workdirs().discard(&path.join(&name));
        bench.store.workdirs().remove(&path.join(&name));
        let warnings = bench.store.take_warnings();
        assert_eq!(warnings.len(), 2, "{folder}: {warnings:?}");
        assert_eq!(text(&users), "x");
    }
}

#[test]
fn records_history_and_markers_are_not_read_or_written_through_links() {
    let bench = Bench::new();
    let record = bench.record(1, &[("w", false, "w")]);
    bench.commit(&record);
    let users = bench.write("thesis", "mine");
    for file in [
        bench.store.records().path(&record.key),
        bench.path(".restage/history.jsonl"),
    ] {
        std::fs::remove_file(&file).unwrap();
        fs::symlink(&users, &file).unwrap();
    }
    assert!(bench.store.records().get(&record.key).is_err());
    assert!(
        bench
            .store
            .records()
            .mark_current(&bench.record(2, &[]))
            .is_err()
    );
    assert_eq!(text(&users), "mine");
}

#[test]
fn a_scratch_folder_that_a_stage_replaced_by_a_link_goes_without_its_target() {
    let bench = Bench::new();
    let users = bench.write("checkpoints/sub/old", "x");
    let record = bench.record(1, &[("w", false, "w")]);
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    let scratch = lock.scratch().unwrap();
    std::fs::remove_dir(&scratch).unwrap();
    fs::symlink(&bench.path("checkpoints"), &scratch).unwrap();
    bench.commit_under(&lock, &record);
    drop(lock);
    bench.store.workdirs().empty_trash();
    assert!(!fs::exists(&scratch).unwrap());
    assert_eq!(text(&users), "x");
}
