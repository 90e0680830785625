//! Everything is compared with the `blake3` crate.

use super::*;
use proptest::prelude::*;

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_derive_key("restage-hash tests")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Without AVX-512 the tests compare the crate with itself.
fn say_what_is_compared() {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_there() {
        return;
    }
    println!("skipped: sixteen chunks at a time, because this CPU has no AVX-512");
}

#[test]
fn input_of_any_length_has_its_hash() {
    say_what_is_compared();
    let bytes = bytes(4 * BLOCK + 3 * LEAST);
    let around = (1..=66).map(|chunks| chunks * blake3::CHUNK_LEN);
    let blocks = (1..=8).map(|halves| halves * BLOCK / 2);
    let lengths = around.chain(blocks).chain([0, bytes.len() - 1]);
    for len in lengths.flat_map(|len| [len.saturating_sub(1), len, len + 1]) {
        let bytes = &bytes[..len];
        let expected = *blake3::hash(bytes).as_bytes();
        assert_eq!(hash(bytes), expected, "{len} bytes");
        let (whole, rest) = bytes.as_chunks();
        let mut blocks = Blocks::default();
        whole.iter().for_each(|block| blocks.add(block));
        assert_eq!(blocks.finish(rest), expected, "{len} bytes in blocks");
        assert_eq!(
            Blocks::default().finish(bytes),
            expected,
            "{len} bytes of rest"
        );
    }
}

/// Numbers of chunks need more than 32 bits from 4 TiB on.
#[test]
fn a_subtree_has_its_chaining_value_wherever_it_lies() {
    say_what_is_compared();
    let bytes = bytes(8 * LEAST);
    let offsets: [u64; 6] = [0, 1 << 10, 1 << 20, (1 << 42) - (1 << 20), 1 << 42, 1 << 62];
    for offset in offsets {
        for len in [
            1,
            LEAST - 1,
            LEAST,
            LEAST + 1,
            2 * LEAST,
            5 * LEAST,
            8 * LEAST,
        ] {
            // A longer subtree can't begin there.
            if offset != 0 && len as u64 > 1 << offset.trailing_zeros() {
                continue;
            }
            let bytes = &bytes[..len];
            assert_eq!(
                chaining_value(bytes, offset),
                elsewhere(bytes, offset),
                "{len} bytes at {offset}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_bit_counts(
        groups in 0_u32..5, unit in any::<u16>(), at in any::<prop::sample::Index>(), bit in 0_u32..8,
    ) {
        let mut bytes = bytes(LEAST << groups);
        let offset = u64::from(unit) * bytes.len() as u64;
        let before = chaining_value(&bytes, offset);
        prop_assert_eq!(before, elsewhere(&bytes, offset));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_ne!(chaining_value(&bytes, offset), before);
        prop_assert_eq!(chaining_value(&bytes, offset), elsewhere(&bytes, offset));
    }
}
