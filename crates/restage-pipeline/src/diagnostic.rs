//! What is wrong with a pipeline file, where, and what to do about it.

use std::fmt;

use super::sources::Source;
use restage_core::span::Location;

/// Everything wrong with a file and those that it names, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// As the user knows it: `pipeline.yaml`.
    pub file_name: String,
    /// The file's text, which locations point into.
    pub text: String,
    /// The files that it names: file 1 of locations, file 2, ..
    pub others: Vec<Source>,
    /// At least one.
    pub items: Vec<Diagnostic>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// Said under the marked text. Empty: no text is shown, the notes say where.
    pub label: String,
    /// The marked text.
    pub location: Location,
    /// Further places or facts, one a line.
    pub notes: Vec<Note>,
    /// What to do.
    pub hint: Option<String>,
    /// What the location points into, if not the file: `-S train.epochs=five`.
    pub argument: Option<String>,
}

/// A further line of a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line.
    pub text: String,
    /// The place in the file that it speaks of.
    pub location: Option<Location>,
}

impl Diagnostics {
    /// Sorts by place and drops repetitions (instances of one stage share their mistakes).
    pub fn new(file_name: &str, text: &str, mut items: Vec<Diagnostic>) -> Self {
        // Arguments come last, in the order in which they were given.
        items.sort_by(|a, b| match (&a.argument, &b.argument) {
            (None, None) => (a.location, &a.message).cmp(&(b.location, &b.message)),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        items.dedup_by(|a, b| {
            (a.location, &a.message, &a.argument) == (b.location, &b.message, &b.argument)
        });
        Self {
            file_name: file_name.to_owned(),
            text: text.to_owned(),
            others: Vec::new(),
            items,
        }
    }

    /// With the files that it names.
    #[must_use]
    pub fn with(mut self, others: &[Source]) -> Self {
        self.others = others.to_vec();
        self
    }

    /// Name and text of the file that a location is in.
    pub fn file(&self, at: Location) -> (&str, &str) {
        match Source::at(&self.others, at) {
            Some(other) => (&other.name, &other.text),
            None => (&self.file_name, &self.text),
        }
    }
}

impl Diagnostic {
    /// A mistake at a place; the label is said under it.
    pub fn new(location: Location, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            label: label.into(),
            location,
            notes: Vec::new(),
            hint: None,
            argument: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With advice, if there is any.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// With a further line that speaks of a place in the file.
    #[must_use]
    pub(crate) fn note_at(mut self, text: impl Into<String>, location: Location) -> Self {
        self.notes.push(Note {
            text: text.into(),
            location: Some(location),
        });
        self
    }

    /// With a further line.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note {
            text: text.into(),
            location: None,
        });
        self
    }

    /// Pointing into an argument instead of the file.
    #[must_use]
    pub(crate) fn in_argument(mut self, text: &str) -> Self {
        self.argument = Some(text.to_owned());
        self
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.items.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            match &item.argument {
                Some(argument) => write!(f, "{argument}: {}", item.message)?,
                None => write!(
                    f,
                    "{}:{}: {}",
                    self.file(item.location).0,
                    item.location.line,
                    item.message
                )?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
