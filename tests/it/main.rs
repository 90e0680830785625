//! Behaviour of the whole: the binary, run in a folder of its own. One file a behaviour.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod audit;
mod ci_files;
mod claims;
mod comparing;
mod crash;
mod damages;
mod drawing;
mod edits;
mod failures;
mod faults;
mod freshness;
mod import;
mod limits;
mod maintenance;
mod merging;
mod page;
mod python;
mod ro_crate;
mod scheduling;
mod secrets;
mod seeds;
mod shared;
mod signals;
mod space;
mod standstill;
mod status;
mod tensorboard;
mod together;
mod tools;
mod trace;
mod verbs;
mod verify;
mod why;
