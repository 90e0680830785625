//! Damage is found, repaired where a copy is left, and never found twice.

use super::*;
use crate::fsck::{self, OutState, Report};

fn check(bench: &Bench) -> Report {
    fsck::check(&bench.store, bench.dir.path(), &|_| {}).unwrap()
}

/// Kind and remedy of each finding.
fn found(report: &Report) -> Vec<(&str, &str)> {
    let findings = report.findings.iter();
    let mut found: Vec<_> = findings
        .map(|finding| (finding.problem.kind(), finding.remedy.kind()))
        .collect();
    found.sort_unstable();
    found
}

/// A store with one record of a file and a folder, published and named in `pipeline.lock`.
fn published() -> Bench {
    let bench = Bench::new();
    bench.write("work/a", "1");
    bench.write("work/b/c", "2");
    let tree = bench.store.objects().ingest(&bench.path("work")).unwrap();
    let mut record = bench.record(1, &[("w", false, "weights"), ("d", false, "")]);
    record.outs[1].content = tree;
    bench.commit(&record);
    let empty = bench.object(&Digest::of(b""));
    std::fs::remove_file(empty).unwrap();
    for out in &record.outs {
        let dest = bench.path(&out.path);
        bench
            .store
            .objects()
            .materialize(&out.content, &dest, Placement::Linked)
            .unwrap();
    }
    let (lock, entry) = (bench.path("pipeline.lock"), ("train".into(), record.into()));
    lockfile::update(
        &bench.store.location().tmp(),
        &lock,
        "quick",
        [entry],
        &["train".into()].into(),
        lockfile::Pins::default(),
        |_| Ok(lockfile::LeftOver::new()),
    )
    .unwrap();
    bench.alone()
}

#[test]
fn a_store_as_it_was_written_is_sound() {
    let bench = published();
    let report = check(&bench);
    assert_eq!(found(&report), []);
    assert!(report.outs.is_empty() && report.removable.is_empty());
    let checked = report.checked;
    assert_eq!((checked.objects, checked.records, checked.outs), (4, 1, 2));
}

#[test]
fn files_and_folders_that_are_lost_come_back_from_intact_outs() {
    let bench = published();
    let before = bench.objects();
    for object in &before {
        std::fs::remove_file(bench.store.location().dir().join("objects").join(object)).unwrap();
    }
    let report = check(&bench);
    assert_eq!(found(&report), [("missing-object", "healed"); 4]);
    assert_eq!(bench.objects(), before);
    assert_eq!(found(&check(&bench)), []);
    let record = bench
        .store
        .records()
        .get(&key(1).digest())
        .unwrap()
        .unwrap();
    for out in &record.outs {
        bench.store.objects().verify(&out.content).unwrap();
    }
}

#[test]
fn an_out_that_shares_its_bytes_with_a_damaged_object_does_not_count_as_up_to_date() {
    let bench = published();
    let object = bench.object(&Digest::of(b"weights"));
    if inode(&object) != inode(&bench.path("w")) {
        println!("skipped: outs share blocks here, not bytes");
        return;
    }
    let modified = std::fs::metadata(&object).unwrap().modified().unwrap();
    damage(&object);
    fs::set_mode(&object, 0o644).unwrap();
    let file = std::fs::File::options().write(true).open(&object).unwrap();
    file.set_modified(modified).unwrap();
    fs::set_mode(&object, 0o444).unwrap();
    let request = Digest::of(b"request");
    noop::write(bench.store.location().dir(), &request, "all was fresh").unwrap();
    let report = check(&bench);
    let kept = noop::read(bench.store.location().dir(), &request).unwrap();
    assert_eq!(kept, None, "it depends on what `stat` said of the out");
    assert_eq!(
        found(&report),
        [
            ("damaged-object", "set-aside"),
            ("incomplete-record", "lost")
        ]
    );
    assert_eq!(
        report.outs,
        BTreeMap::from([("w".into(), OutState::Edited)])
    );
    let cache = bench.reopened();
    let seen = cache
        .store
        .stat_cache()
        .digest_at(&cache.path("w"))
        .unwrap();
    assert_ne!(seen.unwrap().digest, Digest::of(b"weights"));
}

#[test]
fn a_record_that_lost_outs_stays_only_if_the_lock_file_names_it() {
    let bench = published();
    std::fs::remove_file(bench.object(&Digest::of(b"weights"))).unwrap();
    std::fs::remove_file(bench.path("w")).unwrap();
    let expected = [("incomplete-record", "lost"), ("missing-object", "lost")];
    for _ in 0..2 {
        assert_eq!(found(&check(&bench)), expected, "until its stage ran again");
    }
    std::fs::remove_file(bench.path("pipeline.lock")).unwrap();
    let expected = [
        ("incomplete-record", "set-aside"),
        ("missing-object", "lost"),
    ];
    assert_eq!(found(&check(&bench)), expected);
    assert_eq!(found(&check(&bench)), []);
    assert!(bench.store.records().last("quick/train").is_none());
}

#[test]
fn a_variant_that_is_lost_is_dropped_and_the_stage_stays_nondeterministic() {
    let bench = Bench::new();
    bench.commit(&bench.record(1, &[("w", false, "first")]));
    bench.commit(&bench.record(1, &[("w", false, "second")]));
    std::fs::remove_file(bench.object(&Digest::of(b"first"))).unwrap();
    let bench = bench.alone();
    assert_eq!(found(&check(&bench)), [("missing-object", "lost")]);
    assert_eq!(found(&check(&bench)), []);
    let record = bench
        .store
        .records()
        .get(&key(1).digest())
        .unwrap()
        .unwrap();
    assert!(record.variants.is_empty() && record.nondeterministic);
}

#[test]
fn modes_are_set_right_and_what_has_no_place_is_moved_away() {
    let bench = published();
    let object = bench.object(&Digest::of(b"weights"));
    for (wrong, right) in [
        (0o644, 0o444),
        (0o555, 0o444),
        (0o620, 0o400),
        (0o040, 0o440),
    ] {
        fs::set_mode(&object, wrong).unwrap();
        assert_eq!(found(&check(&bench)), [("object-mode", "made-read-only")]);
        assert_eq!(mode(&object), right);
    }
    // Of a private out.
    fs::set_mode(&object, 0o400).unwrap();
    assert!(found(&check(&bench)).is_empty());
    for stray in ["objects/ab/x", "objects/x", "records/x", "objects/abc/d"] {
        bench.write(&format!(".restage/{stray}"), "x");
    }
    std::fs::create_dir_all(bench.object(&Digest::of(b"a folder"))).unwrap();
    assert_eq!(found(&check(&bench)), [("stray", "set-aside"); 5]);
    assert_eq!(found(&check(&bench)), []);
}

#[test]
fn a_lost_or_exchanged_record_is_missed_by_the_history() {
    let bench = Bench::new();
    let outs = [("w", false, "weights")];
    (1..=3).for_each(|seed| drop(bench.commit(&bench.record(seed, &outs))));
    let path = |seed| bench.store.records().path(&key(seed).digest());
    std::fs::remove_file(path(1)).unwrap();
    let (two, three) = (text(&path(2)), text(&path(3)));
    std::fs::write(path(2), three).unwrap();
    std::fs::write(path(3), two).unwrap();
    let bench = bench.alone();
    let report = check(&bench);
    assert_eq!(
        found(&report),
        [
            ("damaged-record", "set-aside"),
            ("damaged-record", "set-aside"),
            ("missing-record", "lost"),
        ]
    );
    assert_eq!(report.removable["objects that no record needs"], 1);
    assert_eq!(found(&check(&bench)), []);
}

#[test]
fn the_lock_file_of_every_pipeline_in_the_folder_counts_and_other_programs_do_not() {
    let bench = published();
    let moved = bench.path("other.yaml.lock");
    std::fs::rename(bench.path("pipeline.lock"), &moved).unwrap();
    bench.write("uv.lock", "version = 1\n");
    std::fs::remove_file(bench.path("w")).unwrap();
    let report = check(&bench);
    assert_eq!(found(&report), []);
    let missing = BTreeMap::from([("w".to_owned(), OutState::Missing)]);
    assert_eq!(report.outs, missing);
    let lock = text(&moved);
    let entry = Digest::of(b"weights").to_string();
    std::fs::write(&moved, lock.replace(&entry, &Digest::of(b"x").to_string())).unwrap();
    let report = check(&bench);
    assert_eq!(
        found(&report),
        [("wrong-lock-file", "rewritten-by-next-run")]
    );
    let said = report.findings[0].problem.to_string();
    assert_eq!(
        said,
        "`other.yaml.lock` differs from the record of `quick/train`"
    );
    // A record that it names stays, and all of them stay while it can't be read.
    std::fs::remove_file(bench.object(&Digest::of(b"weights"))).unwrap();
    let lost = [("incomplete-record", "lost"), ("missing-object", "lost")];
    std::fs::write(&moved, &lock).unwrap();
    assert_eq!(found(&check(&bench)), lost);
    std::fs::write(&moved, &lock[..lock.len() / 2]).unwrap();
    let cut = ("damaged-lock-file", "rewritten-by-next-run");
    assert_eq!(found(&check(&bench)), [[cut].as_slice(), &lost].concat());
}

#[test]
fn damaged_metadata_is_named_and_only_what_can_be_rebuilt_is_dropped() {
    let bench = published();
    let cache = bench.store.location().dir().join("stat-cache");
    std::fs::write(&cache, "nonsense").unwrap();
    let history = bench.store.location().dir().join("history.jsonl");
    let lines = text(&history);
    std::fs::write(&history, format!("{{\"stage\":\"cu\n{lines}")).unwrap();
    let lock = text(&bench.path("pipeline.lock"));
    let entry = Digest::of(b"weights").to_string();
    bench.write(
        "pipeline.lock",
        &lock.replace(&entry, &Digest::of(b"x").to_string()),
    );
    let bench = bench.alone();
    assert_eq!(
        found(&check(&bench)),
        [
            ("damaged-history", "removed"),
            ("damaged-stat-cache", "removed"),
            ("wrong-lock-file", "rewritten-by-next-run"),
        ]
    );
    assert!(bench.store.records().last("quick/train").is_some());
    bench.write("pipeline.lock", "<<<<<<< ours\n");
    let bench = bench.alone();
    assert_eq!(
        found(&check(&bench)),
        [("damaged-lock-file", "rewritten-by-next-run")]
    );
}
