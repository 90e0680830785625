//! The binary's behaviour, in a temporary folder each. One file per behaviour.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod audit;
mod ci_files;
mod claims;
mod commands;
mod comparing;
mod crash;
mod damages;
mod drawing;
mod edits;
mod failures;
mod faults;
mod finding;
mod freshness;
mod healing;
mod import;
mod inputs;
mod isolation;
mod keeping;
mod limits;
mod looking;
mod maintenance;
mod meaning;
mod merging;
mod noop;
mod page;
mod parts;
mod placing;
mod programs;
mod python;
mod reused_inodes;
mod ro_crate;
mod scheduling;
mod secrets;
mod seeds;
mod shared;
mod signals;
mod space;
mod status;
mod tensorboard;
mod together;
mod tools;
mod trace;
mod verify;
mod why;
