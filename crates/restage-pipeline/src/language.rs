//! The languages of texts that values are put into: plain text, `sh`, CEL, and unknown ones.

use super::{cel_text, shell};

/// Why a value can't be written where it should be.
pub(super) struct Refusal {
    /// Where that is.
    pub(super) label: &'static str,
    /// What to do.
    pub(super) hint: String,
}

/// How values are written in the language of the text that they are put into.
pub(super) trait Language {
    /// Text of the file, which is followed.
    fn literal(&mut self, text: &str);

    /// A value as it is written next. `written` is its reference, for hints; `is_text`: it is
    /// neither a number nor true, false or null.
    fn value(&mut self, written: &str, value: &str, is_text: bool) -> Result<String, Refusal>;
}

/// Text that means nothing but itself.
pub(super) struct Plain;

impl Language for Plain {
    fn literal(&mut self, _: &str) {}

    fn value(&mut self, _: &str, value: &str, _: bool) -> Result<String, Refusal> {
        Ok(value.to_owned())
    }
}

/// A language whose quoting is not known.
pub(super) struct Foreign;

impl Language for Foreign {
    fn literal(&mut self, _: &str) {}

    fn value(&mut self, written: &str, value: &str, _: bool) -> Result<String, Refusal> {
        shell::quote(value, shell::Place::Unsure).ok_or_else(|| Refusal {
            label: "in a language other than a shell's",
            hint: format!("pass it as a variable, `env: {{VALUE: \"{written}\"}}`, or by `params`"),
        })
    }
}

impl Language for shell::Scanner {
    fn literal(&mut self, text: &str) {
        self.text(text);
    }

    fn value(&mut self, written: &str, value: &str, _: bool) -> Result<String, Refusal> {
        let quoted = shell::quote(value, self.place());
        // Another error hides nothing that comes after this one.
        self.text(quoted.as_deref().unwrap_or("x"));
        quoted.ok_or_else(|| Refusal {
            label: "in a here-document, backticks, `$'..'`, `${..}`, arithmetic, a subscript, a comment, or \
                    where quotes are not followed",
            hint: format!(
                "pass it as a variable: `env: {{VALUE: \"{written}\"}}`, then \"$VALUE\" in `cmd`"
            ),
        })
    }
}

impl Language for cel_text::Scanner {
    fn literal(&mut self, text: &str) {
        Self::literal(self, text);
    }

    fn value(&mut self, _: &str, value: &str, is_text: bool) -> Result<String, Refusal> {
        Self::value(self, value, is_text).ok_or_else(|| Refusal {
            label: "in a raw string, a comment or after a backslash",
            hint: "put it into an ordinary string, `\"..\"` without `r`".to_owned(),
        })
    }
}
