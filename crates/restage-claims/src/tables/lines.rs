//! Counts lines as editors do: LF, CRLF and CR end one.

/// Where in a text records were found so far.
#[derive(Default)]
pub(super) struct Place {
    at: usize,
    ends: u64,
}

impl Place {
    /// The line, from 1, of a record that a reader found at `start`, where the end of the record before
    /// it and blank lines may still come.
    pub(super) fn line_of_record(&mut self, bytes: &[u8], start: u64) -> u64 {
        let start = usize::try_from(start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let ends = bytes[start..]
            .iter()
            .take_while(|byte| b"\r\n".contains(byte));
        let to = start + ends.count();
        self.ends += line_ends(bytes, self.at, to);
        self.at = to.max(self.at);
        self.ends + 1
    }
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u64 {
    line_ends(bytes, 0, offset) + 1
}

/// Line ends in a part of a text.
fn line_ends(bytes: &[u8], from: usize, to: usize) -> u64 {
    let ends = (from..to).filter(|at| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count() as u64
}
