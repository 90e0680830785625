//! The engine against the native one and against itself, in one binary.
//! It must not know how either computes.

mod agreement;
mod common;
mod misuse;
#[expect(dead_code, reason = "nn's own tests need more of it")]
#[path = "../../../nn/tests/it/common.rs"]
mod nn_common;
mod state;
mod training;
