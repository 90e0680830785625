//! Turns stored bytes into the numbers that networks see.
//! It must not know augmentation, batches or files.

/// A byte as intensity in `[0, 1]`.
pub fn intensity(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// An intensity in `[0, 1]` as the network's input in `[-1, 1]` (section III.B).
pub fn normalize(intensity: f32) -> f32 {
    (intensity - 0.5) / 0.5
}

/// Appends whole images to `out`, scaled to `[-1, 1]` and otherwise unchanged.
pub fn scale_into(bytes: &[u8], out: &mut Vec<f32>) {
    out.extend(bytes.iter().map(|&byte| normalize(intensity(byte))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_span_minus_one_to_one() {
        let mut out = Vec::new();
        scale_into(&[0, 51, 255], &mut out);
        assert_eq!(out[0], -1.0);
        assert!((out[1] + 0.6).abs() < 1e-6);
        assert_eq!(out[2], 1.0);
    }

    #[test]
    fn a_larger_byte_is_a_larger_number() {
        let mut out = Vec::new();
        let bytes: Vec<u8> = (0..=255).collect();
        scale_into(&bytes, &mut out);
        assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
