//! `schema`, the version of the file's format.

use super::diagnostic::Diagnostic;
use super::node::{Node, Value};

/// The version that is read.
pub const SCHEMA: u64 = 1;

/// A file of another schema is not looked at further: its fields may mean other things.
pub(crate) fn fits(root: &Node, report: &mut Vec<Diagnostic>) -> bool {
    let Some(node) = root.get("schema") else {
        return true;
    };
    let found = match &node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    if found == Some(SCHEMA) {
        return true;
    }
    let hint = match found {
        Some(found) if found > SCHEMA => "install a newer restage for this file",
        _ => "write `schema: 1`",
    };
    let written = node
        .scalar_text()
        .map_or(node.kind().to_owned(), |text| format!("`{text}`"));
    let message = format!("the pipeline's schema is {written}, and this restage reads {SCHEMA}");
    report.push(Diagnostic::new(node.location, message, format!("expected {SCHEMA}")).hint(hint));
    false
}
