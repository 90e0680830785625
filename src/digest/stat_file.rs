//! The stat cache as bytes.
//! It must not know where they are kept, nor which entries are worth keeping.
//!
//! Layout: 16 bytes of name and version, entries of 80 bytes sorted by device and inode, the
//! blake3 digest of all before. Little-endian; local to one machine.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::Digest;

const HEAD: &[u8; 16] = b"restage stat v1\n";
const ENTRY: usize = 80;

/// What `stat` says of a file that changes when its bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) mtime: i64,
    /// Nanoseconds since 1970.
    pub(super) ctime: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Which file, whatever its name.
    pub(super) fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// A file's stamp and the digest of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    pub(super) digest: Digest,
    /// One of the store's objects: its change time may move on.
    pub(super) sealed: bool,
    /// Saves since somebody last asked for it.
    pub(super) unused: u32,
}

impl Entry {
    /// Whether a file with this stamp still has these bytes.
    pub(super) fn vouches_for(&self, stamp: &Stamp, writable: bool) -> bool {
        if self.sealed {
            !writable
                && Stamp {
                    ctime: self.stamp.ctime,
                    ..*stamp
                } == self.stamp
        } else {
            *stamp == self.stamp
        }
    }
}

/// Entries, sorted by file, as bytes.
pub(super) fn to_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD.len() + entries.len() * ENTRY + 32);
    bytes.extend_from_slice(HEAD);
    for Entry {
        stamp,
        digest,
        sealed,
        unused,
    } in entries
    {
        for number in [stamp.dev, stamp.ino, stamp.size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&stamp.mtime.to_le_bytes());
        bytes.extend_from_slice(&stamp.ctime.to_le_bytes());
        bytes.extend_from_slice(&digest.0);
        bytes.extend_from_slice(&u32::from(*sealed).to_le_bytes());
        bytes.extend_from_slice(&unused.to_le_bytes());
    }
    let check = Digest::of(&bytes);
    bytes.extend_from_slice(&check.0);
    bytes
}

/// Reads what [`to_bytes`] wrote; `None` if a single bit differs.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    if Digest::of(body).0 != *check {
        return None;
    }
    let entries = body.strip_prefix(HEAD)?.chunks_exact(ENTRY);
    if !entries.remainder().is_empty() {
        return None;
    }
    let entries: Option<Vec<Entry>> = entries.map(parse_entry).collect();
    entries.filter(|entries| entries.is_sorted_by_key(|entry| entry.stamp.id()))
}

fn parse_entry(mut bytes: &[u8]) -> Option<Entry> {
    Some(Entry {
        stamp: Stamp {
            dev: u64::from_le_bytes(take(&mut bytes)?),
            ino: u64::from_le_bytes(take(&mut bytes)?),
            size: u64::from_le_bytes(take(&mut bytes)?),
            mtime: i64::from_le_bytes(take(&mut bytes)?),
            ctime: i64::from_le_bytes(take(&mut bytes)?),
        },
        digest: Digest(take(&mut bytes)?),
        sealed: u32::from_le_bytes(take(&mut bytes)?) != 0,
        unused: u32::from_le_bytes(take(&mut bytes)?),
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(count: u64) -> Vec<Entry> {
        (0..count)
            .map(|i| Entry {
                stamp: Stamp {
                    dev: 1,
                    ino: i,
                    size: i * 7,
                    mtime: -1,
                    ctime: i64::MAX,
                },
                digest: Digest::of(&i.to_le_bytes()),
                sealed: i % 2 == 0,
                unused: i as u32,
            })
            .collect()
    }

    #[test]
    fn entries_read_back_as_they_were() {
        assert_eq!(parse(&to_bytes(&entries(5))), Some(entries(5)));
        assert_eq!(parse(&to_bytes(&[])), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_or_a_cut_makes_it_worthless(at in any::<prop::sample::Index>()) {
            let mut bytes = to_bytes(&entries(3));
            let bit = at.index(bytes.len() * 8);
            prop_assert_eq!(parse(&bytes[..bit / 8]), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse(&bytes), None);
        }
    }
}
