//! What the patterns of claims, the page, exports and `compare` passed over.

use crate::format::count;
use crate::output::Output;
use restage_engine::Patterns;

/// Names what was passed over: with it, numbers would be others.
pub(crate) fn warn(patterns: &Patterns, out: &mut Output) {
    let passed_over = patterns.passed_over();
    let Some(((path, passed), more)) = passed_over.split_first() else {
        return;
    };
    let more = match more.len() {
        0 => String::new(),
        n => format!(" and {}", count(n, "other file")),
    };
    let stage = &passed.stage;
    let (why, what_to_do) = match passed.elsewhere {
        true => (
            "another profile or pipeline file wrote it",
            "a path without `*` reads it; an edited file counts",
        ),
        false => (
            "no stage declares what a run wrote there any more",
            "`restage clean -n` lists all of it, `restage clean` removes it; an edited file counts",
        ),
    };
    out.warning(&format!("passed over `{path}` of {stage}{more}: {why}"));
    out.hint(what_to_do);
}
