//! The expressions of claims, as far as the pipeline's file goes: their text and its place.
//! What they compute is checked by the function that `LoadOptions` brings, so that reading a
//! pipeline needs no evaluator and still reports every mistake at once.

use restage_core::span::Location;

/// An expression, templates filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Its text.
    pub text: String,
    /// Where it is in the file.
    pub location: Location,
}

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpressionType {
    /// A number, or samples of one.
    Number,
    /// True or false.
    Condition,
}

/// Why a text is not such an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// The line (from 1) and character (from 0) of the text where that is known.
    pub place: Option<(usize, usize)>,
    /// What to do.
    pub hint: String,
}

/// Finds the mistake in an expression, as far as it shows without tables.
pub type CheckExpression = fn(&str, ExpressionType) -> Result<(), ExpressionError>;
