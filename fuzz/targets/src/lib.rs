//! What each fuzz target does with arbitrary bytes, from libFuzzer or from a test that replays
//! known ones: it panics if something is wrong.

// In a test build, the stage's file would look for its tests here.
#[cfg(not(test))]
mod archive;
#[cfg(not(test))]
#[path = "../../../stages/download/src/meter.rs"]
mod meter;

use restage_claims::check_expression;
use std::collections::BTreeMap;

use restage_core::digest::Digest;
use restage_environments::{
    EnvironmentError, UvLock, UvWanted, conda_packages, flake_inputs, pixi_packages, renv_packages,
    requirements,
};
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
    ("packages", packages),
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

/// A lock file of packages, whichever manager wrote it: packages, or an error that says which file it is
/// about. What conda gets to install is what the key has.
pub fn packages(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let told = |error: EnvironmentError| {
        assert!(error.to_string().contains("`file`"), "{error}");
        assert!(error.hint().is_some(), "{error}");
    };
    let variables = [("sys_platform", "linux"), ("python_full_version", "3.11.7")];
    let variables: BTreeMap<String, String> = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let uv = UvLock::parse("file", text).and_then(|lock| {
        let all = lock.resolve(&UvWanted::default(), &variables, &|_| Ok(None))?;
        let wanted = UvWanted {
            only_groups: true,
            ..UvWanted::default()
        };
        let none = lock.resolve(&wanted, &variables, &|_| Ok(None))?;
        assert!(none.packages.is_empty());
        Ok(all)
    });
    uv.map_or_else(told, drop);
    requirements("file", text, &variables).map_or_else(told, drop);
    renv_packages("file", text).map_or_else(told, drop);
    flake_inputs("file", text).map_or_else(told, drop);
    pixi_packages("file", text, "default", "linux-64").map_or_else(told, drop);
    match conda_packages("file", text, "linux-64") {
        Ok(packages) => {
            let again = conda_packages("file", &packages.list, "linux-64");
            let again = again.expect("a list that was written");
            assert!(
                again
                    .resolved
                    .packages
                    .keys()
                    .eq(packages.resolved.packages.keys())
            );
            assert_eq!(again.list, packages.list);
        }
        Err(error) => told(error),
    }
}
