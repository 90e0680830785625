//! Unpacks arbitrary bytes as CIFAR-10's archive, which must not write outside its folder.
//! The stage's sources are compiled in, because nothing can depend on a program.

use std::path::Path;

use contract::Stage;

// It is formatted together with its stage.
#[rustfmt::skip]
#[path = "../../../stages/download/src/unpack.rs"]
#[expect(dead_code, reason = "the stage needs more of it")]
mod unpack;

const LIMITS: unpack::Limits = unpack::Limits {
    total: 1 << 16,
    entry: 1 << 14,
    entries: 20,
};
const BLOCK: usize = 512;

/// A tar file, gzipped or not, unchanged and with corrected header checksums: everything it
/// writes is inside the folder, and not too large.
pub fn archive(data: &[u8]) {
    unpacked(data);
    unpacked(&with_checksums(data));
}

fn unpacked(data: &[u8]) {
    let place = tempfile::tempdir().expect("a folder");
    let (file, folder) = (place.path().join("a.tar"), place.path().join("out"));
    std::fs::write(&file, data).expect("an archive");
    std::fs::create_dir(&folder).expect("a folder");
    let stage = Stage::for_test("{}", place.path());
    let _ = unpack::unpack(&stage, &file, &folder, LIMITS, (0.0, 1.0));
    let beside = std::fs::read_dir(place.path()).expect("a folder").count();
    assert_eq!(beside, 2, "something was written outside");
    let size = size_below(&folder);
    assert!(size <= LIMITS.total, "{size} bytes");
}

fn size_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let size = entries.map(|entry| {
        let found = entry.path().symlink_metadata().expect("a file");
        assert!(!found.is_symlink(), "a link was unpacked");
        match found.is_dir() {
            true => size_below(&entry.path()),
            false => found.len(),
        }
    });
    size.sum()
}

/// Without correct checksums, nothing after the first header is ever read.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut rest = &mut bytes[..];
    while let Some((block, behind)) = rest.split_at_mut_checked(BLOCK) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let body = header.entry_size().unwrap_or(0).div_ceil(BLOCK as u64);
        let blocks = usize::try_from(body).unwrap_or(usize::MAX);
        let Some((_, next)) = behind.split_at_mut_checked(blocks.saturating_mul(BLOCK)) else {
            break;
        };
        rest = next;
    }
    bytes
}
