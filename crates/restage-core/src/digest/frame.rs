//! The framing rule: how values are laid end to end so that no two lists share their bytes.
//!
//! - a number, count or variant: 8 bytes, little-endian;
//! - text: its length in bytes as a number, then the bytes;
//! - a digest: its 32 bytes, without a length;
//! - a list: its count as a number, then its items;
//! - a choice: its variant's number, then that variant's fields in order;
//! - first of all, as text, the name of what is framed, so that a stage's key can never be
//!   the digest of a folder.

use super::hash::Digest;

/// Values laid end to end.
#[derive(Debug)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// Starts a frame; `domain` names what is framed.
    pub fn new(domain: &str) -> Self {
        let mut frame = Self(Vec::new());
        frame.text(domain);
        frame
    }

    /// A number, a count or a variant.
    pub fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A digest.
    pub fn digest(&mut self, digest: &Digest) {
        self.0.extend_from_slice(&digest.0);
    }

    /// The digest of everything so far.
    pub fn finish(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Frame`] wrote; every method returns `None` if the bytes are something else.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts reading; `domain` names what must have been framed.
    pub(super) fn new(domain: &str, bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Self(bytes);
        (reader.text()? == domain).then_some(reader)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    pub(super) fn digest(&mut self) -> Option<Digest> {
        Some(Digest(self.take(32)?.try_into().ok()?))
    }

    /// Whether everything was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(texts: &[String]) -> Digest {
        let mut frame = Frame::new("test");
        for text in texts {
            frame.text(text);
        }
        frame.finish()
    }

    #[test]
    fn moving_a_letter_to_the_next_text_changes_the_digest() {
        let texts = |list: [&str; 2]| framed(&list.map(String::from));
        assert_ne!(texts(["ab", "cd"]), texts(["a", "bcd"]));
        assert_ne!(texts(["ab", ""]), texts(["", "ab"]));
    }

    proptest! {
        #[test]
        fn different_lists_have_different_digests(
            a in prop::collection::vec("[ab]{0,3}", 0..4),
            b in prop::collection::vec("[ab]{0,3}", 0..4),
        ) {
            prop_assert_eq!(a == b, framed(&a) == framed(&b));
        }
    }
}
