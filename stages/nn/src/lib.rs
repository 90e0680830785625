//! Networks and their training steps: the crate's map.

pub mod engine;
