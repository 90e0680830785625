//! What has been computed: objects by digest, records by key, and who works on which key.
//!
//! Below `.restage/`: `objects/` (read-only blobs), `records/` (one per finished key),
//! `claims/` (locks on keys), `scratch/` (kept across attempts of one key), `work/` (stages' work
//! folders), `logs/`, `quarantine/` (damaged objects), `tmp/` (being written or removed),
//! `history.jsonl`, `noop/`, `data/`, `stat-cache`. All of it may be deleted; stages then run again. What
//! other workspaces can use may lie in a folder that they share (docs/adr/0008).
//!
//! Files import each other by name, never this one, so that their order shows: a store is made of
//! parts, and only commits, gc and fsck see all of it.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod batches;
mod commit;
pub mod data_lists;
mod environments;
mod error;
mod freeing;
pub mod fsck;
pub mod gc;
mod history;
mod key_lock;
mod lease;
mod listing;
mod location;
pub mod lockfile;
mod locks;
pub mod noop;
mod objects;
mod permissions;
mod record;
mod records;
mod registry;
mod scratch;
mod sealed;
mod store;
mod store_lock;
#[cfg(test)]
mod tests;
mod token;
mod trash;
mod unflushed;
mod workdirs;

pub use batches::{About, Batch, BatchResult, BatchTask, Batches, Reports};
pub use commit::CommitOutcome;
pub use environments::{EnvironmentNote, EnvironmentPlace, Environments};
pub use error::{StoreError, object_gone};
pub use freeing::Uses;
pub use history::LastRun;
pub use key_lock::{KeyLock, Waiting};
pub use lease::{Lease, Seen, Terms, Watch};
pub use location::Location;
pub use locks::Locks;
pub use objects::{Arrival, Look, Objects, Placement, SharedFile};
pub use record::{Adoption, KeptApart, Record, RecordedOut};
pub use records::Records;
pub use registry::{Member, Presence, members};
pub use store::Store;
pub use token::Token;
pub use unflushed::Unflushed;
pub use workdirs::{LogPaths, Workdirs};
