//! Digests a large file by all cores: blake3's tree, whose parts can be hashed in any order.
//!
//! What the page cache has of the file is mapped into memory, because copying it would cost half as much
//! as hashing it; the rest is read. A file that becomes shorter, or a disk that fails, is an error in
//! either case (docs/adr/0019).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use super::progress;
use blake3::hazmat::{self, ChainingValue, Mode};
use rayon::prelude::*;
use restage_hash::{BLOCK, Window};
use rustix::io::{ReadWriteFlags, preadv2};

/// The pieces of so many bytes are joined before others are read, so that they stay few.
const SPAN: u64 = 1 << 30;
/// Within so many bytes the page cache has all or is not asked again.
const WINDOW: u64 = 64 << 20;
/// A copy of fewer bytes costs less than mapping them.
const MAPPED_FROM: u64 = 4 << 20;
/// Most that is mapped at once. To unmap it stops all cores for a moment; the more it is, the longer one of
/// them waits at the end for another.
const MAPPED: u64 = 8 << 20;
/// Where the page cache has a byte in each so many, it has all.
const SAMPLE: usize = 1 << 20;

/// Digest of a file of `len` bytes, more than [`BLOCK`].
pub(super) fn digest_large(file: &File, len: u64) -> io::Result<[u8; 32]> {
    let (left, right) = halves(file, 0, len)?;
    // Where a mapped page ends behind the file, it has zeros.
    if file.metadata()?.len() < len {
        return Err(shorter());
    }
    Ok(*hazmat::merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
}

/// The two parts of the tree over the bytes from `offset` on, more than [`BLOCK`].
fn halves(file: &File, offset: u64, len: u64) -> io::Result<(ChainingValue, ChainingValue)> {
    let first = hazmat::left_subtree_len(len);
    if len > SPAN {
        let left = subtree(file, offset, first)?;
        return Ok((left, subtree(file, offset + first, len - first)?));
    }
    let pieces = pieces(file, offset, len)?;
    let (left, right) = split(&pieces, offset + first);
    Ok((joined(left, first), joined(right, len - first)))
}

fn subtree(file: &File, offset: u64, len: u64) -> io::Result<ChainingValue> {
    if len <= BLOCK as u64 {
        return read(file, offset, len);
    }
    let (left, right) = halves(file, offset, len)?;
    Ok(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash))
}

/// A part of the file that one core hashes. The next one begins where it ends.
struct Piece {
    offset: u64,
    value: ChainingValue,
}

/// The value of the subtree over `len` bytes that these pieces are.
fn joined(pieces: &[Piece], len: u64) -> ChainingValue {
    match pieces {
        [one] => one.value,
        [first, ..] => {
            let half = hazmat::left_subtree_len(len);
            let (left, right) = split(pieces, first.offset + half);
            let (left, right) = (joined(left, half), joined(right, len - half));
            hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash)
        }
        [] => unreachable!("a part of the tree has bytes"),
    }
}

fn split(pieces: &[Piece], at: u64) -> (&[Piece], &[Piece]) {
    pieces.split_at(pieces.partition_point(|piece| piece.offset < at))
}

/// All pieces of these bytes, in order.
fn pieces(file: &File, offset: u64, len: u64) -> io::Result<Vec<Piece>> {
    let queue = Queue::new(file, offset, len);
    let cores = rayon::current_num_threads().min(len.div_ceil(queue.piece) as usize);
    let done = (0..cores).into_par_iter().with_max_len(1);
    let done: Vec<Vec<Piece>> = done.map(|_| queue.work()).collect::<io::Result<_>>()?;
    let mut pieces: Vec<Piece> = done.into_iter().flatten().collect();
    pieces.sort_unstable_by_key(|piece| piece.offset);
    Ok(pieces)
}

/// Gives bytes to the cores in their order, so that a disk reads roughly in order, and none waits for another.
struct Queue<'a> {
    file: &'a File,
    end: u64,
    /// Bytes of a mapped piece.
    piece: u64,
    next: Mutex<Next>,
}

struct Next {
    offset: u64,
    /// Up to here is read and not mapped.
    read: u64,
}

/// What a core does next: the bytes, and whether to map them.
struct Task {
    offset: u64,
    len: u64,
    map: bool,
}

impl<'a> Queue<'a> {
    fn new(file: &'a File, offset: u64, len: u64) -> Self {
        let is_worth_mapping = len >= MAPPED_FROM;
        // Several for each of some cores.
        let piece = 1 << (len / 16).max(1).ilog2();
        Self {
            file,
            end: offset + len,
            piece: match is_worth_mapping {
                true => piece.clamp(SAMPLE as u64, MAPPED),
                false => BLOCK as u64,
            },
            next: Mutex::new(Next {
                offset,
                read: match is_worth_mapping {
                    true => offset,
                    false => offset + len,
                },
            }),
        }
    }

    fn next(&self) -> Option<Task> {
        // It is valid whoever panicked.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = next.offset;
        let left = self.end - offset;
        if left == 0 {
            return None;
        }
        let len = self.piece.min(left);
        let map = offset >= next.read && is_cached(self.file, offset, len as usize);
        if !map && offset >= next.read {
            next.read = (offset + 1).next_multiple_of(WINDOW);
        }
        let len = match map {
            true => len,
            false => left.min(BLOCK as u64),
        };
        next.offset += len;
        Some(Task { offset, len, map })
    }

    fn stop(&self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.offset = self.end;
    }

    /// Hashes piece after piece until none is left.
    fn work(&self) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        while let Some(Task { offset, len, map }) = self.next() {
            let window = map.then(|| Window::map(self.file, offset, len as usize));
            let value = match window.flatten() {
                Some(window) => mapped(self.file, &window, offset, len),
                None => read(self.file, offset, len),
            };
            let value = value.inspect_err(|_| self.stop())?;
            progress::add(len);
            pieces.push(Piece { offset, value });
        }
        Ok(pieces)
    }
}

fn mapped(file: &File, window: &Window, offset: u64, len: u64) -> io::Result<ChainingValue> {
    let value = part(file, Some(window), offset, len)?;
    match window.is_whole() {
        true => Ok(value),
        // Reading says what is wrong.
        false => read(file, offset, len),
    }
}

fn read(file: &File, offset: u64, len: u64) -> io::Result<ChainingValue> {
    part(file, None, offset, len)
}

fn part(file: &File, window: Option<&Window>, offset: u64, len: u64) -> io::Result<ChainingValue> {
    if let Some(value) = window.and_then(|window| window.chaining_value(offset, len as usize)) {
        return Ok(value);
    }
    if len > BLOCK as u64 {
        let first = hazmat::left_subtree_len(len);
        let left = part(file, window, offset, first)?;
        let right = part(file, window, offset + first, len - first)?;
        return Ok(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash));
    }
    with_buffer(|buffer| {
        let block = &mut buffer[..len as usize];
        file.read_exact_at(block, offset)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => shorter(),
                _ => error,
            })?;
        Ok(restage_hash::chaining_value(block, offset))
    })
}

fn shorter() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it became shorter while it was read",
    )
}

/// Whether the page cache seems to have these bytes. Where it has not, a disk is faster read than mapped.
fn is_cached(file: &File, offset: u64, len: usize) -> bool {
    (0..len).step_by(SAMPLE).all(|at| {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut into, offset + at as u64, ReadWriteFlags::NOWAIT) == Ok(1)
    })
}

/// Runs `work` with room for a block, which the thread keeps.
pub(super) fn with_buffer<T>(work: impl FnOnce(&mut [u8; BLOCK]) -> T) -> T {
    thread_local! {
        static KEPT: Cell<Option<Box<[u8; BLOCK]>>> = const { Cell::new(None) };
    }
    let mut buffer = KEPT.take().unwrap_or_else(|| Box::new([0; BLOCK]));
    let done = work(&mut buffer);
    KEPT.set(Some(buffer));
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Digest, digest_file};
    use crate::fs;

    #[test]
    fn a_file_of_any_size_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let block = BLOCK as u64;
        let bytes: Vec<u8> = (0..WINDOW + block + 1).map(|i| (i % 251) as u8).collect();
        for len in [
            0,
            1,
            block - 1,
            block,
            block + 1,
            2 * block - 1,
            7 * block + 1024,
            MAPPED_FROM,
            MAPPED_FROM + 5 * block + 3,
            WINDOW,
            WINDOW + block + 1,
        ] {
            let bytes = &bytes[..len as usize];
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(digest_file(&path).unwrap(), Digest::of(bytes), "{len}");
        }
    }

    #[test]
    fn pieces_of_any_length_join_to_their_tree() {
        let bytes: Vec<u8> = (0..(9 << 20) + 12_345).map(|i| (i % 251) as u8).collect();
        let (large, small) = (1 << 20, BLOCK);
        let lengths = [large, small, small, small, small, large, large];
        let mut pieces = Vec::new();
        let mut rest = 0;
        for len in lengths.into_iter().cycle() {
            let len = len.min(bytes.len() - rest);
            if len == 0 {
                break;
            }
            let offset = rest as u64;
            let value = restage_hash::chaining_value(&bytes[rest..rest + len], offset);
            pieces.push(Piece { offset, value });
            rest += len;
        }
        let whole = restage_hash::chaining_value(&bytes, 0);
        assert_eq!(joined(&pieces, bytes.len() as u64), whole);
    }

    const SHORTER: &str = "it became shorter while it was read";

    #[test]
    fn a_file_that_becomes_shorter_while_it_is_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for expected in [2 << 20, MAPPED_FROM, WINDOW + 1] {
            for size in [0, expected / 2, expected - 1] {
                std::fs::write(&path, vec![1; size as usize]).unwrap();
                let error = digest_large(&fs::open(&path).unwrap(), expected).unwrap_err();
                assert_eq!(error.to_string(), SHORTER, "{size} of {expected} bytes");
            }
        }
    }

    #[test]
    fn a_file_that_becomes_shorter_while_it_is_mapped_is_an_error_or_read() {
        let file = tempfile::tempfile().unwrap();
        let bytes = vec![1; MAPPED_FROM as usize];
        for again in [false, true] {
            file.write_all_at(&bytes, 0).unwrap();
            let Some(window) = Window::map(&file, 0, bytes.len()) else {
                println!("skipped: nothing is mapped here");
                return;
            };
            file.set_len(MAPPED_FROM / 2).unwrap();
            window.chaining_value(MAPPED_FROM / 2, BLOCK).unwrap();
            if again {
                file.write_all_at(&bytes, 0).unwrap();
            }
            let found = mapped(&file, &window, 0, MAPPED_FROM);
            match again {
                false => assert_eq!(found.unwrap_err().to_string(), SHORTER),
                true => {
                    let read = read(&file, 0, MAPPED_FROM);
                    assert_eq!(found.unwrap(), read.unwrap());
                }
            }
        }
    }
}
