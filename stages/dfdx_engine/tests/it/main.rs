//! The engine against the native one and against itself, in one binary.
//! It must not know how either computes.

mod agreement;
mod common;
mod misuse;
mod state;
mod training;
