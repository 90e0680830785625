//! Content digests, the framing rule and the stage key. Files import each other by name, never
//! this one, so that their order shows.

mod diff;
mod environment;
mod file;
mod frame;
mod hash;
mod json;
mod key;
#[cfg(test)]
mod key_tests;
mod large;
mod listing;
mod manifest;
mod part;
mod path;
mod progress;
mod stamp;
mod stat_cache;
mod stat_snapshot;
mod witness;

pub use diff::{Change, diff};
pub use environment::{KeyEnvironment, KeyPackage};
pub use file::digest_found;
pub use file::{Tree, is_executable, tree};
pub use file::{copy_and_digest, copy_to_new_and_digest, digest_file, digest_tree};
pub use frame::Frame;
pub use hash::{Digest, ParseDigestError};
pub use json::distinct_text;
pub use key::{DepContent, KeyAction, KeyDep, KeyGlob, KeyOut, StageKey};
pub use listing::{Entry, Listing, Skip, What, check_link, list, nothing};
pub use manifest::{Manifest, ManifestEntry, ManifestError, Node};
pub use part::Part;
pub use path::{Kind, PathDigest};
pub use progress::bytes_digested;
pub use stamp::Touch;
pub use stat_cache::{Found, StatCache};
pub use stat_snapshot::StatSnapshot;
pub use witness::Witness;
