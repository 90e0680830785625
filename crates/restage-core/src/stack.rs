//! Work that recurses as deep as its input nests.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Bytes of address space; unused pages take no memory.
const DEEP: usize = 128 << 20;

/// Runs something on a thread with a deep stack, and waits for it.
///
/// # Errors
/// The thread could not be started.
pub fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().stack_size(DEEP).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
