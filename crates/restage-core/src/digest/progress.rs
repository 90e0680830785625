//! How much was digested so far, for whoever waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

static DIGESTED: AtomicU64 = AtomicU64::new(0);

/// Bytes of files that this process has digested.
pub fn bytes_digested() -> u64 {
    DIGESTED.load(Ordering::Relaxed)
}

pub(super) fn add(bytes: u64) {
    DIGESTED.fetch_add(bytes, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest_file;

    #[test]
    fn bytes_of_small_and_large_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        for size in [10, 70_000, 9 << 20] {
            std::fs::write(&file, vec![1; size]).unwrap();
            let before = bytes_digested();
            digest_file(&file).unwrap();
            // Other tests digest, too.
            assert!(bytes_digested() >= before + size as u64, "{size}");
        }
    }
}
