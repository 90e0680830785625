//! Content digests, the framing rule and the stage key.

mod hash;

pub use hash::{Digest, ParseDigestError};
