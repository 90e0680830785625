//! The `train` stage: trains one variant and keeps its best weights. The crate's map.
//! It must not know which network it trains, nor what later stages make of its tables.
//!
//! [`stage`] goes from parameters to outs; [`mod@fit`] is the training loop, which [`plateau`]
//! and [`stopping`] steer and [`scratch`] lets resume; [`scores`], [`latency`] and
//! [`history`] are what it finds, and [`outputs`] writes them.

pub mod augment;
mod batches;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod error;
pub mod evaluate;
pub mod fingerprint;
pub mod finite;
pub mod fit;
pub mod history;
pub mod latency;
mod memory;
pub mod outputs;
mod pace;
pub mod plateau;
pub mod progress;
pub mod scores;
pub mod scratch;
pub mod stage;
pub mod stopping;
