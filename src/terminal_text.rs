//! What programs print, made safe for a terminal: a log may rename a window, write to the clipboard, or
//! hide lines of itself. Text, colours and erased lines stay.

use std::io::{self, BufWriter, Read, Write};

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};

/// Copies text to a terminal without what controls it otherwise.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut kept = Kept {
        to: BufWriter::new(to),
        written: Ok(()),
    };
    let mut parser = Parser::<DefaultCharAccumulator>::new();
    let mut buffer = vec![0; 1 << 16];
    // The beginning of a character whose other bytes are yet to come.
    let mut begun = 0;
    loop {
        let length = match from.read(&mut buffer[begun..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        let there = begun + length;
        let mut rest = 0;
        for chunk in buffer[..there].utf8_chunks() {
            let mut feed = |text: &str| {
                for byte in text.bytes() {
                    parser.advance(&mut kept, byte);
                }
            };
            feed(chunk.valid());
            rest += chunk.valid().len() + chunk.invalid().len();
            let may_go_on = rest == there && chunk.invalid().len() < 4 && length > 0;
            if may_go_on {
                rest -= chunk.invalid().len();
            } else if !chunk.invalid().is_empty() {
                feed("\u{fffd}");
            }
        }
        std::mem::replace(&mut kept.written, Ok(()))?;
        if length == 0 {
            return kept.to.flush();
        }
        buffer.copy_within(rest..there, 0);
        begun = there - rest;
    }
}

struct Kept<'a> {
    to: BufWriter<&'a mut dyn Write>,
    /// The first error since it was looked at.
    written: io::Result<()>,
}

impl Kept<'_> {
    fn write(&mut self, bytes: &[u8]) {
        if self.written.is_ok() {
            self.written = self.to.write_all(bytes);
        }
    }
}

impl Perform for Kept<'_> {
    fn print(&mut self, c: char) {
        // Control characters of 8 bits begin sequences on some terminals.
        if !c.is_control() {
            self.write(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn execute(&mut self, byte: u8) {
        if matches!(byte, b'\n' | b'\r' | b'\t') {
            self.write(&[byte]);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        // Colours, and what progress bars erase a line by.
        if ignore || !intermediates.is_empty() || !matches!(action, b'm' | b'K') {
            return;
        }
        let group = |group: &[u16]| {
            let numbers: Vec<String> = group.iter().map(u16::to_string).collect();
            numbers.join(":")
        };
        let groups: Vec<String> = params.iter().map(group).collect();
        self.write(format!("\x1b[{}{}", groups.join(";"), char::from(action)).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> String {
        let mut shown = Vec::new();
        copy(&mut &*text, &mut shown).unwrap();
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn text_colours_and_erased_lines_stay() {
        for text in [
            "a\tb\n\u{e4}\u{20ac}\u{1f980}\r\n",
            "\x1b[1;31mred\x1b[0m",
            "\x1b[38;2;1;2;3mx\x1b[4:3mcurly",
            "10%\r\x1b[0K20%",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        struct Bytewise<'a>(&'a [u8]);
        impl Read for Bytewise<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let into = &mut into[..1];
                self.0.read(into)
            }
        }
        let mut shown = Vec::new();
        let text = "\x1b[1m\u{20ac}\u{1f980}\u{e4}\n";
        copy(&mut Bytewise(text.as_bytes()), &mut shown).unwrap();
        assert_eq!(shown, text.as_bytes());
    }

    #[test]
    fn what_else_controls_a_terminal_goes() {
        for (bytes, left) in [
            (&b"a\x1b]52;c;aGk=\x07b"[..], "ab"),
            (b"a\x1b]0;title\x1b\\b", "ab"),
            (b"a\x1b[2Jb\x1b[1Ac\x1b[?25ld\x1b[6ne", "abcde"),
            (b"a\x1bcb\x1b(0c", "abc"),
            (b"a\x1bP1$r0m\x1b\\b", "ab"),
            (b"a\x07\x08\x00\x0e\x7fb", "ab"),
            (b"a\xc2\x9b31mb", "a31mb"),
            (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b"),
            (b"a\x1b]52;never ended\nb", "a"),
            (b"caf\xe9 \xf0\x9f", "caf\u{fffd} \u{fffd}"),
        ] {
            assert_eq!(shown(bytes), left, "{bytes:?}");
        }
    }
}
