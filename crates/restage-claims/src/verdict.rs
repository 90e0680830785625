//! Whether a claim is reproduced.

use std::fmt;
use std::sync::Arc;

use super::cells::{Below, Cells};
use super::expression::{Failure, Outcome, evaluate};
use super::interval::Estimate;
use restage_core::span::Location;
use restage_pipeline::{Claim, ClaimRule, Direction, Expression, PaperValue};

/// What became of a claim; a better verdict is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There are no results to judge by.
    NotMeasured,
    /// Our results contradict it.
    NotReproduced,
    /// Too far from the paper's value, but in the same direction.
    DirectionOnly,
    /// As the paper says, within the tolerance.
    Reproduced,
}

impl Verdict {
    /// From the best to the worst.
    pub const ALL: [Self; 4] = [
        Self::Reproduced,
        Self::DirectionOnly,
        Self::NotReproduced,
        Self::NotMeasured,
    ];

    /// As written in tables.
    pub fn text(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::DirectionOnly => "direction only",
            Self::NotReproduced => "not reproduced",
            Self::NotMeasured => "not measured",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// A claim's value here, and what became of the claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Our value, if there is one; with its interval if it comes from several runs.
    pub ours: Option<Estimate>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it is not measured.
    pub reason: Option<String>,
}

/// Judges one claim.
///
/// # Errors
/// One of its expressions is wrong in a way that shows only with the tables: its place, and what is
/// wrong.
pub fn judge(claim: &Claim, cells: &Arc<dyn Cells>) -> Result<Judged, (Location, String)> {
    let cells = &match claim.folder.as_str() {
        "" => Arc::clone(cells),
        folder => Arc::new(Below::new(folder, cells)) as Arc<dyn Cells>,
    };
    match measure(claim, cells) {
        Ok((ours, verdict)) => Ok(Judged {
            ours,
            verdict,
            reason: None,
        }),
        Err((_, Failure::NotMeasured(reason))) => Ok(Judged {
            ours: None,
            verdict: Verdict::NotMeasured,
            reason: Some(reason),
        }),
        Err((at, Failure::Wrong(message))) => Err((at, message)),
    }
}

type Measured = Result<(Option<Estimate>, Verdict), (Location, Failure)>;

fn measure(claim: &Claim, cells: &Arc<dyn Cells>) -> Measured {
    if let Some(needs) = &claim.needs
        && !condition(needs, cells)?
    {
        let reason = claim.otherwise.clone();
        let reason = reason.unwrap_or_else(|| format!("does not hold here: {}", needs.text));
        return Err((needs.location, Failure::NotMeasured(reason)));
    }
    let ours = match &claim.ours {
        Some(expression) => Some(estimate(expression, cells)?),
        None => None,
    };
    let reproduced = match (&claim.rule, &claim.paper, ours) {
        (ClaimRule::Holds(expression), ..) => condition(expression, cells)?,
        (ClaimRule::Absolute(allowed), Some(PaperValue::Number(paper)), Some(ours)) => {
            within(*paper, ours.value, *allowed)
        }
        (ClaimRule::Relative(share), Some(PaperValue::Number(paper)), Some(ours)) => {
            within(*paper, ours.value, share * paper.abs())
        }
        // Loading the pipeline refuses a tolerance without two numbers.
        _ => false,
    };
    let on_its_side = match (claim.direction, ours) {
        // The whole interval must be on the right side.
        (Some(Direction::Above(bound)), Some(ours)) => ours.least() > bound,
        (Some(Direction::Below(bound)), Some(ours)) => ours.greatest() < bound,
        _ => false,
    };
    let verdict = match (reproduced, on_its_side) {
        (true, _) => Verdict::Reproduced,
        (false, true) => Verdict::DirectionOnly,
        (false, false) => Verdict::NotReproduced,
    };
    Ok((ours, verdict))
}

/// Reading a decimal and computing with it each round by up to half a unit in the last place.
fn within(paper: f64, ours: f64, allowed: f64) -> bool {
    let slack = 4.0 * f64::EPSILON * paper.abs().max(ours.abs());
    (ours - paper).abs() <= allowed + slack
}

fn condition(expression: &Expression, cells: &Arc<dyn Cells>) -> Result<bool, (Location, Failure)> {
    match evaluate(&expression.text, cells) {
        Ok(Outcome::Bool(holds)) => Ok(holds),
        Ok(Outcome::Number(_) | Outcome::Samples(_)) => {
            Err(wrong(expression, "gives a number, not true or false"))
        }
        Err(failure) => Err((expression.location, failure)),
    }
}

fn estimate(
    expression: &Expression,
    cells: &Arc<dyn Cells>,
) -> Result<Estimate, (Location, Failure)> {
    match evaluate(&expression.text, cells) {
        Ok(Outcome::Number(number)) => Ok(Estimate::of_number(number)),
        Ok(Outcome::Samples(samples)) => Ok(Estimate::of(&samples)),
        Ok(Outcome::Bool(_)) => Err(wrong(expression, "gives true or false, not a number")),
        Err(failure) => Err((expression.location, failure)),
    }
}

fn wrong(expression: &Expression, message: &str) -> (Location, Failure) {
    (expression.location, Failure::Wrong(message.to_owned()))
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
