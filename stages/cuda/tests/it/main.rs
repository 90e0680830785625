//! The engine and its operations on each device: the native engine and the reference say what must
//! come out. It must not know kernels' insides.
//!
//! On the CPU the kernels run in the shim: skipped, with a word, where there was no C++ compiler to
//! build it. On a GPU: skipped, with a word, where there is none.

#[expect(dead_code, reason = "nn's own tests need more of it")]
#[path = "../../../nn/tests/it/common.rs"]
mod common;
#[expect(dead_code, reason = "the kernels' own tests need more of it")]
#[path = "../../../cuda_shim/tests/it/compare.rs"]
mod compare;
mod device;
mod driver;
mod epochs;
mod misuse;
mod operations;
mod passes;
mod pretended;
