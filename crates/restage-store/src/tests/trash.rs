//! What finished attempts leave behind.

use super::Bench;
use restage_core::fs;

#[test]
fn what_is_discarded_is_moved_aside_and_gone_once_the_trash_is_emptied_but_room_is_given_back_at_once()
 {
    let bench = Bench::new();
    let tmp = bench.store.location().tmp();
    let many: Vec<String> = (0..16).map(|n| format!("work/b/{n}")).collect();
    for (files, stays) in [
        (
            vec![("work/a".to_owned(), 1 << 10), ("work/b/c".to_owned(), 1)],
            true,
        ),
        (vec![("work/b/c".to_owned(), (1 << 16) + 1)], false),
        (many.into_iter().map(|name| (name, 1)).collect(), false),
    ] {
        for (name, size) in &files {
            bench.write(name, &"x".repeat(*size));
        }
        bench.store.workdirs().discard(&bench.path("work"));
        assert!(!bench.path("work").exists());
        let left = fs::read_dir(&tmp).unwrap();
        let b = tmp.join(&left[0]).join("b");
        assert_eq!(fs::read_dir(&b).unwrap().is_empty(), !stays, "{files:?}");
        bench.store.workdirs().empty_trash();
        assert!(fs::read_dir(&tmp).unwrap().is_empty());
    }
}

#[test]
fn what_is_discarded_is_removed_with_the_store_at_the_latest() {
    let bench = Bench::new();
    bench.write("work/a/b", "1");
    bench.store.workdirs().discard(&bench.path("work"));
    let tmp = bench.store.location().tmp();
    drop(bench.store);
    assert!(fs::read_dir(&tmp).unwrap().is_empty());
}

#[test]
fn a_folder_that_a_stage_made_read_only_can_be_discarded() {
    let bench = Bench::new();
    bench.write("work/sealed/a", "1");
    fs::set_mode(&bench.path("work/sealed"), 0o555).unwrap();
    bench.store.workdirs().discard(&bench.path("work"));
    assert!(!bench.path("work").exists());
    bench.store.workdirs().empty_trash();
    assert!(
        fs::read_dir(&bench.store.location().tmp())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn discarding_nothing_is_not_an_error() {
    let bench = Bench::new();
    bench.store.workdirs().discard(&bench.path("nothing"));
    assert!(bench.store.take_warnings().is_empty());
}
