//! Names of entities, and references to them.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use restage_core::clock::WallTime;

/// The run of the pipeline as a whole.
pub(super) const WORKFLOW_RUN: &str = "#run";
/// The run of restage itself.
pub(super) const ENGINE_RUN: &str = "#restage-run";
/// restage.
pub(super) const ENGINE: &str = "#restage";
/// The language of pipeline.yaml.
pub(super) const LANGUAGE: &str = "#restage-pipeline";

/// Characters to escape in the path of an address.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    // `a:b` would be read as an address with the scheme `a`.
    .add(b':');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A file in the crate: its path.
pub(super) fn file(path: &str) -> String {
    escaped(path)
}

/// A folder in the crate.
pub(super) fn folder(path: &str) -> String {
    format!("{}/", escaped(path))
}

/// A path whose bytes are not in the crate.
pub(super) fn elsewhere(path: &str) -> String {
    format!("#elsewhere/{}", escaped(path))
}

/// A stage instance's run.
pub(super) fn run(stage: &str) -> String {
    format!("#run/{}", escaped(stage))
}

/// A step's run.
pub(super) fn control(step: &str) -> String {
    format!("#control/{}", escaped(step))
}

/// A program.
pub(super) fn program(package: &str) -> String {
    format!("#program/{}", escaped(package))
}

/// A step's own command.
pub(super) fn command(step: &str) -> String {
    format!("#command/{}", escaped(step))
}

/// A machine.
pub(super) fn host(name: &str) -> String {
    format!("#host/{}", escaped(name))
}

/// Somebody who adopted results.
pub(super) fn adopter(name: &str) -> String {
    format!("#adopter/{}", escaped(name))
}

/// A step, or a parameter, which are parts of the pipeline file.
pub(super) fn part(pipeline: &str, kind: &str, name: &str) -> String {
    format!("{}#{kind}/{}", file(pipeline), escaped(name))
}

/// A value of a parameter or variable; `n` distinguishes values of the same name.
pub(super) fn value(kind: &str, name: &str, n: usize) -> String {
    match n {
        0 => format!("#{kind}/{}", escaped(name)),
        n => format!("#{kind}/{}/{}", escaped(name), n + 1),
    }
}

pub(super) fn reference(id: &str) -> Value {
    json!({"@id": id})
}

/// Each once, in the order given; a single one without a list around it.
pub(super) fn references<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Value {
    let mut seen = std::collections::BTreeSet::new();
    let ids = ids.into_iter();
    let mut all: Vec<Value> = ids
        .filter(|id| seen.insert(id.as_ref().to_owned()))
        .map(|id| reference(id.as_ref()))
        .collect();
    match all.len() {
        1 => all.remove(0),
        _ => Value::Array(all),
    }
}

/// RFC 3339 with a numeric offset, the form of ISO 8601 that every reader accepts.
pub(super) fn time(time: WallTime) -> Value {
    json!(time.to_string().replace('Z', "+00:00"))
}

/// A licence's id: its address, that of its SPDX identifier, or one of ours for a text.
pub(super) fn license(license: &str) -> String {
    match license {
        address if address.contains("://") => address.to_owned(),
        words if words.contains(char::is_whitespace) => "#license".to_owned(),
        spdx => format!("https://spdx.org/licenses/{spdx}"),
    }
}
