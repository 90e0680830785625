//! What comes out of the store, and what it does to what was there.

use proptest::prelude::*;

use super::*;
use restage_core::digest::{Kind, digest_tree, nothing};

#[test]
fn a_plain_file_is_writable_and_editing_it_changes_no_object() {
    let bench = Bench::new();
    let content = bench.ingest("table");
    let dest = bench.path("results/quick/table.csv");
    bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Plain)
        .unwrap();
    std::fs::write(&dest, "edited").unwrap();
    bench.store.objects().verify(&content).unwrap();
    bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Plain)
        .unwrap();
    assert_eq!(text(&dest), "table");
}

#[test]
fn a_linked_file_is_read_only_and_replacing_it_changes_no_object() {
    let bench = Bench::new();
    let (old, new) = (bench.ingest("old"), bench.ingest("new"));
    let dest = bench.path("data/x.bin");
    bench
        .store
        .objects()
        .materialize(&old, &dest, Placement::Linked)
        .unwrap();
    assert_eq!(mode(&dest), 0o444);
    for placement in [Placement::Linked, Placement::Plain] {
        bench
            .store
            .objects()
            .materialize(&new, &dest, placement)
            .unwrap();
        assert_eq!(text(&dest), "new");
        bench.store.objects().verify(&old).unwrap();
        bench.store.objects().verify(&new).unwrap();
    }
    assert_ne!(mode(&dest) & 0o200, 0);
}

#[test]
fn an_executable_file_is_executable_again_and_its_equal_is_not() {
    let bench = Bench::new();
    let script = bench.write("script", "#!/bin/sh\n");
    fs::set_mode(&script, 0o755).unwrap();
    let content = bench.store.objects().ingest(&script).unwrap();
    assert_eq!(content.kind, Kind::File { executable: true });
    let plain = bench.ingest("#!/bin/sh\n");
    for (placement, bits) in [(Placement::Plain, 0o700), (Placement::Linked, 0o500)] {
        let dest = bench.path("placed");
        bench
            .store
            .objects()
            .materialize(&content, &dest, placement)
            .unwrap();
        assert_eq!(mode(&dest) & 0o700, bits);
        bench
            .store
            .objects()
            .materialize(&plain, &dest, placement)
            .unwrap();
        assert_eq!(mode(&dest) & 0o100, 0);
    }
}

#[test]
fn files_folders_and_links_replace_each_other() {
    let bench = Bench::new();
    bench.write("tree/a", "1");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    let file = bench.ingest("file");
    let precious = bench.write("precious", "kept");
    let dest = bench.path("dest");
    std::os::unix::fs::symlink(&precious, &dest).unwrap();
    for content in [tree, file, tree, tree, file] {
        bench
            .store
            .objects()
            .materialize(&content, &dest, Placement::Plain)
            .unwrap();
        assert_eq!(
            bench.store.stat_cache().digest_at(&dest).unwrap(),
            Some(content)
        );
    }
    assert_eq!(text(&precious), "kept");
    let names = fs::read_dir(bench.dir.path()).unwrap();
    assert_eq!(
        names,
        [".restage", "dest", "precious", "tree"],
        "no leftovers"
    );
    assert!(
        fs::read_dir(&bench.store.location().dir().join("tmp"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_folder_loses_what_is_not_part_of_it() {
    let bench = Bench::new();
    bench.write("tree/a", "1");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    bench.write("dest/a", "1");
    bench.write("dest/stale", "2");
    bench
        .store
        .objects()
        .materialize(&tree, &bench.path("dest"), Placement::Linked)
        .unwrap();
    assert_eq!(fs::read_dir(&bench.path("dest")).unwrap(), ["a"]);
}

#[test]
fn what_is_in_place_is_left_alone() {
    let bench = Bench::new();
    let content = bench.ingest("table");
    let dest = bench.path("table.csv");
    bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Plain)
        .unwrap();
    let before = inode(&dest);
    bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Plain)
        .unwrap();
    assert_eq!(inode(&dest), before);
}

#[test]
fn a_damaged_object_is_never_placed_and_the_old_file_stays() {
    for placement in [Placement::Plain, Placement::Linked] {
        let bench = Bench::new();
        bench.write("tree/a", "good");
        let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
        let file = bench.ingest("other");
        damage(&bench.object(&Digest::of(b"good")));
        damage(&bench.object(&file.digest));
        for content in [tree, file] {
            let dest = bench.write("dest", "last good");
            let error = bench
                .store
                .objects()
                .materialize(&content, &dest, placement)
                .unwrap_err();
            assert!(matches!(error, StoreError::CorruptObject { .. }), "{error}");
            assert_eq!(text(&dest), "last good");
            assert!(!bench.store.objects().has(&content).unwrap());
        }
        assert_eq!(
            fs::read_dir(bench.dir.path()).unwrap(),
            [".restage", "dest", "tree"]
        );
    }
}

#[test]
fn a_damaged_object_is_not_linked_where_nothing_is_yet() {
    let bench = Bench::new();
    let (first, content) = (bench.ingest("first"), bench.ingest("weights"));
    let place = |content, name| {
        let objects = bench.store.objects();
        objects.materialize(content, &bench.path(name), Placement::Linked)
    };
    // Shows whether this file system can clone; if it can't, others are linked directly.
    place(&first, "first").unwrap();
    damage(&bench.object(&content.digest));
    let error = place(&content, "dest").unwrap_err();
    assert!(matches!(error, StoreError::CorruptObject { .. }), "{error}");
    assert!(!bench.path("dest").exists());
}

#[test]
fn a_part_of_a_folder_can_be_placed_alone() {
    let bench = Bench::new();
    bench.write("tree/a/b/c", "deep");
    bench.write("tree/a.txt", "top");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    let place = |inside, dest| {
        bench
            .store
            .objects()
            .materialize_part(&tree, inside, &bench.path(dest), Placement::Linked)
    };
    place("a", "folder").unwrap();
    place("a.txt", "file").unwrap();
    assert_eq!(text(&bench.path("folder/b/c")), "deep");
    assert_eq!(text(&bench.path("file")), "top");
    assert!(matches!(
        place("x", "none"),
        Err(StoreError::NotInTree { .. })
    ));
    assert!(!bench.path("none").exists());
}

#[test]
fn a_source_is_placed_read_only_and_never_by_its_own_inode() {
    let bench = Bench::new();
    let file = bench.write("data/raw/x", "raw");
    std::os::unix::fs::symlink("x", bench.path("data/raw/link")).unwrap();
    let cache = bench.store.stat_cache();
    let content = cache.digest_at(&bench.path("data")).unwrap().unwrap();
    let dest = bench.path("work/data");
    bench
        .store
        .objects()
        .place_source(&bench.path("data"), &nothing, &content, &dest)
        .unwrap();
    assert_eq!(digest_tree(&dest).unwrap(), content);
    assert_eq!(mode(&dest.join("raw/x")), 0o444);
    assert_ne!(inode(&dest.join("raw/x")), inode(&file));
    std::fs::write(&file, "RAW").unwrap();
    let error = bench
        .store
        .objects()
        .place_source(&bench.path("data"), &nothing, &content, &dest)
        .unwrap_err();
    assert!(matches!(error, StoreError::SourceChanged { .. }), "{error}");
}

#[derive(Debug, Clone)]
enum Thing {
    File(Vec<u8>, bool),
    /// To the folder that it is in.
    Inside,
    /// To a file elsewhere.
    Outside,
    Folder(Vec<(String, Thing)>),
}

fn thing() -> impl Strategy<Value = Thing> {
    let leaf = prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..40), any::<bool>())
            .prop_map(|(bytes, executable)| Thing::File(bytes, executable)),
        Just(Thing::Inside),
        Just(Thing::Outside),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::btree_map("[a-c é\n-]{1,2}", inner, 0..4)
            .prop_map(|map| Thing::Folder(map.into_iter().collect()))
    })
}

fn make(thing: &Thing, path: &Path, elsewhere: &Path) {
    match thing {
        Thing::File(bytes, executable) => {
            std::fs::write(path, bytes).unwrap();
            fs::set_mode(path, if *executable { 0o755 } else { 0o644 }).unwrap();
        }
        Thing::Inside => std::os::unix::fs::symlink(".", path).unwrap(),
        Thing::Outside => std::os::unix::fs::symlink(elsewhere, path).unwrap(),
        Thing::Folder(inner) => {
            std::fs::create_dir(path).unwrap();
            inner
                .iter()
                .for_each(|(name, thing)| make(thing, &path.join(name), elsewhere));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_folder_comes_out_as_it_went_in(inner in prop::collection::vec(thing(), 0..4)) {
        let bench = Bench::new();
        let inner = inner.into_iter().enumerate().map(|(i, thing)| (i.to_string(), thing));
        let elsewhere = bench.write("far", "away");
        let modes = mode(&elsewhere);
        make(&Thing::Folder(inner.collect()), &bench.path("tree"), &elsewhere);
        let before = digest_tree(&bench.path("tree")).unwrap();
        let content = bench.store.objects().ingest(&bench.path("tree")).unwrap();
        prop_assert_eq!(content, before);
        prop_assert_eq!(mode(&elsewhere), modes, "what lies elsewhere is left alone");
        bench.store.objects().verify(&content).unwrap();
        for (placement, name) in [(Placement::Plain, "plain"), (Placement::Linked, "linked")] {
            bench.store.objects().materialize(&content, &bench.path(name), placement).unwrap();
            prop_assert_eq!(digest_tree(&bench.path(name)).unwrap(), before);
        }
    }
}

#[test]
fn many_that_put_the_same_folder_at_once_all_find_it_there() {
    let bench = Bench::new();
    for i in 0..8 {
        bench.write(&format!("tree/{i}/x"), "x");
    }
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    for round in 0..40 {
        let dest = bench.path(&format!("out-{round}"));
        let put = || {
            bench
                .store
                .objects()
                .materialize(&tree, &dest, Placement::Linked)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(put)).collect();
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        assert_eq!(digest_tree(&dest).unwrap(), tree);
    }
}

/// Puts `new` at `dest` while somebody writes `late` to `written` after the first look. Returns where and
/// what each look saw of `written`.
fn replaced_while_written(new: &str, dest: &Path, written: &Path, bench: &Bench) -> Vec<String> {
    let content = match dest == written {
        true => bench.ingest(new),
        false => {
            let folder = bench.path("made");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("file"), new).unwrap();
            bench.store.objects().ingest(&folder).unwrap()
        }
    };
    let seen = std::cell::RefCell::new(Vec::new());
    let look = |inside: &Path, at: &Path| {
        assert_eq!(inside, Path::new(""));
        let file = at.join(written.strip_prefix(dest).unwrap());
        let file = if dest == written { at } else { &file };
        seen.borrow_mut().push(text(file));
        if at == dest {
            std::fs::write(written, "written late").unwrap();
        }
        Ok(())
    };
    let objects = bench.store.objects();
    objects
        .replace(&content, dest, Placement::Plain, &look)
        .unwrap();
    seen.into_inner()
}

#[test]
fn what_is_written_after_the_first_look_is_seen_by_the_second() {
    let bench = Bench::new();
    let (file, folder) = (bench.path("file"), bench.path("folder"));
    std::fs::write(&file, "old").unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "old").unwrap();
    let seen = replaced_while_written("new", &file, &file, &bench);
    assert_eq!(seen, ["old", "written late"]);
    assert_eq!(text(&file), "new");
    let seen = replaced_while_written("new", &folder, &folder.join("file"), &bench);
    assert_eq!(seen, ["old", "written late"]);
    assert_eq!(text(&folder.join("file")), "new");
}

#[test]
fn a_look_that_fails_leaves_what_was_there() {
    let bench = Bench::new();
    let dest = bench.path("file");
    let content = bench.ingest("new");
    for failing in [1, 2] {
        std::fs::write(&dest, "old").unwrap();
        let looks = std::cell::Cell::new(0);
        let look = |_: &Path, at: &Path| {
            looks.set(looks.get() + 1);
            if at == dest {
                std::fs::write(at, "written late").unwrap();
            }
            match looks.get() == failing {
                true => Err(StoreError::SourceChanged {
                    path: at.to_owned(),
                }),
                false => Ok(()),
            }
        };
        let objects = bench.store.objects();
        let done = objects.replace(&content, &dest, Placement::Plain, &look);
        assert!(done.is_err(), "look {failing}");
        assert_eq!(text(&dest), "written late", "look {failing}");
    }
}
