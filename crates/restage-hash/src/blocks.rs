//! Hashes input that comes block by block.

use blake3::hazmat::{self, ChainingValue, Mode};

use super::{chaining_value, hash};

/// Bytes of a block: more than one call hashes at once, and less than a core's second-level cache holds.
pub const BLOCK: usize = 256 << 10;
const HALF: usize = BLOCK / 2;

/// Input of any length: whole blocks, then the rest.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    /// Subtrees from the start on. Only the last two may be equally long.
    subtrees: Vec<ChainingValue>,
    halves: u64,
}

impl Blocks {
    /// Adds a block.
    pub fn add(&mut self, block: &[u8; BLOCK]) {
        for half in block.as_chunks::<HALF>().0 {
            self.push(half);
            self.halves += 1;
        }
    }

    /// The hash of all blocks and the `rest` after them.
    pub fn finish(mut self, rest: &[u8]) -> [u8; 32] {
        let (blocks, rest) = rest.as_chunks();
        for block in blocks {
            self.add(block);
        }
        if !rest.is_empty() && self.halves > 0 {
            self.push(rest);
        }
        let [first, between @ .., last] = &self.subtrees[..] else {
            return hash(rest);
        };
        let others = between.iter().rfold(*last, |right, left| {
            hazmat::merge_subtrees_non_root(left, &right, Mode::Hash)
        });
        *hazmat::merge_subtrees_root(first, &others, Mode::Hash).as_bytes()
    }

    fn push(&mut self, bytes: &[u8]) {
        // Not as soon as the right one is there: without more input they are the root's children.
        while self.subtrees.len() > self.halves.count_ones() as usize
            && let Some(right) = self.subtrees.pop()
            && let Some(left) = self.subtrees.pop()
        {
            let both = hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash);
            self.subtrees.push(both);
        }
        let value = chaining_value(bytes, self.halves * HALF as u64);
        self.subtrees.push(value);
    }
}
