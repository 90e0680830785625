//! A line of text followed by its digest, so that a cut or an edit is noticed.

use restage_core::digest::Digest;

/// A line of text, sealed.
pub(super) fn seal(text: &str) -> String {
    format!("{text}\n{}\n", Digest::of(text.as_bytes()))
}

/// The text that [`seal`] was given; `Err` says what is wrong with it.
pub(super) fn unseal(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let (text, check) = text
        .strip_suffix('\n')
        .and_then(|text| text.split_once('\n'))
        .ok_or("it was cut")?;
    if check.parse() != Ok(Digest::of(text.as_bytes())) {
        return Err("its digest does not match");
    }
    Ok(text)
}
