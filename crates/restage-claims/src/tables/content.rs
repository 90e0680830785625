//! The bytes of a table: in memory, or in a file that is read piece by piece.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::format::BEGINNING;
use restage_core::fs::{self, Context, FsError};

/// How much is read at once.
pub(super) const PIECE: usize = 1 << 18;

/// The bytes of a table.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file.
    File(&'a Path),
}

impl<'a> Content<'a> {
    /// Reads it from the start.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(super) fn open(self) -> Result<Box<dyn Read + Send + 'a>, FsError> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes),
            Self::File(path) => Box::new(fs::open(path)?),
        })
    }

    /// All of it.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn bytes(self) -> Result<Cow<'a, [u8]>, FsError> {
        Ok(match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::File(path) => Cow::Owned(fs::read(path)?),
        })
    }

    /// As much as it takes to tell how it is written.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn beginning(self) -> Result<Cow<'a, [u8]>, FsError> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(&bytes[..bytes.len().min(BEGINNING)])),
            Self::File(path) => {
                let mut bytes = Vec::new();
                let mut start = fs::open(path)?.take(BEGINNING as u64);
                start.read_to_end(&mut bytes).at("read", path)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Whether both are the same, byte for byte.
    ///
    /// # Errors
    /// A file can't be read.
    pub(super) fn is_same(self, other: Self) -> Result<bool, FsError> {
        if let (Self::Bytes(one), Self::Bytes(other)) = (self, other) {
            return Ok(one == other);
        }
        let buffered = |content: Self| Ok(BufReader::with_capacity(PIECE, content.open()?));
        let (mut one, mut two) = (buffered(self)?, buffered(other)?);
        loop {
            let pieces = (
                one.fill_buf().at("read", self.path())?,
                two.fill_buf().at("read", other.path())?,
            );
            let both = pieces.0.len().min(pieces.1.len());
            if pieces.0[..both] != pieces.1[..both] {
                return Ok(false);
            }
            if both == 0 {
                return Ok(pieces.0.len() == pieces.1.len());
            }
            one.consume(both);
            two.consume(both);
        }
    }

    /// The file, for errors; bytes in memory have none.
    pub(super) fn path(self) -> &'a Path {
        match self {
            Self::Bytes(_) => Path::new(""),
            Self::File(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_the_same_if_all_their_bytes_are_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![b'x'; PIECE + 5];
        let mut other = long.clone();
        other[PIECE + 4] = b'y';
        let texts: [&[u8]; 4] = [b"", &long, &other, &long[..PIECE]];
        let files: Vec<_> = (0..4).map(|n| dir.path().join(n.to_string())).collect();
        for (file, text) in files.iter().zip(texts) {
            std::fs::write(file, text).unwrap();
        }
        for (m, file) in files.iter().enumerate() {
            for (n, text) in texts.iter().enumerate() {
                let (one, two) = (Content::File(file), Content::Bytes(text));
                assert_eq!(one.is_same(two).unwrap(), m == n, "{m} {n}");
                assert_eq!(two.is_same(one).unwrap(), m == n, "{m} {n}");
                assert_eq!(one.is_same(Content::File(&files[n])).unwrap(), m == n);
            }
        }
        let gone = dir.path().join("gone");
        let error = Content::File(&gone)
            .is_same(Content::Bytes(b""))
            .unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
