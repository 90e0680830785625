//! The engine on a GPU that is none: every kernel runs on the CPU, and the native engine says what
//! must come out. It must not know kernels' insides.
//!
//! Skipped, with a word, where there was no C++ compiler to build the kernels for the CPU.

#[expect(dead_code, reason = "nn's own tests need more of it")]
#[path = "../../../nn/tests/it/common.rs"]
mod common;
mod driver;
mod epochs;
mod misuse;
mod passes;
mod pretended;
