//! Random numbers that are the same everywhere: a seed and a name give a stream.
//!
//! Training draws from `nn::random` by position. This sequential generator draws synthetic images and
//! splits: another one there would change every data set, and with it every result.

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood, 2014) over a counter.
///
/// Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// 2^64 divided by the golden ratio, SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream called `name` of this seed; other names give unrelated streams.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a tells names apart; mixing makes neighbouring seeds unrelated.
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self {
            state: mix(mix(seed.wrapping_add(GOLDEN)) ^ name),
        }
    }

    /// A stream of its own for the `index`th of something, whatever was drawn before.
    #[must_use]
    pub fn nth(seed: u64, name: &str, index: u64) -> Self {
        let base = Self::new(seed, name).state;
        Self {
            state: mix(base ^ mix(index.wrapping_mul(GOLDEN).wrapping_add(GOLDEN))),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`, all equally likely; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire, 2019: multiply, and draw again where the low half would favour some.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number from 0 up to, not including, 1: a multiple of 2^-24, so exact in an `f32`.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A number from `low` up to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True once in `1 / probability` times.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// The numbers from 0 to `count - 1` in random order (Fisher and Yates).
    #[must_use]
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

/// SplitMix64's finaliser: a bijection that spreads every input bit over all output bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Results rest on these numbers: whoever changes them changes every data set.
    #[test]
    fn the_streams_never_change() {
        let mut random = Random::new(42, "split");
        let first = [
            random.bits(),
            random.bits(),
            Random::nth(42, "image", 7).bits(),
        ];
        insta::assert_debug_snapshot!(first, @"
        [
            4701419920071105986,
            8618044940228439582,
            3786586088724998603,
        ]
        ");
    }

    #[test]
    fn a_stream_depends_on_seed_name_and_index() {
        let bits = |mut random: Random| random.bits();
        let base = bits(Random::nth(1, "a", 0));
        assert_ne!(base, bits(Random::nth(2, "a", 0)));
        assert_ne!(base, bits(Random::nth(1, "b", 0)));
        assert_ne!(base, bits(Random::nth(1, "a", 1)));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut random = Random::new(1, "even");
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        // Five standard deviations of a binomial with n = 100,000 and p = 0.1.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 475),
            "{counts:?}"
        );
        let mean = (0..100_000).map(|_| f64::from(random.unit())).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }

    proptest! {
        #[test]
        fn a_permutation_holds_every_number_once(seed: u64, count in 0_usize..200) {
            let mut order = Random::new(seed, "test").permutation(count);
            order.sort_unstable();
            prop_assert_eq!(order, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn numbers_stay_below_their_bound(seed: u64, bound in 1_u64..) {
            prop_assert!(Random::new(seed, "test").below(bound) < bound);
        }
    }
}
