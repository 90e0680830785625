//! TFRecord framing: a length, the bytes, and a masked CRC-32C of each.
//! It must not know what the bytes mean.

/// Appends one record.
pub(super) fn append(file: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&masked_crc(&length).to_le_bytes());
    file.extend_from_slice(bytes);
    file.extend_from_slice(&masked_crc(bytes).to_le_bytes());
}

/// As tensorflow/core/lib/hash/crc32c.h masks it, so that a CRC of bytes that hold CRCs is no
/// weaker.
pub(super) fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
