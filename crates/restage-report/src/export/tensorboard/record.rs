//! TFRecord framing: a length, the bytes, and a masked CRC-32C of each.

/// Appends one record.
pub(super) fn append(file: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&masked_crc(&length).to_le_bytes());
    file.extend_from_slice(bytes);
    file.extend_from_slice(&masked_crc(bytes).to_le_bytes());
}

/// As in tensorflow/core/lib/hash/crc32c.h, so that a CRC of bytes that contain CRCs stays strong.
pub(super) fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
