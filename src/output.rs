//! Stdout for data, stderr for the rest; the only writer of both.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::error::CliError;
use crate::style::Style;
use crate::terminal_text;
use restage_core::fs;

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// For stderr.
    style: Style,
}

impl Output {
    pub(crate) fn new(style: Style) -> Self {
        Self { style }
    }

    /// Writes data to stdout. A reader that closes early (`| head`) is not an error.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        unless_closed(written.and_then(|()| stdout.flush()))
    }

    /// Copies a log of any size to stdout: byte by byte, but to a terminal only what is safe there.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(), CliError> {
        let mut file = fs::open_own(path)?;
        let mut stdout = io::stdout().lock();
        let copied = match stdout.is_terminal() {
            true => terminal_text::copy(&mut file, &mut stdout),
            false => io::copy(&mut file, &mut stdout).map(drop),
        };
        unless_closed(copied.and_then(|()| stdout.flush()))
    }

    /// Writes to stderr; a failure to write is ignored.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// A line that starts with `warning:`.
    pub(crate) fn warning(&mut self, text: &str) {
        self.note(&format!("{} {text}\n", self.style.warning("warning:")));
    }

    /// A line that starts with `hint:`.
    pub(crate) fn hint(&mut self, text: &str) {
        self.note(&format!("{} {text}\n", self.style.hint("hint:")));
    }

    /// An error, its causes and its hint.
    pub(crate) fn error(&mut self, error: &CliError) {
        self.note(&error.render(self.style));
    }
}

fn unless_closed(written: io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::machine(error)),
        _ => Ok(()),
    }
}
