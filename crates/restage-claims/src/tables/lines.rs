//! Counts lines as editors do: LF, CRLF and CR end one.

/// The line ends in a text so far.
#[derive(Default)]
pub(super) struct Ends {
    count: u64,
    after_cr: bool,
}

impl Ends {
    /// Goes past a byte of the text.
    pub(super) fn pass(&mut self, byte: u8) {
        self.count += u64::from(match byte {
            b'\n' => !self.after_cr,
            byte => byte == b'\r',
        });
        self.after_cr = byte == b'\r';
    }

    /// The line, from 1, that the next byte is in.
    pub(super) fn line(&self) -> u64 {
        self.count + 1
    }
}

/// Whether a byte is part of a line's end.
pub(super) fn ends_line(byte: u8) -> bool {
    b"\r\n".contains(&byte)
}

/// Where in a text records were found so far.
#[derive(Default)]
pub(super) struct Place {
    at: usize,
    ends: Ends,
}

impl Place {
    /// The line, from 1, of a record that a reader found at `start`, where the end of the record before
    /// it and blank lines may still come.
    pub(super) fn line_of_record(&mut self, bytes: &[u8], start: u64) -> u64 {
        let start = usize::try_from(start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let ends = bytes[start..].iter().take_while(|byte| ends_line(**byte));
        let to = start + ends.count();
        let passed = bytes.get(self.at..to).unwrap_or_default();
        passed.iter().for_each(|byte| self.ends.pass(*byte));
        self.at = to.max(self.at);
        self.ends.line()
    }
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u64 {
    let mut ends = Ends::default();
    bytes[..offset].iter().for_each(|byte| ends.pass(*byte));
    // The LF of a CRLF is in the line that it ends.
    let ends_it = ends.after_cr && bytes.get(offset) == Some(&b'\n');
    ends.line() - u64::from(ends_it)
}
