//! A declarative runner for reproducible experiments: the crate's map.
//!
//! Arrows go one way: `cli -> runner -> {graph, store, exec, claims -> tables} -> {spec, digest} -> base`;
//! siblings do not import each other. Nothing here knows what a stage computes.

// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod base;
pub mod claims;
pub mod cli;
pub mod digest;
pub mod exec;
pub mod export;
pub mod graph;
pub mod report;
pub mod runner;
pub mod spec;
pub mod store;
pub mod tables;
