//! Schemes for stride 2, which halves a map, and for its transpose, which doubles one.
//! It must not know maps, memory, vectors or threads.
//!
//! Output `o` sees inputs `2o - 1`, `2o` and `2o + 1`. The odd ones pass a 2-tap convolution of
//! stride 1, which Toom and Cook's method shortens; the even ones a single tap, one product each.
//! Backwards, with the weights turned around, even pixels receive the single tap and odd ones the
//! 2-tap convolution.

use super::{Line, Number, Scheme, Transposed, put};

/// F(4, 2): 5 products for 4 outputs of a 2-tap convolution, evaluated at ±1/2, ±5/4 and
/// infinity, exact in binary: its error is 2.1 times that of direct convolution, against 4 at
/// 0, ±1 and 2.
mod four {
    use super::Number;

    const A: f64 = 0.5;
    const B: f64 = 1.25;
    const A2: f64 = A * A;
    const B2: f64 = B * B;
    const AT_A: f64 = 1.0 / (2.0 * A * (A2 - B2));
    const AT_B: f64 = 1.0 / (2.0 * B * (B2 - A2));

    #[inline(always)]
    pub(super) fn inputs<T: Number>(x: [T; 5]) -> [T; 5] {
        let even_a = x[0].times_plus(-B2, x[2]);
        let odd_a = x[1].times_plus(-B2, x[3]);
        let even_b = x[0].times_plus(-A2, x[2]);
        let odd_b = x[1].times_plus(-A2, x[3]);
        [
            even_a.times_plus(A, odd_a),
            even_a.times_plus(-A, odd_a),
            even_b.times_plus(B, odd_b),
            even_b.times_plus(-B, odd_b),
            x[0].times_plus(A2 * B2, x[2].times_plus(-(A2 + B2), x[4])),
        ]
    }

    #[inline(always)]
    pub(super) fn weights<T: Number>(first: T, second: T) -> [T; 5] {
        [
            second.times_plus(A * AT_A, first.times(AT_A)),
            second.times_plus(A * AT_A, first.times(-AT_A)),
            second.times_plus(B * AT_B, first.times(AT_B)),
            second.times_plus(B * AT_B, first.times(-AT_B)),
            second,
        ]
    }

    #[inline(always)]
    pub(super) fn outputs<T: Number>(m: [T; 5]) -> [T; 4] {
        let (sum_a, difference_a) = (m[0].plus(m[1]), m[0].minus(m[1]));
        let (sum_b, difference_b) = (m[2].plus(m[3]), m[2].minus(m[3]));
        [
            sum_a.plus(sum_b),
            difference_a.times_plus(A, difference_b.times(B)),
            sum_a.times_plus(A2, sum_b.times(B2)),
            m[4].plus(difference_a.times_plus(A2 * A, difference_b.times(B2 * B))),
        ]
    }

    #[inline(always)]
    pub(super) fn outputs_transposed<T: Number>(dy: [T; 4]) -> [T; 5] {
        let even_a = dy[2].times_plus(A2, dy[0]);
        let odd_a = dy[3].times_plus(A2, dy[1]);
        let even_b = dy[2].times_plus(B2, dy[0]);
        let odd_b = dy[3].times_plus(B2, dy[1]);
        [
            odd_a.times_plus(A, even_a),
            odd_a.times_plus(-A, even_a),
            odd_b.times_plus(B, even_b),
            odd_b.times_plus(-B, even_b),
            dy[3],
        ]
    }

    #[inline(always)]
    pub(super) fn weights_transposed<T: Number>(du: [T; 5]) -> [T; 2] {
        let (sum_a, difference_a) = (du[0].plus(du[1]), du[0].minus(du[1]));
        let (sum_b, difference_b) = (du[2].plus(du[3]), du[2].minus(du[3]));
        [
            difference_a.times_plus(AT_A, difference_b.times(AT_B)),
            sum_a.times_plus(A * AT_A, sum_b.times_plus(B * AT_B, du[4])),
        ]
    }
}

/// F(2, 2): 3 products for 2 outputs of a 2-tap convolution, by additions alone:
/// `y0 = (x0 - x1) w0 + x1 (w0 + w1)`, `y1 = x1 (w0 + w1) - (x1 - x2) w1`.
mod two {
    use super::Number;

    #[inline(always)]
    pub(super) fn inputs<T: Number>(x: [T; 3]) -> [T; 3] {
        [x[0].minus(x[1]), x[1], x[1].minus(x[2])]
    }

    #[inline(always)]
    pub(super) fn weights<T: Number>(first: T, second: T) -> [T; 3] {
        [first, first.plus(second), second]
    }

    #[inline(always)]
    pub(super) fn outputs<T: Number>(m: [T; 3]) -> [T; 2] {
        [m[0].plus(m[1]), m[1].minus(m[2])]
    }

    /// The last one's sign is turned, here and in [`weights_transposed`]: negating saves nothing.
    #[inline(always)]
    pub(super) fn outputs_transposed<T: Number>(dy: [T; 2]) -> [T; 3] {
        [dy[0], dy[0].plus(dy[1]), dy[1]]
    }

    #[inline(always)]
    pub(super) fn weights_transposed<T: Number>(du: [T; 3]) -> [T; 2] {
        [du[0].plus(du[1]), du[1].minus(du[2])]
    }
}

/// Writes a scheme and its transpose: `$outputs` outputs of stride 2 with `$core`'s `$products`
/// products for the odd inputs and one for each even input.
macro_rules! halving {
    ($down:ident, $up:ident, $core:ident, $outputs:literal, $products:literal) => {
        /// Stride 2, to this many outputs.
        pub(crate) struct $down;

        impl Scheme for $down {
            const OUTPUTS: usize = $outputs;
            const INPUTS: usize = 2 * $outputs + 1;
            const STEP: usize = 2 * $outputs;
            const BEFORE: usize = 1;
            const PRODUCTS: usize = $products + $outputs;
            const WEIGHTS: usize = $products + 1;

            #[inline(always)]
            fn inputs<T: Number>(x: &mut Line<T>) {
                let odd: [T; $outputs + 1] = take(x, 0, 2);
                let even: [T; $outputs] = take(x, 1, 2);
                put(x, 0, $core::inputs(odd));
                put(x, $products, even);
            }

            #[inline(always)]
            fn weights<T: Number>(w: &mut Line<T>) {
                let [before, at, after] = take(w, 0, 1);
                put(w, 0, $core::weights(before, after));
                w[$products] = at;
            }

            #[inline(always)]
            fn outputs<T: Number>(m: &mut Line<T>) {
                let mut y = $core::outputs(take(m, 0, 1));
                for i in 0..$outputs {
                    y[i] = y[i].plus(m[$products + i]);
                }
                put(m, 0, y);
            }
        }

        impl Transposed for $down {
            #[inline(always)]
            fn outputs_transposed<T: Number>(dy: &mut Line<T>) {
                let even: [T; $outputs] = take(dy, 0, 1);
                put(dy, 0, $core::outputs_transposed(even));
                put(dy, $products, even);
            }

            #[inline(always)]
            fn weights_transposed<T: Number>(du: &mut Line<T>) {
                let [before, after] = $core::weights_transposed(take(du, 0, 1));
                put(du, 0, [before, du[$products], after]);
            }
        }

        /// The transpose of stride 2, from this many inputs to twice as many outputs.
        pub(crate) struct $up;

        impl Scheme for $up {
            const OUTPUTS: usize = 2 * $outputs;
            const INPUTS: usize = $outputs + 1;
            const STEP: usize = $outputs;
            const BEFORE: usize = 0;
            const PRODUCTS: usize = $products + $outputs;
            const WEIGHTS: usize = $products + 1;

            #[inline(always)]
            fn inputs<T: Number>(x: &mut Line<T>) {
                let even: [T; $outputs] = take(x, 0, 1);
                put(x, 0, $core::inputs(take(x, 0, 1)));
                put(x, $products, even);
            }

            #[inline(always)]
            fn weights<T: Number>(w: &mut Line<T>) {
                $down::weights(w);
            }

            #[inline(always)]
            fn outputs<T: Number>(m: &mut Line<T>) {
                let odd = $core::outputs(take(m, 0, 1));
                let even: [T; $outputs] = take(m, $products, 1);
                for i in 0..$outputs {
                    m[2 * i] = even[i];
                    m[2 * i + 1] = odd[i];
                }
            }
        }
    };
}

halving!(Down4, Up4, four, 4, 5);
halving!(Down2, Up2, two, 2, 3);

/// `N` numbers of a line, from `start` on, `step` apart.
#[inline(always)]
fn take<T: Number, const N: usize>(line: &Line<T>, start: usize, step: usize) -> [T; N] {
    let mut numbers = [line[0]; N];
    for i in 0..N {
        numbers[i] = line[start + i * step];
    }
    numbers
}
