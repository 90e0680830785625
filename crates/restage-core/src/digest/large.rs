//! Digests a large file by all cores: blake3's tree, whose parts can be hashed in any order.
//!
//! What the page cache has of the file is mapped into memory, because copying it would cost half as much
//! as hashing it; the rest is read. A file that becomes shorter, or a disk that fails, is an error in
//! either case (docs/adr/0019).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

use blake3::hazmat::{self, ChainingValue, Mode};
use restage_hash::{BLOCK, Window};
use rustix::io::{ReadWriteFlags, preadv2};

/// All cores work within so many bytes, so that a disk reads roughly in order.
const WINDOW: u64 = 64 << 20;
/// A copy of fewer bytes costs less than mapping them.
const MAPPED_FROM: u64 = 4 << 20;
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

/// The two parts of the tree over the bytes from `offset` on.
fn halves(file: &File, offset: u64, len: u64) -> io::Result<(ChainingValue, ChainingValue)> {
    if len > WINDOW {
        let first = hazmat::left_subtree_len(len);
        let left = subtree(file, offset, first)?;
        return Ok((left, subtree(file, offset + first, len - first)?));
    }
    let is_worth_mapping = len >= MAPPED_FROM && is_cached(file, offset, len as usize);
    match is_worth_mapping.then(|| Window::map(file, offset, len as usize)) {
        Some(Some(window)) => mapped(file, &window, offset, len),
        _ => by_all_cores(file, None, offset, len),
    }
}

fn mapped(
    file: &File,
    window: &Window,
    offset: u64,
    len: u64,
) -> io::Result<(ChainingValue, ChainingValue)> {
    let found = by_all_cores(file, Some(window), offset, len)?;
    match window.is_whole() {
        true => Ok(found),
        // Reading says what is wrong.
        false => by_all_cores(file, None, offset, len),
    }
}

fn subtree(file: &File, offset: u64, len: u64) -> io::Result<ChainingValue> {
    if len <= BLOCK as u64 {
        return part(file, None, offset, len);
    }
    let (left, right) = halves(file, offset, len)?;
    Ok(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash))
}

/// Like [`halves`], within a window.
fn by_all_cores(
    file: &File,
    window: Option<&Window>,
    offset: u64,
    len: u64,
) -> io::Result<(ChainingValue, ChainingValue)> {
    let first = hazmat::left_subtree_len(len);
    let (left, right) = rayon::join(
        || part(file, window, offset, first),
        || part(file, window, offset + first, len - first),
    );
    Ok((left?, right?))
}

fn part(file: &File, window: Option<&Window>, offset: u64, len: u64) -> io::Result<ChainingValue> {
    if len > BLOCK as u64 {
        let (left, right) = by_all_cores(file, window, offset, len)?;
        return Ok(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash));
    }
    if let Some(value) = window.and_then(|window| window.chaining_value(offset, len as usize)) {
        return Ok(value);
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
            WINDOW,
            WINDOW + block + 1,
        ] {
            let bytes = &bytes[..len as usize];
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(digest_file(&path).unwrap(), Digest::of(bytes), "{len}");
        }
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
                    let read = by_all_cores(&file, None, 0, MAPPED_FROM);
                    assert_eq!(found.unwrap(), read.unwrap());
                }
            }
        }
    }
}
