//! Random numbers by position: any number of any stream without those before it.
//! It must not know what the numbers are used for.
//!
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) under a
//! key derived from (seed, name, a). A run resumes anywhere from (epoch, step) alone, and no
//! thread count changes what anyone draws.

use crate::math;

/// What a stream is for: streams of different names are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamName {
    /// Initial weights; `a` is the tensor's place in the network.
    Init,
    /// Order of the training images; `a` is the epoch.
    Shuffle,
    /// Flips and brightness; `a` is the epoch.
    Augment,
    /// Dropout masks; `a` is the optimiser's step.
    Dropout,
    /// Generated images; `a` is the image.
    Data,
    /// Splits and subsets of a data set.
    Split,
    /// Choice of images for measurements.
    Sample,
}

impl StreamName {
    /// Part of the key: never renumber, or every result changes.
    fn number(self) -> u32 {
        match self {
            Self::Init => 1,
            Self::Shuffle => 2,
            Self::Augment => 3,
            Self::Dropout => 4,
            Self::Data => 5,
            Self::Split => 6,
            Self::Sample => 7,
        }
    }
}

/// An endless sequence of random numbers with access by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

/// Kinds of numbers draw from disjoint counters, so that none is ever used twice.
const WORDS: u32 = 0;
const NORMALS: u32 = 1;
const TRUNCATED: u32 = 2;

impl Stream {
    /// The stream `name` of `seed`; `a` tells apart streams of one name (an epoch, a step).
    #[must_use]
    pub fn new(seed: u64, name: StreamName, a: u64) -> Self {
        let block = philox(
            [name.number(), a as u32, (a >> 32) as u32, 0],
            [seed as u32, (seed >> 32) as u32],
        );
        Self {
            key: [block[0], block[1]],
        }
    }

    /// What tells this stream apart, for those who draw from it elsewhere.
    #[must_use]
    pub fn key(&self) -> [u32; 2] {
        self.key
    }

    /// Uniform over all 32-bit words.
    #[must_use]
    pub fn u32_at(&self, i: u64) -> u32 {
        self.block(i / 4, 0, WORDS)[(i % 4) as usize]
    }

    /// Uniform over the multiples of 2^-24 in `[0, 1)`.
    #[must_use]
    pub fn uniform_at(&self, i: u64) -> f32 {
        unit(self.u32_at(i))
    }

    /// `uniform_at(start), uniform_at(start + 1), ...`, at a quarter of the cost.
    pub fn uniforms(&self, start: u64) -> impl Iterator<Item = f32> {
        self.words(start).map(unit)
    }

    /// `u32_at(start), u32_at(start + 1), ...`, at a quarter of the cost.
    pub fn words(&self, start: u64) -> impl Iterator<Item = u32> {
        let stream = *self;
        let skip = (start % 4) as usize;
        (start / 4..=u64::MAX)
            .flat_map(move |b| stream.block(b, 0, WORDS))
            .skip(skip)
    }

    /// Standard normal, by Box and Muller's transform in f64 with `libm`'s logarithm and cosine.
    #[must_use]
    pub fn normal_at(&self, i: u64) -> f64 {
        let [a, b, c, d] = self.block(i, 0, NORMALS).map(f64::from);
        // 53 bits each; the first in (0, 1], so that its logarithm is finite.
        let radius = ((a * 2_097_152.0 + (b / 2048.0).floor()) + 1.0) / 9_007_199_254_740_992.0;
        let angle = (c * 2_097_152.0 + (d / 2048.0).floor()) / 9_007_199_254_740_992.0;
        (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
    }

    /// Standard normal cut at two standard deviations: uniform on `[-2, 2]`, kept with
    /// probability `exp(-x^2 / 2)` (rejection: about 1.7 draws for each number).
    #[must_use]
    pub fn truncated_normal_at(&self, i: u64) -> f32 {
        let mut attempt = 0_u32;
        loop {
            let [a, b, c, d] = self.block(i, attempt, TRUNCATED);
            for (place, chance) in [(a, b), (c, d)] {
                // Centres of 2^24 cells, exact in f32 and symmetric about 0.
                let x = ((place >> 8) as f32 + 0.5).mul_add(1.0 / 4_194_304.0, -2.0);
                if unit(chance) < math::exp(-0.5 * x * x) {
                    return x;
                }
            }
            attempt = attempt.wrapping_add(1);
        }
    }

    /// A uniformly random order of `0..n` (Fisher and Yates, without bias).
    #[must_use]
    pub fn permutation(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        let mut words = self.words(0);
        for last in (1..n).rev() {
            order.swap(last, below(&mut words, last as u64 + 1));
        }
        order
    }

    fn block(&self, i: u64, attempt: u32, kind: u32) -> [u32; 4] {
        philox([i as u32, (i >> 32) as u32, attempt, kind], self.key)
    }
}

/// Uniform in `0..bound` from 64-bit draws, by Lemire's multiplication with rejection.
fn below(words: &mut impl Iterator<Item = u32>, bound: u64) -> usize {
    let mut draw = || {
        let mut word = || u64::from(words.next().unwrap_or(0));
        word() << 32 | word()
    };
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(draw()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as usize;
        }
    }
}

fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Ten rounds of Philox4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [
                key[0].wrapping_add(0x9e37_79b9),
                key[1].wrapping_add(0xbb67_ae85),
            ];
        }
        let a = u64::from(counter[0]) * 0xd251_1f53;
        let b = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_known_answers() {
        // Random123's kat_vectors.
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn reading_in_order_equals_reading_by_position() {
        let stream = Stream::new(42, StreamName::Dropout, 7);
        for start in [0, 1, 3, 6] {
            let read: Vec<u32> = stream.words(start).take(11).collect();
            let looked_up: Vec<u32> = (start..start + 11).map(|i| stream.u32_at(i)).collect();
            assert_eq!(read, looked_up);
        }
    }

    #[test]
    fn seed_name_and_a_each_change_the_stream() {
        let base = Stream::new(42, StreamName::Init, 0);
        for other in [
            Stream::new(43, StreamName::Init, 0),
            Stream::new(42 + (1 << 32), StreamName::Init, 0),
            Stream::new(42, StreamName::Shuffle, 0),
            Stream::new(42, StreamName::Init, 1),
            Stream::new(42, StreamName::Init, 1 << 32),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let stream = Stream::new(1, StreamName::Data, 0);
        let n = 200_000_u32;
        let moments = |draw: &dyn Fn(u64) -> f64| {
            let (sum, squares) = (0..u64::from(n))
                .fold((0.0, 0.0), |(s, q), i| (s + draw(i), q + draw(i) * draw(i)));
            (sum / f64::from(n), squares / f64::from(n))
        };
        let close = |(mean, square): (f64, f64), m: f64, q: f64| {
            (mean - m).abs() < 0.01 && (square - q).abs() < 0.015
        };
        assert!(close(
            moments(&|i| stream.uniform_at(i).into()),
            0.5,
            1.0 / 3.0
        ));
        assert!(close(moments(&|i| stream.normal_at(i)), 0.0, 1.0));
        let truncated = moments(&|i| stream.truncated_normal_at(i).into());
        assert!(
            close(truncated, 0.0, 0.879_625_66_f64.powi(2)),
            "{truncated:?}"
        );
        assert!((0..u64::from(n)).all(|i| stream.truncated_normal_at(i).abs() <= 2.0));
    }

    #[test]
    fn permutations_hold_every_number_once_and_favour_none() {
        assert_eq!(
            Stream::new(0, StreamName::Shuffle, 0).permutation(0),
            Vec::<usize>::new()
        );
        let mut counts = [0_u32; 6];
        for epoch in 0..6000 {
            let order = Stream::new(9, StreamName::Shuffle, epoch).permutation(3);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            counts[order[0] * 2 + usize::from(order[1] > order[2])] += 1;
        }
        assert!(
            counts.iter().all(|&c| (850..1150).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn values_are_pinned() {
        let stream = Stream::new(42, StreamName::Shuffle, 3);
        let normals = [0, 1, 2].map(|i| stream.normal_at(i).to_bits());
        let truncated = [0, 1, 2].map(|i| stream.truncated_normal_at(i).to_bits());
        assert_eq!(stream.permutation(8), [3, 6, 0, 7, 2, 5, 1, 4]);
        assert_eq!(
            normals,
            [0xbfd3ba9f59562cf4, 0x3fc4eae675edb4e3, 0x3fe4eea795e9f60e]
        );
        assert_eq!(truncated, [0x3e99bf90, 0xbf97b445, 0x3d6ba680]);
    }
}
