//! Which names stages, claims and profiles can have.

use super::diagnostic::Diagnostic;
use super::node::{is_name, printable};
use restage_core::span::Location;

/// Reports a name that cannot be that of a stage, claim or profile: it must stand on the command line and
/// in paths.
pub(crate) fn check(what: &str, name: &str, at: Location, report: &mut Vec<Diagnostic>) {
    if !is_name(name) || name.starts_with(['.', '-']) {
        report.push(bad_name(what, name, at));
    }
}

/// A name that could not be told apart on the command line, or in a path.
fn bad_name(what: &str, name: &str, at: Location) -> Diagnostic {
    let message = format!("`{}` cannot be the name of a {what}", printable(name));
    let (label, hint) = if name.contains('@') {
        (
            "has an `@`",
            "`@` stands before an instance's key, as in `train@resnet18`; choose a name without it",
        )
    } else {
        (
            "not a name",
            "names are made of letters, digits, `_`, `.` and `-`, and begin with a letter, digit or `_`",
        )
    };
    Diagnostic::new(at, message, label).hint(hint)
}
