//! The framing rule: how values are laid end to end so that no two lists share their bytes.
//! It must not know what the values mean.
//!
//! - a number, count or variant: 8 bytes, little-endian;
//! - text: its length in bytes as a number, then the bytes;
//! - a digest: its 32 bytes, with no length;
//! - a list: its count as a number, then its items;
//! - a choice: its variant's number, then that variant's fields in order;
//! - first of all, as text, the name of what is framed, so that a stage's key can never be
//!   the digest of a folder.

use super::Digest;

/// Digests framed values.
#[derive(Debug)]
pub struct Frame(blake3::Hasher);

impl Frame {
    /// Starts a frame; `domain` names what is framed.
    pub fn new(domain: &str) -> Self {
        let mut frame = Self(blake3::Hasher::new());
        frame.text(domain);
        frame
    }

    /// A number, a count or a variant.
    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    /// A digest.
    pub fn digest(&mut self, digest: &Digest) {
        self.0.update(&digest.0);
    }

    /// The digest of everything so far.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
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
