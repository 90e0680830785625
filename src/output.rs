//! Stdout for data, stderr for the rest; the only writer of both.
//! It must not know what it writes.

use std::io::{self, Write};

use super::error::CliError;
use super::exit::Exit;

/// Where a verb writes.
#[derive(Debug, Default)]
pub(crate) struct Output;

impl Output {
    /// Writes data to stdout. A reader that has seen enough (`| head`) is no error.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::new(error, Exit::Machine))
            }
            _ => Ok(()),
        }
    }

    /// Writes a remark to stderr; there is nobody to tell if that fails.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
