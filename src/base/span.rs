//! A place in a text file.
//! It must not know what the text means.

/// A range of bytes in a file, with its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Location {
    /// First byte, from 0.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
    /// First line, from 1.
    pub line: usize,
}
