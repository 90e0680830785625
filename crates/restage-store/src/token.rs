//! Names that are given once, on whatever machine: of batches, of workers, of who holds a lease.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use restage_core::digest::Digest;
use restage_core::whereabouts::Whereabouts;

/// A name that no other process gives, and this one once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

/// In hexadecimal digits.
const LENGTH: usize = 16;

impl Token {
    /// A new one: machine, boot, namespace, process, time and a count tell it from all others.
    #[expect(
        clippy::disallowed_methods,
        reason = "it must differ from call to call, and says nothing of when"
    )]
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = (Whereabouts::here(), std::process::id(), now.ok(), count);
        let mut text = Digest::of(format!("{at:?}").as_bytes()).to_string();
        text.truncate(LENGTH);
        Self(text)
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
