//! Behaviour of training as a whole, by file.
//! It knows the crate's public face alone.

mod resuming;
mod stage;
mod toy;
mod training;
