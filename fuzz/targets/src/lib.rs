//! What each fuzz target does with arbitrary bytes, from libFuzzer or from a test that replays
//! known ones: it panics if something is wrong.

// In a test build, the stage's file would look for its tests here.
#[cfg(not(test))]
mod archive;
#[cfg(not(test))]
#[path = "../../../stages/download/src/meter.rs"]
mod meter;

use restage_claims::check_expression;
use restage_core::digest::Digest;
use restage_pipeline::graph::Graph;
use restage_pipeline::{LoadOptions, Pipeline, load};
use restage_store::Record;
use restage_store::lockfile::{LockFile, merge};

#[cfg(not(test))]
pub use archive::archive;

/// A target's name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    ("spec", spec),
    ("template", template),
    ("record", record),
    ("lock", lock),
    #[cfg(not(test))]
    ("archive", archive),
];

/// Separates the three versions of a lock file.
const CUT: &str = "\n=======\n";

/// `pipeline.yaml`: a pipeline with a graph, or errors that can be shown.
pub fn spec(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        built(text);
    }
}

/// A template in every place that allows one.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let quoted = serde_json::Value::from(text);
    built(&format!(
        "schema: 1\nname: fuzz\n\
         params: {{a: 1, b: {{c: 'x y', d: [1, 2]}}, e: {{x: {{w: 1}}, y: {{w: 2}}}}}}\n\
         profiles: {{p: {{a: 2}}}}\ndefault_profile: p\n\
         stages:\n  s:\n    foreach: ${{e}}\n    cmd: {quoted}\n    deps: [{quoted}]\n\
         \x20   params: [a, {quoted}]\n    env: {{V: {quoted}}}\n    outs: [\"out/${{key}}\"]\n"
    ));
}

fn built(text: &str) -> Option<Pipeline> {
    let options = LoadOptions {
        check_expression,
        ..LoadOptions::default()
    };
    match load("pipeline.yaml", text, &options) {
        Ok(pipeline) => {
            let graph = Graph::build(pipeline.clone()).ok()?;
            assert_eq!(graph.stages().len(), graph.topological().len());
            Some(pipeline)
        }
        Err(errors) => {
            assert!(!restage_pipeline::render::render(&errors, false).is_empty());
            None
        }
    }
}

/// A record's file, unchanged and with a corrected digest: what is read is written back as it was
/// understood, and a changed byte is noticed.
pub fn record(data: &[u8]) {
    let sealed = [data, b"\n", Digest::of(data).to_string().as_bytes(), b"\n"].concat();
    for bytes in [data, &sealed] {
        let Ok(record) = Record::from_text(bytes) else {
            continue;
        };
        let mut text = record.to_text().into_bytes();
        assert_eq!(Record::from_text(&text).as_ref(), Ok(&record));
        let at = data.first().map_or(0, |byte| usize::from(*byte)) % text.len();
        text[at] ^= 1;
        assert!(Record::from_text(&text).is_err(), "byte {at}");
    }
}

/// Up to three versions of `pipeline.lock`: each reads back as it was understood, and their
/// merge is a lock file that keeps what the sides agree on.
pub fn lock(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut sides: Vec<LockFile> = Vec::new();
    for part in text.splitn(3, CUT) {
        let Ok(lock) = LockFile::parse(part.as_bytes()) else {
            return;
        };
        assert_eq!(
            LockFile::parse(lock.to_text().as_bytes()).as_ref(),
            Ok(&lock)
        );
        sides.push(lock);
    }
    let [base, ours, theirs] = [0, 1, 2].map(|at| sides.get(at).unwrap_or(&sides[0]));
    let merged = merge(base, ours, theirs).lock;
    assert_eq!(
        LockFile::parse(merged.to_text().as_bytes()).as_ref(),
        Ok(&merged)
    );
    assert_eq!(&merge(base, ours, ours).lock, ours);
    assert_eq!(&merge(base, ours, base).lock, ours);
    assert_eq!(&merge(base, base, theirs).lock, theirs);
}
