//! BLAKE3 over many bytes. The `blake3` crate has AVX-512 only as assembly, and restage builds without
//! a C compiler; so sixteen chunks at a time are hashed here, and all the rest there.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod window;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[path = "no_window.rs"]
mod window;

pub use blocks::{BLOCK, Blocks};
pub use window::Window;

/// Subtrees from this size on, of a power of two, are hashed here.
const LEAST: usize = 16 * blake3::CHUNK_LEN;

/// The hash of `bytes`.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    if bytes.len() <= LEAST {
        return *blake3::hash(bytes).as_bytes();
    }
    let (left, right) = halves(bytes, 0);
    *hazmat::merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
}

/// The chaining value of a subtree that is not the root: of the `bytes` from `offset` on, a multiple of
/// [`blake3::CHUNK_LEN`], in longer input.
pub fn chaining_value(bytes: &[u8], offset: u64) -> ChainingValue {
    if bytes.len() < LEAST || !offset.is_multiple_of(LEAST as u64) {
        return elsewhere(bytes, offset);
    }
    if !bytes.len().is_power_of_two() {
        let (left, right) = halves(bytes, offset);
        return hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash);
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::is_there() {
        // SAFETY: it is there, and these are bytes.
        return unsafe { avx512::chaining_value(bytes.as_ptr(), bytes.len(), offset) };
    }
    elsewhere(bytes, offset)
}

fn halves(bytes: &[u8], offset: u64) -> (ChainingValue, ChainingValue) {
    let first = hazmat::left_subtree_len(bytes.len() as u64);
    let (left, right) = bytes.split_at(first as usize);
    (
        chaining_value(left, offset),
        chaining_value(right, offset + first),
    )
}

fn elsewhere(bytes: &[u8], offset: u64) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset).update(bytes);
    hasher.finalize_non_root()
}

#[cfg(test)]
mod tests;
