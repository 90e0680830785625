//! Work that recurses as deep as its input says.
//! It must not know what is done.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Bytes of address space; what isn't used takes no memory.
const DEEP: usize = 128 << 20;

/// Does something on a thread with a deep stack, and waits for it.
///
/// # Errors
/// There is no such thread to be had.
pub fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().stack_size(DEEP).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
