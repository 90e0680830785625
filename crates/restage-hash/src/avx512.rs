//! Sixteen chunks at a time, one in each lane of the vectors. It must not know shorter input.

use std::arch::x86_64::*;
use std::array;

use blake3::hazmat::ChainingValue;
use blake3::{BLOCK_LEN, CHUNK_LEN};

const LANES: usize = 16;
const BLOCKS: usize = CHUNK_LEN / BLOCK_LEN;

/// What is hashed at once.
type Group = [[[u8; BLOCK_LEN]; BLOCKS]; LANES];
/// The words of a message block, or the state of the compression, of each lane.
type Words = [__m512i; 16];
/// A chaining value of each lane.
type Values = [__m512i; 8];

const IV: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];
const CHUNK_START: u32 = 1 << 0;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;

/// Which word goes where in each round.
const SCHEDULE: [[usize; 16]; 7] = {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut rounds = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]; 7];
    let mut round = 1;
    while round < rounds.len() {
        let mut word = 0;
        while word < 16 {
            rounds[round][word] = rounds[round - 1][PERMUTATION[word]];
            word += 1;
        }
        round += 1;
    }
    rounds
};

/// Whether this CPU can.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// The chaining value of the `len` bytes from `start` on, which stand at `offset` of the input. `len` is a
/// power of two from [`super::LEAST`] on, and `offset` a multiple of that.
///
/// # Safety
/// AVX-512 [`is_there`], and the bytes can be read. They may change meanwhile: then the value is of no use.
pub(super) unsafe fn chaining_value(start: *const u8, len: usize, offset: u64) -> ChainingValue {
    let groups = len / size_of::<Group>();
    // SAFETY: as the caller promises.
    unsafe { subtree(start.cast(), groups, offset / CHUNK_LEN as u64) }
}

/// # Safety
/// As many groups can be read.
#[target_feature(enable = "avx512f")]
unsafe fn subtree(start: *const Group, groups: usize, first: u64) -> ChainingValue {
    // SAFETY: as the caller promises.
    let mut values = unsafe { tree(start, groups, first) };
    // From sixteen down to one.
    for _ in 0..LANES.ilog2() {
        values = parents(&values, &values);
    }
    let mut bytes = ChainingValue::default();
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = _mm512_cvtsi512_si32(word).to_le_bytes();
    }
    bytes
}

/// The sixteen subtrees, in order, that these bytes consist of.
///
/// # Safety
/// As many groups can be read.
#[target_feature(enable = "avx512f")]
unsafe fn tree(start: *const Group, groups: usize, first: u64) -> Values {
    let half = groups / 2;
    // SAFETY: one is left, or both halves can be read.
    unsafe {
        if half == 0 {
            return chunks(start, first);
        }
        let left = tree(start, half, first);
        let right = tree(start.add(half), half, first + (LANES * half) as u64);
        parents(&left, &right)
    }
}

/// # Safety
/// The group can be read.
#[target_feature(enable = "avx512f")]
unsafe fn chunks(group: *const Group, first: u64) -> Values {
    let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    // `first` is a multiple of sixteen: nothing is carried.
    let low = _mm512_or_si512(_mm512_set1_epi32(first as i32), numbers);
    let high = _mm512_set1_epi32((first >> 32) as i32);
    let mut values = start();
    let mut quarters = [_mm512_setzero_si512(); 16];
    let mut next = quarters;
    // SAFETY: as the caller promises.
    let load = |block, i, quarters: &mut Words| unsafe { quarter(group, block, i, quarters) };
    for i in 0..4 {
        load(0, i, &mut quarters);
    }
    for i in 0..4 {
        column(&quarters, i, &mut next);
    }
    for block in 0..BLOCKS {
        prefetch(group.wrapping_add(1), block);
        let words = next;
        let flags = match block {
            0 => CHUNK_START,
            _ if block + 1 == BLOCKS => CHUNK_END,
            _ => 0,
        };
        let mut v = state(&values, low, high, flags);
        // The next block is transposed meanwhile: the rounds need two of the CPU's ports, and
        // transposing alone would leave one of them idle. After the last block it is done in vain.
        let after = (block + 1) % BLOCKS;
        round::<0>(&mut v, &words);
        load(after, 0, &mut quarters);
        round::<1>(&mut v, &words);
        load(after, 1, &mut quarters);
        round::<2>(&mut v, &words);
        load(after, 2, &mut quarters);
        round::<3>(&mut v, &words);
        load(after, 3, &mut quarters);
        round::<4>(&mut v, &words);
        column(&quarters, 0, &mut next);
        column(&quarters, 1, &mut next);
        round::<5>(&mut v, &words);
        column(&quarters, 2, &mut next);
        round::<6>(&mut v, &words);
        column(&quarters, 3, &mut next);
        values = end(&v);
    }
    values
}

/// Asks for a sixteenth of a group, which need not be there: memory is far away, and the CPU doesn't foresee
/// sixteen places at once.
#[inline]
fn prefetch(group: *const Group, part: usize) {
    let lines: *const [u8; 64] = group.cast();
    for line in 0..LANES {
        // SAFETY: it is a hint for any address, and never a fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(lines.wrapping_add(part * LANES + line).cast()) };
    }
}

/// Parents of the sixteen values in `a` and the sixteen in `b`.
#[target_feature(enable = "avx512f")]
fn parents(a: &Values, b: &Values) -> Values {
    let left = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let right = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    let words: Words = array::from_fn(|i| {
        let side = if i < 8 { left } else { right };
        _mm512_permutex2var_epi32(a[i % 8], side, b[i % 8])
    });
    let zero = _mm512_setzero_si512();
    let mut v = state(&start(), zero, zero, PARENT);
    round::<0>(&mut v, &words);
    round::<1>(&mut v, &words);
    round::<2>(&mut v, &words);
    round::<3>(&mut v, &words);
    round::<4>(&mut v, &words);
    round::<5>(&mut v, &words);
    round::<6>(&mut v, &words);
    end(&v)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn start() -> Values {
    IV.map(|word| _mm512_set1_epi32(word as i32))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn state(values: &Values, low: __m512i, high: __m512i, flags: u32) -> Words {
    let (iv, len) = (start(), _mm512_set1_epi32(BLOCK_LEN as i32));
    let flags = _mm512_set1_epi32(flags as i32);
    array::from_fn(|i| match i {
        0..8 => values[i],
        8..12 => iv[i - 8],
        12 => low,
        13 => high,
        14 => len,
        _ => flags,
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn end(v: &Words) -> Values {
    array::from_fn(|i| _mm512_xor_si512(v[i], v[i + 8]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn round<const R: usize>(v: &mut Words, words: &Words) {
    let at = |i: usize| words[SCHEDULE[R][i]];
    mix(v, [0, 4, 8, 12], at(0), at(1));
    mix(v, [1, 5, 9, 13], at(2), at(3));
    mix(v, [2, 6, 10, 14], at(4), at(5));
    mix(v, [3, 7, 11, 15], at(6), at(7));
    mix(v, [0, 5, 10, 15], at(8), at(9));
    mix(v, [1, 6, 11, 12], at(10), at(11));
    mix(v, [2, 7, 8, 13], at(12), at(13));
    mix(v, [3, 4, 9, 14], at(14), at(15));
}

/// BLAKE3's function G.
#[inline]
#[target_feature(enable = "avx512f")]
fn mix(v: &mut Words, [a, b, c, d]: [usize; 4], x: __m512i, y: __m512i) {
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], x), v[b]);
    v[d] = _mm512_ror_epi32::<16>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<12>(_mm512_xor_si512(v[b], v[c]));
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], y), v[b]);
    v[d] = _mm512_ror_epi32::<8>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<7>(_mm512_xor_si512(v[b], v[c]));
}

/// Words of a block that belong together, of four of the lanes: half of the way from lanes to words.
///
/// # Safety
/// The group can be read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn quarter(group: *const Group, block: usize, i: usize, quarters: &mut Words) {
    let [a, b, c, d] = array::from_fn(|lane| {
        // SAFETY: these 64 bytes are the group's. They may be unaligned.
        unsafe { _mm512_loadu_si512((&raw const (*group)[4 * i + lane][block]).cast()) }
    });
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    quarters[4 * i] = _mm512_unpacklo_epi64(ab_low, cd_low);
    quarters[4 * i + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    quarters[4 * i + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    quarters[4 * i + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

/// Words `i`, `i + 4`, `i + 8` and `i + 12` of each lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn column(quarters: &Words, i: usize, words: &mut Words) {
    let [a, b, c, d] = [
        quarters[i],
        quarters[4 + i],
        quarters[8 + i],
        quarters[12 + i],
    ];
    let (ab_even, ab_odd) = (even(a, b), odd(a, b));
    let (cd_even, cd_odd) = (even(c, d), odd(c, d));
    words[i] = even(ab_even, cd_even);
    words[4 + i] = even(ab_odd, cd_odd);
    words[8 + i] = odd(ab_even, cd_even);
    words[12 + i] = odd(ab_odd, cd_odd);
}

/// The first and third quarter of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn even(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b)
}

/// The second and fourth quarter of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn odd(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b)
}
