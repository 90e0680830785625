//! The names of what a remote holds. They are made of digests alone, so that no name can lead anywhere else.

use restage_core::digest::Digest;

/// What says that there is a remote, and which layout it has.
pub(crate) const FORMAT: &str = "v1/format";

/// What is in it.
pub(crate) const FORMAT_TEXT: &str = "restage remote 1\n";

/// What the names of all objects begin with.
pub(crate) const OBJECTS: &str = "v1/objects/";

/// What the names of all records begin with.
pub(crate) const RECORDS: &str = "v1/records/";

/// The name of an object.
pub(crate) fn object(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("{OBJECTS}{}/{}", &hex[..2], &hex[2..])
}

/// The object that a name is of.
pub(crate) fn object_of(name: &str) -> Option<Digest> {
    let (two, rest) = name.strip_prefix(OBJECTS)?.split_once('/')?;
    let digest: Digest = format!("{two}{rest}").parse().ok()?;
    (object(&digest) == name).then_some(digest)
}

/// What the names of a key's records begin with.
pub(crate) fn records_of(key: &Digest) -> String {
    let hex = key.to_string();
    format!("{RECORDS}{}/{hex}.", &hex[..2])
}

/// The name of a key's record that this signer wrote.
pub(crate) fn record(key: &Digest, signer: &str) -> String {
    format!("{}{signer}", records_of(key))
}

/// The key and the signer of the record that has a name.
pub(crate) fn record_of(name: &str) -> Option<(Digest, &str)> {
    let (_, file) = name.strip_prefix(RECORDS)?.split_once('/')?;
    let (key, signer) = file.split_once('.')?;
    let key: Digest = key.parse().ok()?;
    (is_signer(signer) && record(&key, signer) == name).then_some((key, signer))
}

/// Whether a text is one that names a signer: 16 hexadecimal digits.
fn is_signer(text: &str) -> bool {
    text.len() == 16
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_are_of_and_others_do_not() {
        let digest = Digest::of(b"x");
        assert_eq!(object_of(&object(&digest)), Some(digest));
        let name = record(&digest, "0123456789abcdef");
        assert_eq!(record_of(&name), Some((digest, "0123456789abcdef")));
        assert!(name.starts_with(&records_of(&digest)));
        let hex = digest.to_string();
        for odd in [
            format!("v1/objects/{hex}"),
            format!("v1/objects/{}/../{}", &hex[..2], &hex[2..]),
            format!("v1/objects/{}/{}", &hex[..2], hex[2..].to_uppercase()),
            format!("v1/objects/{}/{}", &hex[..3], &hex[3..]),
            String::new(),
        ] {
            assert_eq!(object_of(&odd), None, "{odd}");
        }
        for odd in [
            format!("v1/records/zz/{hex}.0123456789abcdef"),
            format!("v1/records/{}/{hex}.0123", &hex[..2]),
            format!("v1/records/{}/{hex}.\u{1b}[2J0123456789ab", &hex[..2]),
        ] {
            assert_eq!(record_of(&odd), None, "{odd}");
        }
    }
}
