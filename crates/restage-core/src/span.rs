//! A place in one of several text files.

/// A range of bytes in a file, with its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Location {
    /// Which file: 0 is the one that was asked for, others are those that it names.
    pub file: u32,
    /// First byte, from 0.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
    /// First line, from 1.
    pub line: usize,
}

impl Location {
    /// The byte after the last one.
    pub fn end(self) -> usize {
        self.offset + self.len
    }

    /// The place of `text[offset..offset + len]`, with its line counted.
    pub fn in_text(text: &str, offset: usize, len: usize) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self {
            file: 0,
            offset,
            len,
            line,
        }
    }

    /// The same range of another file.
    #[must_use]
    pub fn of_file(self, file: u32) -> Self {
        Self { file, ..self }
    }

    /// Whether the range lies inside `text`, and begins and ends between characters.
    pub fn fits(self, text: &str) -> bool {
        text.get(self.offset..self.end()).is_some()
    }
}
