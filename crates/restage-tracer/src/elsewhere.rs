//! Systems that cannot trace.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use crate::{Trace, TraceError};

/// Always an error.
pub fn enter(_: &mut Command) -> Option<io::Error> {
    Some(io::Error::new(
        io::ErrorKind::Unsupported,
        TraceError::System,
    ))
}

/// Becomes the program. Returns why it did not.
pub fn exec_when_free(command: &mut Command) -> io::Error {
    command.exec()
}

/// Always an error.
pub fn watch(
    _: UnixStream,
    _: &dyn Fn(&Path) -> bool,
    _: &AtomicBool,
) -> Result<Trace, TraceError> {
    Err(TraceError::System)
}
