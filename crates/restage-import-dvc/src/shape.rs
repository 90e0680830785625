//! Whether a `dvc.yaml` has the shape of one: what is wrong in it, and where.

use restage_pipeline::diagnostic::Diagnostic;
use restage_pipeline::fields::{expected, expected_of};
use restage_pipeline::node::{Entry, Node, Value, printable};

type Report = Vec<Diagnostic>;

/// One stage: its name, what it is expanded over, and its fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct DvcStage<'a> {
    pub(super) entry: &'a Entry,
    pub(super) foreach: Option<&'a Entry>,
    pub(super) matrix: Option<&'a Entry>,
    pub(super) body: &'a Node,
}

/// The stages, if all have the shape of one.
pub(super) fn stages<'a>(root: &'a Node, report: &mut Report) -> Vec<DvcStage<'a>> {
    if !matches!(root.value, Value::Map(_)) {
        let label = format!("this is {}", root.kind());
        let message = "the file is not a `dvc.yaml`: it must be a map with `stages`";
        report.push(Diagnostic::new(root.location, message, label));
        return Vec::new();
    }
    let Some(stages) = root.entry("stages") else {
        let first = root.entries().first();
        let at = first.map_or(root.location, |entry| entry.key_location);
        report.push(
            Diagnostic::new(at, "the file has no `stages`", "expected `stages` beside this").hint(
                "only pipelines can be imported; a file that `dvc add` tracks is a dep like any other",
            ),
        );
        return Vec::new();
    };
    let none = [Value::Map(Vec::new()), Value::Null];
    if none.contains(&stages.value.value) {
        let message = "`stages` of the file has no stage";
        report.push(Diagnostic::new(
            stages.key_location,
            message,
            "nothing to import",
        ));
    } else if stages.value.entries().is_empty() {
        report.push(expected(
            &stages.value,
            "stages",
            "the file",
            "a map of stages",
        ));
    }
    let entries = stages.value.entries().iter();
    entries.filter_map(|entry| stage(entry, report)).collect()
}

fn stage<'a>(entry: &'a Entry, report: &mut Report) -> Option<DvcStage<'a>> {
    let owner = format!("stage `{}`", printable(&entry.key));
    let fields = &entry.value;
    let foreach = fields.entry("foreach");
    let body = match (foreach, fields.entry("do")) {
        (Some(_), Some(body)) => &body.value,
        (Some(foreach), None) => {
            let message = format!("{owner} has `foreach` without `do`");
            let label = "nothing is done for each";
            report.push(Diagnostic::new(foreach.key_location, message, label));
            return None;
        }
        (None, _) => fields,
    };
    if !matches!(body.value, Value::Map(_)) {
        report.push(expected_of(body, "the value", &owner, "a map of fields"));
        return None;
    }
    let before = report.len();
    match body.entry("cmd").map(|entry| &entry.value) {
        None => report.push(Diagnostic::new(
            entry.key_location,
            format!("{owner} has no `cmd`"),
            "nothing to run",
        )),
        Some(node) => match &node.value {
            Value::Text(_) => {}
            Value::List(items) if !items.is_empty() && items.iter().all(is_text) => {}
            _ => report.push(expected(node, "cmd", &owner, "text, or a list of texts")),
        },
    }
    for name in ["deps", "outs", "metrics", "plots", "params", "vars"] {
        list(body, name, &owner, report);
    }
    for name in ["wdir", "desc"] {
        let node = body.get(name).filter(|node| node.scalar_text().is_none());
        report.extend(node.map(|node| expected(node, name, &owner, "text")));
    }
    let matrix = body.entry("matrix");
    if let Some(matrix) = matrix.filter(|matrix| matrix.value.entries().is_empty()) {
        report.push(expected(&matrix.value, "matrix", &owner, "a map of lists"));
    }
    (report.len() == before).then_some(DvcStage {
        entry,
        foreach,
        matrix,
        body,
    })
}

/// A list field's items; none if it is absent or empty.
pub(super) fn items<'n>(body: &'n Node, name: &str) -> &'n [Node] {
    match body.get(name).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// A path with its options: `a.csv`, or `a.csv: {cache: false}`.
pub(super) fn described(item: &Node) -> Vec<(String, Option<&Node>)> {
    match item.scalar_text() {
        Some(path) => vec![(path, None)],
        None => {
            let entries = item.entries().iter();
            entries
                .map(|entry| (entry.key.clone(), Some(&entry.value)))
                .collect()
        }
    }
}

/// A list of texts, some of which may be maps.
fn list(body: &Node, name: &str, owner: &str, report: &mut Report) {
    let Some(node) = body.get(name) else { return };
    let maps = name != "deps";
    match &node.value {
        Value::Null => {}
        Value::List(items) => {
            for item in items {
                let fits = is_text(item) || (maps && matches!(item.value, Value::Map(_)));
                if !fits {
                    let subject = format!("an item of `{name}`");
                    let what = if maps { "text or a map" } else { "text" };
                    report.push(expected_of(item, &subject, owner, what));
                }
            }
        }
        _ => report.push(expected(node, name, owner, "a list")),
    }
}

fn is_text(node: &Node) -> bool {
    matches!(
        node.value,
        Value::Text(_) | Value::Number(_) | Value::Bool(_)
    )
}
