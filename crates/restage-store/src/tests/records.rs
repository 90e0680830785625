//! When a key is a hit, and what is remembered of it.

use proptest::prelude::*;

use super::*;

const OUTS: &[(&str, bool, &str)] = &[("w.bin", false, "weights"), ("t.csv", true, "1 s")];

#[test]
fn a_key_is_a_miss_until_its_record_is_committed_and_a_hit_from_then_on() {
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    // A crash here leaves objects without a record.
    let bench = bench.reopened();
    assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
    assert_eq!(bench.commit(&record), CommitOutcome::New);
    let bench = bench.reopened();
    assert_eq!(
        bench.store.records().get(&record.key).unwrap().as_deref(),
        Some(&record)
    );
    assert!(bench.store.take_warnings().is_empty());
}

#[test]
fn a_key_stays_a_miss_if_the_outs_cannot_be_flushed() {
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    let mut outs = Unflushed::default();
    outs.file(bench.path("gone"));
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    let committed = bench
        .store
        .commit(&lock, &record, outs, &mut Unflushed::default());
    assert!(committed.is_err());
    assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
}

#[test]
fn a_record_that_is_cut_or_edited_is_a_miss_with_a_warning() {
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    bench.commit(&record);
    let path = bench
        .store
        .location()
        .dir()
        .join("records")
        .join(format!("{}.json", record.key));
    let whole = text(&path);
    let cut = &whole[..whole.len() / 2];
    let edited = whole
        .replace("weights", "weighty")
        .replace("w.bin", "v.bin");
    for bad in ["", cut, &whole[..whole.len() - 1], &edited] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
        let warnings = bench.store.take_warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("runs again"),
            "{warnings:?}"
        );
    }
    assert_eq!(bench.commit(&record), CommitOutcome::New);
}

#[test]
fn a_record_under_another_keys_name_is_a_miss() {
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    bench.commit(&record);
    let other = key(2).digest();
    let records = bench.store.location().dir().join("records");
    let name = |key: &Digest| records.join(format!("{key}.json"));
    std::fs::copy(name(&record.key), name(&other)).unwrap();
    assert_eq!(bench.store.records().get(&other).unwrap(), None);
}

#[test]
fn the_same_bytes_again_are_the_same_and_volatile_ones_do_not_count() {
    let bench = Bench::new();
    bench.commit(&bench.record(1, OUTS));
    let again = bench.record(1, &[OUTS[0], ("t.csv", true, "2 s")]);
    assert_eq!(bench.commit(&again), CommitOutcome::Same);
    let kept = bench.store.records().get(&again.key).unwrap().unwrap();
    assert_eq!(
        (kept.outs.clone(), kept.nondeterministic),
        (again.outs, false)
    );
}

#[test]
fn other_bytes_for_the_same_key_are_kept_beside_the_first_and_never_forgotten() {
    let bench = Bench::new();
    let first = bench.record(1, OUTS);
    bench.commit(&first);
    let second = bench.record(1, &[("w.bin", false, "other"), OUTS[1]]);
    assert_eq!(
        bench.commit(&second),
        CommitOutcome::Differs {
            outs: vec!["w.bin".into()]
        }
    );
    let kept = bench.store.records().get(&first.key).unwrap().unwrap();
    assert_eq!(
        (&kept.outs, &kept.variants),
        (&second.outs, &vec![first.outs.clone()])
    );
    assert!(kept.nondeterministic);
    // The first bytes come back: still two variants, still nondeterministic.
    bench.commit(&first);
    let kept = bench.store.records().get(&first.key).unwrap().unwrap();
    assert_eq!(
        (&kept.outs, &kept.variants),
        (&first.outs, &vec![second.outs.clone()])
    );
    assert!(kept.nondeterministic);
}

#[test]
fn a_variant_is_kept_once_and_the_records_own_outs_stay() {
    let bench = Bench::new();
    let first = bench.record(1, OUTS);
    bench.commit(&first);
    let history = || std::fs::read(bench.store.location().dir().join("history.jsonl")).unwrap();
    let before = history();
    let lock = bench.store.locks().try_lock(&first.key).unwrap().unwrap();
    assert!(!bench.store.keep_variant(&lock, &first.outs).unwrap());
    let other = bench.record(1, &[("w.bin", false, "other"), OUTS[1]]);
    for _ in 0..2 {
        assert!(bench.store.keep_variant(&lock, &other.outs).unwrap());
        let kept = bench.store.records().get(&first.key).unwrap().unwrap();
        assert_eq!(
            (&kept.outs, &kept.variants, kept.nondeterministic),
            (&first.outs, &vec![other.outs.clone()], true)
        );
    }
    assert_eq!(history(), before);
}

#[test]
fn a_record_needs_the_lock_on_its_key_and_its_outs_in_the_store() {
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    let other = bench
        .store
        .locks()
        .try_lock(&key(2).digest())
        .unwrap()
        .unwrap();
    assert!(matches!(
        bench.store.commit(
            &other,
            &record,
            Unflushed::default(),
            &mut Unflushed::default()
        ),
        Err(StoreError::WrongKey { .. })
    ));
    std::fs::remove_file(bench.object(&Digest::of(b"weights"))).unwrap();
    let lock = bench.store.locks().try_lock(&record.key).unwrap().unwrap();
    assert!(matches!(
        bench.store.commit(
            &lock,
            &record,
            Unflushed::default(),
            &mut Unflushed::default()
        ),
        Err(StoreError::MissingObject { .. })
    ));
    assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
}

#[test]
fn the_last_success_of_a_stage_is_known_to_later_processes() {
    let bench = Bench::new();
    bench.commit(&bench.record(1, OUTS));
    bench.commit(&bench.record(2, OUTS));
    let bench = bench.reopened();
    let last = bench.store.records().last("quick/train").unwrap();
    assert_eq!((last.key, last.seconds), (key(2).digest(), 1.5));
    assert_eq!(
        bench.store.records().durations(),
        BTreeMap::from([("quick/train".into(), 1.5)])
    );
    assert_eq!(bench.store.records().last("quick/other"), None);
}

#[test]
fn a_restored_record_becomes_the_last_again() {
    let bench = Bench::new();
    let first = bench.record(1, OUTS);
    bench.commit(&first);
    bench.commit(&bench.record(2, OUTS));
    bench.store.records().mark_current(&first).unwrap();
    assert_eq!(
        bench.store.records().last("quick/train").unwrap().key,
        first.key
    );
    assert_eq!(
        bench
            .reopened()
            .store
            .records()
            .last("quick/train")
            .unwrap()
            .key,
        first.key
    );
}

#[test]
fn a_lost_history_is_made_again_from_the_records_and_a_cut_line_is_skipped() {
    let bench = Bench::new();
    bench.commit(&bench.record(2, OUTS));
    bench.commit(&bench.record(1, OUTS));
    let path = bench.store.location().dir().join("history.jsonl");
    let whole = text(&path);
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let bench = bench.reopened();
    assert_eq!(
        bench.store.records().last("quick/train").unwrap().key,
        key(2).digest()
    );
    bench.commit(&bench.record(1, OUTS));
    let bench = bench.reopened();
    assert_eq!(
        bench.store.records().last("quick/train").unwrap().key,
        key(1).digest()
    );
    std::fs::remove_file(&path).unwrap();
    let bench = bench.reopened();
    // Records know only when they started.
    assert_eq!(
        bench.store.records().last("quick/train").unwrap().key,
        key(2).digest()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn one_flipped_bit_makes_a_record_worthless(at in any::<prop::sample::Index>()) {
        let out = RecordedOut {
            freed: false,
            path: "w".into(),
            volatile: false,
            content: PathDigest {
                digest: Digest::of(b"w"),
                kind: restage_core::digest::Kind::Tree,
                size: 1,
                files: 1,
            },
        };
        let now = WallTime { seconds: 0, nanos: 0 };
        let record = Record::new(key(1), "s".into(), vec![out], now, 0.1, Some(7), vec![]);
        let mut bytes = record.to_text().into_bytes();
        prop_assert_eq!(Record::from_text(&bytes), Ok(record));
        let bit = at.index(bytes.len() * 8);
        prop_assert!(Record::from_text(&bytes[..bit / 8]).is_err());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Record::from_text(&bytes).is_err());
    }
}

#[test]
fn a_record_with_an_out_outside_the_workspace_is_none() {
    let bench = Bench::new();
    for path in ["../w", "/w", "a/../../w", "a//w", "."] {
        let record = bench.record(1, &[(path, false, "weights")]);
        let text = record.to_text();
        assert!(
            Record::from_text(text.as_bytes())
                .unwrap_err()
                .contains("no path inside")
        );
        std::fs::write(bench.store.records().path(&record.key), text).unwrap();
        assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
        let warnings = bench.store.take_warnings();
        assert!(warnings[0].contains("is not used"), "{warnings:?}");
    }
}

#[test]
fn a_record_that_may_not_be_read_is_none_and_no_damage() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let bench = Bench::new();
    let record = bench.record(1, OUTS);
    bench.commit(&record);
    let path = bench.store.records().path(&record.key);
    fs::set_mode(&path, 0o200).unwrap();
    assert_eq!(bench.store.records().get(&record.key).unwrap(), None);
    assert!(bench.store.take_warnings()[0].contains("you may not read it"));
    let bench = bench.alone();
    let report = crate::fsck::check(&bench.store, bench.dir.path(), &|_| {}).unwrap();
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.problem.kind() != "damaged-record")
    );
    assert!(path.exists());
}
