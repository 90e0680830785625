//! Colours of the terminal's palette.

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether to paint.
    pub colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The word `error:`.
    pub fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// The word `warning:`.
    pub fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// The word `hint:`.
    pub fn hint(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is running or waiting.
    pub fn busy(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What matters most.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}
