//! The paper's claims with their verdicts.

use std::sync::Arc;

use crate::error::CliError;
use crate::session::Loaded;
use restage_claims::{Cells, Files, Judged, Verdict, judge};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;
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

/// A claim that the tables can't answer, whatever is run.
pub(crate) struct Mistake<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) location: Location,
    pub(crate) message: String,
}

/// What became of some claims.
pub(crate) struct Judgement<'a> {
    pub(crate) claims: Vec<JudgedClaim<'a>>,
    pub(crate) mistakes: Vec<Mistake<'a>>,
    /// The tables that were read.
    pub(crate) used: Vec<RelPath>,
}

impl Judgement<'_> {
    /// All mistakes, at their places in the pipeline's file, if there is one.
    pub(crate) fn error(&self, loaded: &Loaded) -> Option<CliError> {
        let diagnostic = |mistake: &Mistake<'_>| {
            let message = format!("claim `{}`: {}", mistake.claim.id, mistake.message);
            Diagnostic::new(mistake.location, message, "evaluated on the tables")
        };
        let mistakes: Vec<Diagnostic> = self.mistakes.iter().map(diagnostic).collect();
        (!mistakes.is_empty()).then(|| loaded.invalid(mistakes))
    }
}

/// Judges claims by the tables as they are now; committed verdicts are not looked up.
pub(crate) fn judge_all<'a>(
    loaded: &Loaded,
    patterns: &Arc<Patterns>,
    claims: &[&'a Claim],
) -> Judgement<'a> {
    let patterns = Arc::clone(patterns);
    let matching = move |pattern: &Glob| {
        patterns
            .matching(pattern)
            .map_err(|error| error.to_string())
    };
    let files = Files::below(
        &loaded.root,
        loaded.graph.stages(),
        &loaded.pipeline().tables,
        Box::new(matching),
    );
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
            Err((location, message)) => mistakes.push(Mistake {
                claim,
                location,
                message,
            }),
        }
    }
    Judgement {
        claims: judged_claims,
        mistakes,
        used: files.used(),
    }
}
