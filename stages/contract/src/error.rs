//! The error a stage ends with: what failed, why, and a hint at what to do.
//! It knows nothing of where the error is shown; `run` prints it.

use std::error::Error;
use std::fmt;

/// A failed stage: any error, with an optional hint and the exit code it leads to.
///
/// Like `anyhow::Error` it is not itself an [`Error`], so that `?` can turn every error
/// type into it.
pub struct StageError {
    source: Box<dyn Error + Send + Sync + 'static>,
    hint: Option<String>,
    usage: bool,
}

/// A sentence that is an error by itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Message(String);

impl StageError {
    /// A failure that has no error type of its own.
    pub fn message(text: impl Into<String>) -> Self {
        Self::from(Message(text.into()))
    }

    /// Wrong arguments, parameters or environment: the stage exits with 2, not 1.
    pub fn usage(error: impl Error + Send + Sync + 'static) -> Self {
        Self {
            source: Box::new(error),
            hint: None,
            usage: true,
        }
    }

    /// Like [`StageError::usage`], for a problem that has no error type of its own.
    pub fn usage_message(text: impl Into<String>) -> Self {
        Self::usage(Message(text.into()))
    }

    /// Adds what the reader can do about it; a later hint replaces an earlier one.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The hint, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// 2 for wrong arguments, parameters or environment, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.usage { 2 } else { 1 }
    }

    /// The whole message as it is printed: `error:`, each cause, `hint:`, a line each.
    ///
    /// A cause that the line above it already ends with is left out.
    #[must_use]
    pub fn report(&self) -> String {
        let mut above = self.source.to_string();
        let mut report = format!("error: {above}\n");
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !above.ends_with(&text) {
                report.push_str(&format!("  caused by: {text}\n"));
            }
            above = text;
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            report.push_str(&format!("hint: {hint}\n"));
        }
        report
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for StageError {
    fn from(error: E) -> Self {
        Self {
            source: Box::new(error),
            hint: None,
            usage: false,
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(formatter)
    }
}

impl fmt::Debug for StageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.report())
    }
}

/// Adds a hint to the error of a `Result`, whatever its type.
pub trait WithHint<T> {
    /// Turns the error into a [`StageError`] with this hint.
    ///
    /// # Errors
    /// The error that was already there.
    fn with_hint(self, hint: impl Into<String>) -> Result<T, StageError>;
}

impl<T, E: Into<StageError>> WithHint<T> for Result<T, E> {
    fn with_hint(self, hint: impl Into<String>) -> Result<T, StageError> {
        self.map_err(|error| error.into().with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] std::io::Error);

    #[test]
    fn a_report_shows_the_error_its_causes_and_the_hint() {
        let result: Result<(), Door> = Err(Door(std::io::Error::other("it is locked")));
        let error = result.with_hint("find the key").unwrap_err();
        insta::assert_snapshot!(error.report(), @"
        error: cannot open the door
          caused by: it is locked
        hint: find the key
        ");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_cause_that_its_parent_already_names_is_shown_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = StageError::from(Outer(std::io::Error::other("inner")));
        assert_eq!(error.report(), "error: outer: inner\n");
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        assert_eq!(StageError::usage_message("no such mode").exit_code(), 2);
        assert_eq!(StageError::message("it broke").exit_code(), 1);
    }
}
