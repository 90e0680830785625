//! Results behind an address: a remote holds objects and records, as a store does, and is never needed
//! (docs/adr/0034). It knows nothing of pipelines.
//!
//! `v1/objects/ab/cdef..` has what its blake3 names, `v1/records/ab/KEY.SIGNER` is a record as its signer wrote
//! it. Neither name ever changes its meaning, so nobody waits for anybody, and no listing is needed. What
//! a server answers is data from outside: bytes count once their digest is the one that was asked for,
//! and records once somebody who is trusted has signed them.
//!
//! Requests block, and threads make many at once (docs/adr/0035).

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod aws;
mod config;
mod each;
mod error;
mod file;
mod http;
mod layout;
mod open;
mod pull;
mod push;
mod remote;
mod s3;
mod sign;
#[cfg(test)]
mod tests;
mod transport;
mod uploads;
mod web;

pub use config::{CONFIG_FILE, ConfigError, RemoteConfig, Remotes, When};
pub use error::RemoteError;
pub use open::{Surroundings, open};
pub use pull::{Found, Pull, Pulled, Wanted};
pub use push::{Push, Pushed};
pub use remote::{Patience, Remote, bytes_moved};
pub use sign::{KeyError, PublicKey, Signer, Trusted};
