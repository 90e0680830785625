//! What goes into the store and what stays of it.

use super::*;

#[test]
fn an_object_is_read_only_and_named_by_its_bytes() {
    let bench = Bench::new();
    let content = bench.ingest("weights");
    assert_eq!(content.digest, Digest::of(b"weights"));
    assert_eq!(text(&bench.object(&content.digest)), "weights");
    assert_eq!(mode(&bench.object(&content.digest)), 0o444);
}

#[test]
fn equal_files_are_one_object() {
    let bench = Bench::new();
    bench.write("tree/a", "same");
    bench.write("tree/b/c", "same");
    bench.ingest("same");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    assert_eq!((tree.files, tree.size), (2, 8));
    assert_eq!(
        bench.objects().len(),
        2,
        "the file and the folder's manifest"
    );
}

#[test]
fn an_out_that_has_another_name_is_copied_so_that_the_name_cannot_change_the_object() {
    let bench = Bench::new();
    let outside = bench.write("outside", "first");
    std::fs::hard_link(&outside, bench.path("out")).unwrap();
    std::os::unix::fs::symlink(&outside, bench.path("link")).unwrap();
    for name in ["out", "link"] {
        let content = bench.store.objects().ingest(&bench.path(name)).unwrap();
        assert_ne!(
            inode(&bench.object(&content.digest)),
            inode(&outside),
            "{name}"
        );
    }
    std::fs::write(&outside, "later").unwrap();
    assert_eq!(text(&bench.object(&Digest::of(b"first"))), "first");
}

#[test]
fn a_damaged_object_is_found_moved_aside_and_healed_by_the_next_equal_out() {
    let bench = Bench::new();
    let content = bench.ingest("weights");
    damage(&bench.object(&content.digest));
    let error = bench.store.objects().verify(&content).unwrap_err();
    let StoreError::CorruptObject { moved_to, .. } = &error else {
        panic!("{error}")
    };
    assert!(moved_to.exists());
    assert!(!bench.store.objects().has(&content).unwrap());
    assert!(error.hint().unwrap().contains("run"));
    bench.ingest("weights");
    bench.store.objects().verify(&content).unwrap();
}

#[test]
fn an_out_that_equals_a_damaged_object_replaces_it() {
    let bench = Bench::new();
    let content = bench.ingest("weights");
    damage(&bench.object(&content.digest));
    bench.ingest("weights");
    bench.store.objects().verify(&content).unwrap();
}

#[test]
fn a_cut_or_missing_object_is_no_object_also_inside_a_folder() {
    let bench = Bench::new();
    bench.write("tree/a", "inner");
    let file = bench.ingest("weights");
    let tree = bench.store.objects().ingest(&bench.path("tree")).unwrap();
    assert!(bench.store.objects().has(&file).unwrap() && bench.store.objects().has(&tree).unwrap());
    for digest in [file.digest, Digest::of(b"inner")] {
        let object = bench.object(&digest);
        fs::set_mode(&object, 0o644).unwrap();
        std::fs::write(&object, "w").unwrap();
    }
    assert!(!bench.store.objects().has(&file).unwrap());
    assert!(!bench.store.objects().has(&tree).unwrap());
    assert!(bench.store.objects().verify(&tree).is_err());
}

#[test]
fn an_object_that_was_linked_and_unlinked_is_not_read_again() {
    let bench = Bench::new();
    let content = bench.ingest("weights");
    let bench = bench.reopened();
    let dest = bench.path("linked");
    bench
        .store
        .objects()
        .materialize(&content, &dest, Placement::Linked)
        .unwrap();
    std::fs::remove_file(&dest).unwrap();
    let bench = bench.reopened();
    // Only `stat` is asked: bytes that change with size, times and mode kept go unseen here,
    // and are for `verify_object` to find.
    let object = bench.object(&content.digest);
    let modified = std::fs::metadata(&object).unwrap().modified().unwrap();
    damage(&object);
    fs::set_mode(&object, 0o644).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&object)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    fs::set_mode(&object, 0o444).unwrap();
    bench
        .store
        .objects()
        .check(&content.digest, content.size)
        .unwrap();
    assert!(bench.store.objects().verify(&content).is_err());
}

#[test]
fn several_outs_are_taken_in_together() {
    let bench = Bench::new();
    bench.write("work/a", "1");
    bench.write("work/b/c", "2");
    let mut unflushed = Unflushed::default();
    let contents = ["work/a", "work/b"].map(|path| {
        let path = bench.path(path);
        bench
            .store
            .objects()
            .ingest_into(&path, &mut unflushed)
            .unwrap()
    });
    bench.store.objects().flush(&unflushed).unwrap();
    assert!(
        contents
            .iter()
            .all(|content| bench.store.objects().has(content).unwrap())
    );
    assert_eq!(contents[1].kind, restage_core::digest::Kind::Tree);
}

#[test]
fn what_a_stage_made_private_stays_private_in_the_store_and_where_it_is_published() {
    let bench = Bench::new();
    for (path, file_mode) in [
        ("key", 0o600),
        ("open", 0o644),
        ("d/key", 0o640),
        ("p/open", 0o644),
    ] {
        let file = bench.write(path, path);
        fs::set_mode(&file, file_mode).unwrap();
    }
    fs::set_mode(&bench.path("p"), 0o700).unwrap();
    let placed = |content: &PathDigest, how, name: &str| {
        let dest = bench.path(name);
        bench
            .store
            .objects()
            .materialize(content, &dest, how)
            .unwrap();
        dest
    };
    let keep = |path: &str| bench.store.objects().ingest(&bench.path(path)).unwrap();
    for (how, name) in [(Placement::Plain, "copied"), (Placement::Linked, "linked")] {
        let key = keep("key");
        assert_eq!(mode(&bench.object(&key.digest)) & 0o077, 0);
        assert_eq!(mode(&placed(&key, how, &format!("{name}-key"))) & 0o077, 0);
        let folder = placed(&keep("d"), how, &format!("{name}-d"));
        assert_eq!(mode(&folder.join("key")) & 0o037, 0);
        let private = placed(&keep("p"), how, &format!("{name}-p"));
        assert_eq!(mode(&private.join("open")) & 0o077, 0);
        let open = keep("open");
        assert_eq!(mode(&bench.object(&open.digest)), 0o444);
    }
    // Equal bytes are one object: the narrower permissions hold.
    let file = bench.write("later", "open");
    fs::set_mode(&file, 0o600).unwrap();
    let later = keep("later");
    assert_eq!(mode(&bench.object(&later.digest)), 0o400);
}

#[test]
fn what_is_lost_is_stored_again_from_where_it_was_published_if_that_is_unchanged() {
    let bench = Bench::new();
    bench.write("d/x", "one");
    let contents = [
        bench.ingest("weights"),
        bench.store.objects().ingest(&bench.path("d")).unwrap(),
    ];
    let lose = |content: &PathDigest| std::fs::remove_file(bench.object(&content.digest)).unwrap();
    for (content, name) in contents.iter().zip(["file", "folder"]) {
        let objects = bench.store.objects();
        let dest = bench.path(name);
        objects
            .materialize(content, &dest, Placement::Plain)
            .unwrap();
        lose(content);
        assert!(!objects.has(content).unwrap());
        assert!(objects.keep_placed(&dest, content).unwrap());
        objects.verify(content).unwrap();
        lose(content);
        let file = if dest.is_dir() {
            dest.join("x")
        } else {
            dest.clone()
        };
        std::fs::write(file, "edited").unwrap();
        assert!(!objects.keep_placed(&dest, content).unwrap());
        fs::remove_all(&dest).unwrap();
        assert!(!objects.keep_placed(&dest, content).unwrap());
        assert!(!objects.has(content).unwrap());
    }
}

#[test]
fn a_sparse_out_takes_no_more_room_in_the_store_or_where_it_is_published() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    let room = |path: &Path| std::fs::metadata(path).unwrap().blocks() * 512;
    let path = bench.write("sparse", "start");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(32 << 20).unwrap();
    if room(&path) > 1 << 20 {
        println!("skipped: no sparse files here");
        return;
    }
    // A second name: it is copied into the store.
    std::fs::hard_link(&path, bench.path("twin")).unwrap();
    let content = bench.store.objects().ingest(&path).unwrap();
    let dest = bench.path("published");
    let objects = bench.store.objects();
    objects
        .materialize(&content, &dest, Placement::Plain)
        .unwrap();
    for path in [bench.object(&content.digest), dest] {
        assert!(room(&path) < 1 << 20, "{}", path.display());
    }
    objects.verify(&content).unwrap();
}
