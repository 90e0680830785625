//! What the patterns of claims, the page, exports and `compare` passed over.

use crate::format::count;
use crate::output::Output;
use restage_engine::Patterns;

/// Names what was passed over: with it, numbers would be others.
pub(crate) fn warn(patterns: &Patterns, out: &mut Output) {
    let left_over = patterns.left_over();
    let Some(((path, stage), more)) = left_over.split_first() else {
        return;
    };
    let more = match more.len() {
        0 => String::new(),
        n => format!(" and {}", count(n, "other file")),
    };
    out.warning(&format!(
        "passed over `{path}` of {stage}{more}: no stage declares what a run wrote there any more"
    ));
    out.hint(
        "`restage clean -n` lists all of it, `restage clean` removes it; an edited file counts",
    );
}
