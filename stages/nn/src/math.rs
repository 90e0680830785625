//! Exponential and logarithm in f32, with the same bits on every CPU and code path.
//! It must not know the platform's libm.
//!
//! Polynomials of Cephes' `expf` and `logf` (S. Moshier), evaluated by Horner's rule with fused
//! multiply-adds in the order written; every operation used is correctly rounded by IEEE 754.

/// `e^x`, within 2 ulp; 0 below about -104, infinite above about 88.72, NaN for NaN.
#[must_use]
pub fn exp(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds a small number to an integer, ties to even.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    if x.is_nan() {
        return x;
    }
    if x > 88.722_84 {
        return f32::INFINITY;
    }
    if x < -104.0 {
        return 0.0;
    }
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p.mul_add(r, c);
    }
    let y = p.mul_add(r * r, r) + 1.0;
    // Two factors, so that neither leaves the normal range where the product does not.
    let n = n as i32;
    y * power_of_two(n / 2) * power_of_two(n - n / 2)
}

/// `ln x`, within 2 ulp; NaN below 0, negative infinity at 0.
#[must_use]
pub fn ln(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    if x.is_nan() || x == f32::INFINITY {
        return x;
    }
    if x <= 0.0 {
        return if x == 0.0 {
            f32::NEG_INFINITY
        } else {
            f32::NAN
        };
    }
    let (x, shift) = if x < f32::MIN_POSITIVE {
        (x * 8_388_608.0, -23)
    } else {
        (x, 0)
    };
    let bits = x.to_bits();
    let mut e = ((bits >> 23) as i32) - 126 + shift;
    // The mantissa in [0.5, 1), then in [sqrt(1/2), sqrt(2)).
    let mut m = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    if m < std::f32::consts::FRAC_1_SQRT_2 {
        e -= 1;
        m += m;
    }
    let e = e as f32;
    let r = m - 1.0;
    let z = r * r;
    let mut p = 7.037_683_6e-2_f32;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        0.333_333_3,
    ] {
        p = p.mul_add(r, c);
    }
    let y = e.mul_add(LN2_LOW, p * r * z);
    let y = z.mul_add(-0.5, y);
    e.mul_add(LN2_HIGH, r + y)
}

/// `2^n` for `n` in -126..=127.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// `base^exponent` by squaring, high bit first, in f64.
#[must_use]
pub fn power(base: f64, exponent: u64) -> f64 {
    let mut result = 1.0_f64;
    for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
        result *= result;
        if exponent >> bit & 1 == 1 {
            result *= base;
        }
    }
    result
}

/// `a * b + c`, rounded once: the bits of [`f32::mul_add`] without the library call that it is
/// where the compiler may not use FMA instructions.
///
/// The product of two `f32` is exact in `f64`; the sum is rounded to odd there (Boldo and
/// Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Trans. Computers 57, 2008),
/// so that rounding it to `f32` gives what one rounding would.
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // Knuth's two-sum: what the rounding of `sum` lost, exactly.
    let part = sum - product;
    let lost = (product - (sum - part)) + (c - part);
    let bits = sum.to_bits();
    // Of the two neighbours of the true sum the one whose last bit is odd. Comparisons are
    // false where infinities made `lost` a NaN.
    let inexact = lost.abs() > 0.0;
    let away = (lost > 0.0) == (sum > 0.0);
    // Nothing wraps, but checks for it would keep loops from being vectorised.
    let odd = match (inexact && bits & 1 == 0, away) {
        (false, _) => bits,
        (true, true) => bits.wrapping_add(1),
        (true, false) => bits.wrapping_sub(1),
    };
    f64::from_bits(odd) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: f32, b: f32, c: f32) {
        let (ours, theirs) = (fma(a, b, c), a.mul_add(b, c));
        let both_nan = ours.is_nan() && theirs.is_nan();
        assert!(
            both_nan || ours.to_bits() == theirs.to_bits(),
            "{a:e} * {b:e} + {c:e}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_fused_product_has_the_bits_of_the_librarys(a: u32, b: u32, c: u32) {
            same(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        }

        /// Sums that nearly cancel, and summands of all relative sizes.
        #[test]
        fn a_fused_product_is_rounded_once(a in 1.0f32..2.0, b in 1.0f32..2.0, c in 0u32..1 << 24, e in -60i32..60, minus: bool) {
            let scale = f32::from_bits(((127 + e.clamp(-60, 60)) as u32) << 23);
            let c = (c as f32 + 0.5) * scale * f32::from_bits((127 - 24) << 23);
            let c = if minus { -c } else { c };
            same(a, b, c);
            same(a, -b, c);
            same(a, b, -(a * b));
            same(a * 1e-25, b * 1e-20, c * 1e-38);
        }
    }

    #[test]
    fn a_fused_product_knows_the_special_numbers() {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::MIN_POSITIVE,
            1e-45,
            f32::MAX,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        for a in special {
            for b in special {
                for c in special {
                    same(a, b, c);
                }
            }
        }
    }

    /// Distance in units of the last place of the rounded exact value.
    fn ulps(got: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        let next = f32::from_bits(rounded.abs().to_bits() + 1);
        (f64::from(got) - exact).abs() / f64::from(next - rounded.abs())
    }

    #[test]
    fn exp_and_ln_stay_within_two_ulps() {
        let mut worst = [0.0_f64; 2];
        for i in 0..400_000_u32 {
            let x = -103.0 + i as f32 * (191.5 / 400_000.0);
            worst[0] = worst[0].max(ulps(exp(x), libm::exp(f64::from(x))));
            let y = f32::from_bits(1 + i * (0x7f7f_ffff / 400_000));
            worst[1] = worst[1].max(ulps(ln(y), libm::log(f64::from(y))));
            let near_one = 0.5 + i as f32 * (1.5 / 400_000.0);
            worst[1] = worst[1].max(ulps(ln(near_one), libm::log(f64::from(near_one))));
        }
        assert!(worst[0] < 2.0 && worst[1] < 2.0, "{worst:?}");
    }

    #[test]
    fn edges_are_exact() {
        assert_eq!(
            [exp(0.0), exp(-200.0), exp(200.0), exp(f32::NEG_INFINITY)],
            [1.0, 0.0, f32::INFINITY, 0.0]
        );
        assert_eq!(
            [ln(1.0), ln(0.0), ln(f32::INFINITY)],
            [0.0, f32::NEG_INFINITY, f32::INFINITY]
        );
        assert!(exp(f32::NAN).is_nan() && ln(-1.0).is_nan() && ln(f32::NAN).is_nan());
        assert!(exp(88.72).is_finite() && exp(-103.9) >= 0.0);
    }

    #[test]
    fn bits_are_pinned() {
        let bits = [exp(1.0), exp(-0.5), exp(10.25), ln(2.0), ln(10.0), ln(0.3)].map(f32::to_bits);
        assert_eq!(
            bits,
            [
                0x402d_f854,
                0x3f1b_4598,
                0x46dc_f516,
                0x3f31_7218,
                0x4013_5d8e,
                0xbf9a_1bc8
            ]
        );
    }

    #[test]
    fn power_multiplies_out() {
        assert_eq!(
            [power(0.9, 0), power(0.9, 1), power(2.0, 10), power(0.0, 3)],
            [1.0, 0.9, 1024.0, 0.0]
        );
        assert!((power(0.999, 1000) - 0.999_f64.powi(1000)).abs() < 1e-12);
    }
}
