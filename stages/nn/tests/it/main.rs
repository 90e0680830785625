//! The crate's behaviour through its public interface, in one binary.
//! It must not know kernels; those are tested beside their code.

mod bits;
mod common;
mod digest;
mod emulated;
mod exactness;
mod gradients;
mod misuse;
mod pinned;
mod state;
mod training;
