//! The archive as one file of bytes: its SHA-256.
//! It must not know how it was fetched nor what is in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use contract::Stage;
use contract::files::FileError;
use sha2::{Digest, Sha256};

use crate::meter::Meter;

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(stage: &Stage, path: &Path, span: (f64, f64)) -> Result<String, FileError> {
    let mut file = File::open(path).map_err(FileError::new("read", path))?;
    let length = file.metadata().map_err(FileError::new("read", path))?.len();
    let mut meter = Meter::new(stage, span, 0, length);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(FileError::new("read", path))?;
        if count == 0 {
            return Ok(hexadecimal(&digest.finalize()));
        }
        digest.update(&buffer[..count]);
        meter.add(count);
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let stage = Stage::for_test("{}", folder.path());
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256(&stage, &path, (0.0, 1.0)).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
