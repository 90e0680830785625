//! The paper's claims with their verdicts.

use std::sync::Arc;

use crate::error::CliError;
use crate::session::Loaded;
use restage_claims::{Cells, Files, Judged, Verdict, judge};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_engine::Patterns;
use restage_pipeline::{Claim, Diagnostic};

/// A claim, its verdict, and the committed one.
pub(crate) struct JudgedClaim<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) judged: Judged,
    pub(crate) before: Option<Verdict>,
}

impl JudgedClaim<'_> {
    /// Whether it got worse than what is committed.
    pub(crate) fn is_worse(&self) -> bool {
        !self.claim.volatile
            && self
                .before
                .is_some_and(|before| self.judged.verdict < before)
    }

    /// Whether it got better than what is committed.
    pub(crate) fn is_better(&self) -> bool {
        !self.claim.volatile
            && self
                .before
                .is_some_and(|before| self.judged.verdict > before)
    }
}

/// Judges claims by the tables as they are now, and says which; committed verdicts are not looked up.
pub(crate) fn judge_all<'a>(
    loaded: &Loaded,
    patterns: &Arc<Patterns>,
    claims: &[&'a Claim],
) -> Result<(Vec<JudgedClaim<'a>>, Vec<RelPath>), CliError> {
    let patterns = Arc::clone(patterns);
    let matching = move |pattern: &Glob| {
        patterns
            .matching(pattern)
            .map_err(|error| error.to_string())
    };
    let files = Files::below(&loaded.root, loaded.graph.stages(), Box::new(matching));
    let files = Arc::new(files);
    let cells: Arc<dyn Cells> = Arc::clone(&files) as _;
    let (mut judged_claims, mut mistakes) = (Vec::new(), Vec::new());
    for claim in claims {
        match judge(claim, &cells) {
            Ok(judged) => judged_claims.push(JudgedClaim {
                claim,
                judged,
                before: None,
            }),
            Err((location, message)) => {
                let message = format!("claim `{}`: {message}", claim.id);
                mistakes.push(Diagnostic::new(
                    location,
                    message,
                    "evaluated on the tables",
                ));
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok((judged_claims, files.used())),
        false => Err(loaded.invalid(mistakes)),
    }
}
