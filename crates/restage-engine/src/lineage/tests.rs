//! Which record has given bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::records::Records;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, KeyAction, Kind, PathDigest, StageKey};
use restage_store::{Record, RecordedOut};

fn content(text: &str) -> PathDigest {
    PathDigest {
        digest: Digest::of(text.as_bytes()),
        kind: Kind::File { executable: false },
        size: text.len() as u64,
        files: 1,
    }
}

/// A run of `command` that wrote a text at each path.
fn record(command: &str, outs: &[(&str, &str)]) -> Record {
    let key = StageKey {
        version: StageKey::VERSION,
        action: KeyAction::Script {
            shell: vec!["sh".to_owned()],
            lines: vec![command.to_owned()],
        },
        params: BTreeMap::new(),
        deps: Vec::new(),
        globs: Vec::new(),
        env: BTreeMap::new(),
        outs: Vec::new(),
        machine: BTreeMap::new(),
        tools: BTreeMap::new(),
        secrets: BTreeSet::new(),
        environment: None,
    };
    let outs = outs.iter().map(|(path, text)| RecordedOut {
        freed: false,
        path: (*path).to_owned(),
        volatile: false,
        content: content(text),
    });
    let now = WallTime::now();
    Record::new(
        key,
        "s".to_owned(),
        outs.collect(),
        now,
        1.0,
        None,
        Vec::new(),
    )
}

#[test]
fn the_record_with_the_same_bytes_is_found_and_the_preferred_one_of_several() {
    let [one, two, three] = [("a", "x"), ("b", "y"), ("c", "x")]
        .map(|(command, text)| Arc::new(record(command, &[("out", text)])));
    let records = Records::new([&one, &two, &three, &one].map(Arc::clone));
    let found = |text: &str| {
        records
            .that_wrote("out", &content(text))
            .map(|(r, own)| (r.key, own))
    };
    assert_eq!(found("x"), Some((one.key, true)));
    assert_eq!(found("y"), Some((two.key, true)));
    assert_eq!(found("z"), None);
    assert_eq!(records.that_wrote("other", &content("x")), None);
    assert_eq!(
        records.writer("out").map(|record| record.key),
        Some(one.key)
    );
    assert_eq!(
        records.of_key(&three.key).map(|record| record.key),
        Some(three.key)
    );
}

#[test]
fn what_was_read_inside_a_folder_is_found_by_the_part() {
    let whole = Arc::new(record("a", &[("out/of/all", "x")]));
    let records = Records::new([Arc::clone(&whole)]);
    let part = |_: &RecordedOut, inside: &str| {
        (inside == "deep/file").then(|| content("part").content_id())
    };
    let gave = |path: &str, text: &str| {
        let found = records.that_gave(path, &content(text).content_id(), &part);
        found.map(|record| record.key)
    };
    assert_eq!(gave("out/of/all/deep/file", "part"), Some(whole.key));
    assert_eq!(gave("out/of/all/deep/file", "x"), None);
    assert_eq!(gave("out/of/all/deep", "part"), None);
    assert_eq!(gave("out/of/all", "x"), Some(whole.key));
    assert_eq!(gave("out/of/allow", "x"), None);
    assert_eq!(gave("out/of/all", "y"), None);
}

#[test]
fn bytes_of_an_earlier_run_of_a_key_are_known_as_such() {
    let mut twice = record("a", &[("out", "new")]);
    twice.variants = vec![record("a", &[("out", "old")]).outs];
    let records = Records::new([Arc::new(twice)]);
    let own = |text: &str| {
        records
            .that_wrote("out", &content(text))
            .map(|(_, own)| own)
    };
    assert_eq!(
        (own("new"), own("old"), own("none")),
        (Some(true), Some(false), None)
    );
}
