//! Systems that cannot trace.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::{Trace, TraceError};

/// Always an error.
pub fn enter(_: &[OsString]) -> Option<io::Error> {
    Some(io::Error::new(
        io::ErrorKind::Unsupported,
        TraceError::System,
    ))
}

/// Always an error.
pub fn watch(
    _: UnixStream,
    _: &dyn Fn(&Path) -> bool,
    _: &AtomicBool,
) -> Result<Trace, TraceError> {
    Err(TraceError::System)
}
