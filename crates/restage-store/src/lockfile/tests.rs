//! What is written is what is read, and what was damaged is noticed.

use super::*;
use proptest::prelude::*;

fn entry(text: &str) -> LockEntry {
    let outs = [("w.bin", Some(Digest::of(b"w"))), ("t.csv", None)];
    let outs = outs.map(|(path, digest)| (path.to_owned(), digest));
    LockEntry {
        key: Digest::of(text.as_bytes()),
        outs: BTreeMap::from(outs),
    }
}

fn nothing(_: &LockFile) -> Result<LeftOver, StoreError> {
    Ok(LeftOver::new())
}

fn lock() -> LockFile {
    let stages = BTreeMap::from([
        ("train@b".to_owned(), entry("b")),
        (
            "train@a".to_owned(),
            LockEntry {
                outs: BTreeMap::new(),
                ..entry("a")
            },
        ),
    ]);
    LockFile {
        profiles: BTreeMap::from([("quick".to_owned(), stages)]),
        left_over: LeftOver::new(),
        data: BTreeMap::new(),
    }
}

#[test]
fn the_file_is_sorted_and_has_one_out_a_line() {
    insta::assert_snapshot!(lock().to_text(), @r#"
    # What restage last reproduced. Written by restage; commit it, don't edit it.
    schema: 2
    profiles:
      "quick":
        "train@a":
          key: "17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f"
          outs: {}
        "train@b":
          key: "10e5cf3d3c8a4f9f3468c8cc58eea84892a22fdadbc1acb22410190044c1d553"
          outs:
            "t.csv": null
            "w.bin": "f2f21520bebe5d07c6813b972de3617a0a0d50a36be3784e9fece54cff8d8032"
    # end
    "#);
}

#[test]
fn the_file_reads_back_as_it_was() {
    assert_eq!(LockFile::parse(lock().to_text().as_bytes()), Ok(lock()));
    let empty = LockFile::default();
    assert_eq!(LockFile::parse(empty.to_text().as_bytes()), Ok(empty));
}

#[test]
fn a_file_with_conflicts_or_cut_short_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipeline.lock");
    let text = lock().to_text();
    for broken in [
        format!("<<<<<<< ours\n{text}"),
        text[..text.len() - 40].to_owned(),
    ] {
        std::fs::write(&path, broken).unwrap();
        let error = update(
            dir.path(),
            &path,
            "quick",
            [],
            &BTreeSet::new(),
            Pins::default(),
            nothing,
        )
        .unwrap_err();
        assert!(
            error.hint().unwrap().contains("restage reproduce"),
            "{error}"
        );
        assert!(error.to_string().contains("pipeline.lock"), "{error}");
    }
}

#[test]
fn an_update_keeps_other_profiles_drops_unknown_stages_and_is_idle_without_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipeline.lock");
    std::fs::write(&path, lock().to_text()).unwrap();
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let all = BTreeSet::from(["train@a".to_owned(), "train@b".to_owned()]);
    update(
        dir.path(),
        &path,
        "quick",
        [],
        &all,
        Pins::default(),
        nothing,
    )
    .unwrap();
    update(
        dir.path(),
        &path,
        "paper",
        [],
        &BTreeSet::new(),
        Pins::default(),
        nothing,
    )
    .unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        before
    );
    update(
        dir.path(),
        &path,
        "quick",
        [],
        &BTreeSet::from(["train@a".to_owned()]),
        Pins::default(),
        nothing,
    )
    .unwrap();
    let left = LockFile::read(&path).unwrap();
    assert!(left.get("quick", "train@a").is_some() && left.get("quick", "train@b").is_none());
}

proptest! {
    #[test]
    fn any_names_read_back(profile in ".{1,6}", stage in ".{1,6}", out in ".{1,6}") {
        let data = BTreeMap::from([(out.clone(), Digest::of(b"d"))]);
        let left_over = BTreeMap::from([(stage.clone(), BTreeMap::from([(out.clone(), Digest::of(b"l"))]))]);
        let outs = BTreeMap::from([(out, Some(Digest::of(b"w")))]);
        let stages = BTreeMap::from([(stage, LockEntry { outs, ..entry("a") })]);
        let lock = LockFile { profiles: BTreeMap::from([(profile, stages)]), left_over, data };
        prop_assert_eq!(LockFile::parse(lock.to_text().as_bytes()), Ok(lock));
    }
}

#[test]
fn a_file_cut_anywhere_is_noticed_and_one_of_the_first_schema_is_read() {
    let text = lock().to_text();
    for cut in 0..text.len() - 1 {
        assert!(LockFile::parse(&text.as_bytes()[..cut]).is_err(), "{cut}");
    }
    let first = text
        .replace("schema: 2", "schema: 1")
        .replace("# end\n", "");
    assert_eq!(LockFile::parse(first.as_bytes()), Ok(lock()));
    let checked_out_elsewhere = text.replace('\n', "\r\n");
    assert_eq!(
        LockFile::parse(checked_out_elsewhere.as_bytes()),
        Ok(lock())
    );
}

#[test]
fn a_stage_that_a_merge_wrote_twice_is_noticed() {
    let text = lock().to_text();
    let block = "    \"train@a\":\n      key: \"17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f\"\n      outs: {}\n";
    assert!(text.contains(block));
    let twice = text.replace(block, &block.repeat(2));
    assert!(LockFile::parse(twice.as_bytes()).is_err());
}

/// Locks of few stages with few results, so that three of them often meet.
fn any_lock() -> impl Strategy<Value = LockFile> {
    let stages = || proptest::collection::btree_map("[abc]", 0..3_u8, 0..4);
    let profiles = proptest::collection::btree_map("[pq]", stages(), 0..3);
    let digest = (0..3_u8).prop_map(|seed| Digest::of(&[seed]));
    let files = proptest::collection::btree_map("[xy]", digest, 1..3);
    let left_over = proptest::collection::btree_map("[ab]", files.clone(), 0..3);
    (profiles, left_over, files).prop_map(|(profiles, left_over, data)| {
        let filled = |stages: BTreeMap<String, u8>| {
            let entries = stages.into_iter();
            let entries = entries.map(|(name, seed)| (name, entry(&seed.to_string())));
            entries.collect()
        };
        let profiles = profiles.into_iter();
        let mut profiles: BTreeMap<_, _> = profiles
            .map(|(name, stages)| (name, filled(stages)))
            .collect();
        profiles.retain(|_, stages: &mut BTreeMap<_, _>| !stages.is_empty());
        LockFile {
            profiles,
            left_over,
            data,
        }
    })
}

proptest! {
    #[test]
    fn a_merge_does_not_depend_on_whose_side_is_which(
        base in any_lock(), a in any_lock(), b in any_lock(),
    ) {
        prop_assert_eq!(merge(&base, &a, &b), merge(&base, &b, &a));
    }

    #[test]
    fn a_merge_takes_what_only_one_side_changed_and_what_both_made_alike(
        base in any_lock(), x in any_lock(),
    ) {
        for (ours, theirs) in [(&x, &x), (&base, &x), (&x, &base)] {
            let merged = merge(&base, ours, theirs);
            prop_assert_eq!(&merged.lock, &x);
            prop_assert!(merged.left_out.is_empty());
        }
    }

    #[test]
    fn a_merge_makes_nothing_up_and_names_all_that_it_leaves_out(
        base in any_lock(), a in any_lock(), b in any_lock(),
    ) {
        let merged = merge(&base, &a, &b);
        for (profile, stage, entry) in merged.lock.entries() {
            let sides = [a.get(profile, stage), b.get(profile, stage)];
            prop_assert!(sides.contains(&Some(entry)));
        }
        let left_out = |profile: &str, stage: &str| {
            merged.left_out.iter().any(|out| (out.profile.as_str(), out.stage.as_str()) == (profile, stage))
        };
        for (profile, stage, entry) in a.entries().chain(b.entries()) {
            let removed = base.get(profile, stage) == Some(entry)
                && (a.get(profile, stage).is_none() || b.get(profile, stage).is_none());
            let replaced = base.get(profile, stage) == Some(entry)
                && merged.lock.get(profile, stage).is_some();
            let taken = merged.lock.get(profile, stage) == Some(entry);
            prop_assert!(taken || removed || replaced || left_out(profile, stage));
        }
        for out in &merged.left_out {
            let has = |side: &LockFile| side.get(&out.profile, &out.stage).is_some();
            let expected = match has(&a) && has(&b) {
                true => Reason::BothChanged,
                false => Reason::RemovedAndChanged,
            };
            prop_assert_eq!(&out.reason, &expected);
        }
        prop_assert_eq!(LockFile::parse(merged.lock.to_text().as_bytes()), Ok(merged.lock));
    }
}

#[test]
fn a_lock_file_names_its_keys_even_if_it_has_conflicts_or_was_cut() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let text = format!(
        "{HEAD}schema: 9\nnew: {{x: y}}\n<<<<<<< ours\n  key: \"{one}\"\n=======\n  key: {two}\n"
    );
    assert_eq!(
        LockFile::keys_in(text.as_bytes()),
        BTreeSet::from([one, two])
    );
    let others = format!("# Cargo's\nchecksum = \"{one}\"\n");
    assert!(LockFile::keys_in(others.as_bytes()).is_empty());
}

#[test]
fn data_is_pinned_once_and_kept_while_the_pipeline_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipeline.lock");
    let digest = |text: &str| Digest::of(text.as_bytes());
    let run = |known: &[&str], read: &[(&str, &str)]| {
        let pins = Pins {
            known: known.iter().map(|name| (*name).to_owned()).collect(),
            read: read
                .iter()
                .map(|(name, text)| ((*name).to_owned(), digest(text)))
                .collect(),
        };
        update(
            dir.path(),
            &path,
            "quick",
            [],
            &BTreeSet::new(),
            pins,
            nothing,
        )
        .unwrap();
        LockFile::read(&path).unwrap().pins().clone()
    };
    let pins = |all: &[(&str, &str)]| -> BTreeMap<String, Digest> {
        all.iter()
            .map(|(name, text)| ((*name).to_owned(), digest(text)))
            .collect()
    };
    assert_eq!(run(&["a", "b"], &[("a", "1")]), pins(&[("a", "1")]));
    // Another run was faster: what it pinned holds.
    assert_eq!(
        run(&["a", "b"], &[("a", "2"), ("b", "1")]),
        pins(&[("a", "1"), ("b", "1")])
    );
    pin(dir.path(), &path, "a", digest("3")).unwrap();
    assert_eq!(run(&["a"], &[]), pins(&[("a", "3")]));
}

#[test]
fn a_merge_never_drops_a_pin_that_one_side_still_has() {
    let side = |pins: &[(&str, &str)]| LockFile {
        data: pins
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Digest::of(text.as_bytes())))
            .collect(),
        ..LockFile::default()
    };
    let merged = |base: &[(&str, &str)], ours: &[(&str, &str)], theirs: &[(&str, &str)]| {
        merge(&side(base), &side(ours), &side(theirs)).lock
    };
    let one = &[("a", "1")][..];
    assert_eq!(merged(one, one, &[("a", "2")]), side(&[("a", "2")]));
    assert_eq!(merged(one, &[("a", "2")], one), side(&[("a", "2")]));
    let both = merged(one, &[("a", "2")], &[("a", "3")]);
    assert!(both == side(&[("a", "2")]) || both == side(&[("a", "3")]));
    assert_eq!(merged(one, &[], &[("a", "3")]), side(&[("a", "3")]));
    assert_eq!(merged(one, &[], one), side(&[]));
    assert_eq!(
        merged(&[], one, &[("b", "1")]),
        side(&[("a", "1"), ("b", "1")])
    );
}
