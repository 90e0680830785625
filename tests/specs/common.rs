//! Helpers shared by the tests of specs.

use std::fs;
use std::path::{Path, PathBuf};

use restage_pipeline::graph::Graph;
use restage_pipeline::render::render;
use restage_pipeline::{self as spec, Diagnostics, LoadOptions};

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/specs")
        .join(name)
}

/// A folder's files with this extension, sorted.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort();
    found
}

pub(crate) fn build(text: &str, options: &LoadOptions) -> Result<Graph, Diagnostics> {
    let options = LoadOptions {
        check_expression: restage_claims::check_expression,
        ..options.clone()
    };
    let pipeline = spec::load("pipeline.yaml", text, &options)?;
    let sources = pipeline.sources.clone();
    let wrong = |items| Diagnostics::new("pipeline.yaml", text, items).with(&sources);
    Graph::build(pipeline).map_err(wrong)
}

pub(crate) fn valid(name: &str) -> String {
    fs::read_to_string(folder("valid").join(name)).unwrap()
}

/// Every place is inside its text, on character boundaries, and can be shown.
pub(crate) fn check_places(diagnostics: &Diagnostics) {
    assert!(!diagnostics.items.is_empty());
    for item in &diagnostics.items {
        let (_, text) = diagnostics.file(item.location);
        assert!(
            item.location.fits(item.argument.as_deref().unwrap_or(text)),
            "{item:?}"
        );
        assert!(item.location.line >= 1, "{item:?}");
        for note in item.notes.iter().filter_map(|note| note.location) {
            assert!(note.fits(diagnostics.file(note).1), "{item:?}");
        }
    }
    assert!(render(diagnostics, true).len() > "error:".len());
}
