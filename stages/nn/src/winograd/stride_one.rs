//! Schemes for stride 1: tiles of 4 outputs, and whole maps of 2.
//! It must not know maps, memory, vectors or threads.

use super::{Line, Number, Scheme, Transposed, put};

/// F(4, 3): 6 products for 4 outputs, evaluated at 0, ±5/8, ±3/2 and infinity.
///
/// These points are exact in binary and lose about 2 bits where the usual 0, ±1, ±2 lose 3: the
/// error of a sum over 64 channels is 2.1 times that of direct convolution instead of 4.5.
pub(crate) struct Tile4;

/// The inner points ±A and outer points ±B of [`Tile4`].
const A: f64 = 0.625;
const B: f64 = 1.5;
const A2: f64 = A * A;
const B2: f64 = B * B;

impl Scheme for Tile4 {
    const OUTPUTS: usize = 4;
    const INPUTS: usize = 6;
    const STEP: usize = 4;
    const BEFORE: usize = 1;
    const PRODUCTS: usize = 6;
    const WEIGHTS: usize = 6;

    #[inline(always)]
    fn inputs<T: Number>(x: &mut Line<T>) {
        let even_a = x[2].times_plus(-B2, x[4]);
        let odd_a = x[1].times_plus(-B2, x[3]);
        let even_b = x[2].times_plus(-A2, x[4]);
        let odd_b = x[1].times_plus(-A2, x[3]);
        put(
            x,
            0,
            [
                x[0].times_plus(A2 * B2, x[2].times_plus(-(A2 + B2), x[4])),
                odd_a.times_plus(A, even_a),
                odd_a.times_plus(-A, even_a),
                odd_b.times_plus(B, even_b),
                odd_b.times_plus(-B, even_b),
                x[1].times_plus(A2 * B2, x[3].times_plus(-(A2 + B2), x[5])),
            ],
        );
    }

    #[inline(always)]
    fn weights<T: Number>(w: &mut Line<T>) {
        const AT_A: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
        const AT_B: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
        let even_a = w[2].times_plus(A2 * AT_A, w[0].times(AT_A));
        let even_b = w[2].times_plus(B2 * AT_B, w[0].times(AT_B));
        put(
            w,
            0,
            [
                w[0].times(1.0 / (A2 * B2)),
                w[1].times_plus(A * AT_A, even_a),
                w[1].times_plus(-A * AT_A, even_a),
                w[1].times_plus(B * AT_B, even_b),
                w[1].times_plus(-B * AT_B, even_b),
                w[2],
            ],
        );
    }

    #[inline(always)]
    fn outputs<T: Number>(m: &mut Line<T>) {
        let (sum_a, difference_a) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (sum_b, difference_b) = (m[3].plus(m[4]), m[3].minus(m[4]));
        put(
            m,
            0,
            [
                m[0].plus(sum_a.plus(sum_b)),
                difference_a.times_plus(A, difference_b.times(B)),
                sum_a.times_plus(A2, sum_b.times(B2)),
                m[5].plus(difference_a.times_plus(A2 * A, difference_b.times(B2 * B))),
            ],
        );
    }
}

impl Transposed for Tile4 {
    #[inline(always)]
    fn outputs_transposed<T: Number>(dy: &mut Line<T>) {
        let even_a = dy[2].times_plus(A2, dy[0]);
        let odd_a = dy[3].times_plus(A2, dy[1]);
        let even_b = dy[2].times_plus(B2, dy[0]);
        let odd_b = dy[3].times_plus(B2, dy[1]);
        put(
            dy,
            0,
            [
                dy[0],
                odd_a.times_plus(A, even_a),
                odd_a.times_plus(-A, even_a),
                odd_b.times_plus(B, even_b),
                odd_b.times_plus(-B, even_b),
                dy[3],
            ],
        );
    }

    #[inline(always)]
    fn weights_transposed<T: Number>(du: &mut Line<T>) {
        const AT_A: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
        const AT_B: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
        let (sum_a, difference_a) = (du[1].plus(du[2]), du[1].minus(du[2]));
        let (sum_b, difference_b) = (du[3].plus(du[4]), du[3].minus(du[4]));
        put(
            du,
            0,
            [
                sum_a.times_plus(AT_A, sum_b.times_plus(AT_B, du[0].times(1.0 / (A2 * B2)))),
                difference_a.times_plus(A * AT_A, difference_b.times(B * AT_B)),
                sum_a.times_plus(A2 * AT_A, sum_b.times_plus(B2 * AT_B, du[5])),
            ],
        );
    }
}

/// A whole line of 2 between zeros: `y0 = w1 x0 + w2 x1`, `y1 = w0 x0 + w1 x1` with 3 products
/// instead of 4 (and instead of 6 with the zeros).
pub(crate) struct Map2;

impl Scheme for Map2 {
    const OUTPUTS: usize = 2;
    const INPUTS: usize = 2;
    const STEP: usize = 2;
    const BEFORE: usize = 0;
    const PRODUCTS: usize = 3;
    const WEIGHTS: usize = 3;

    #[inline(always)]
    fn inputs<T: Number>(x: &mut Line<T>) {
        put(x, 0, [x[0].plus(x[1]), x[1], x[0]]);
    }

    #[inline(always)]
    fn weights<T: Number>(w: &mut Line<T>) {
        put(w, 0, [w[1], w[2].minus(w[1]), w[0].minus(w[1])]);
    }

    #[inline(always)]
    fn outputs<T: Number>(m: &mut Line<T>) {
        put(m, 0, [m[0].plus(m[1]), m[0].plus(m[2])]);
    }
}

impl Transposed for Map2 {
    #[inline(always)]
    fn outputs_transposed<T: Number>(dy: &mut Line<T>) {
        put(dy, 0, [dy[0].plus(dy[1]), dy[0], dy[1]]);
    }

    #[inline(always)]
    fn weights_transposed<T: Number>(du: &mut Line<T>) {
        let middle = du[0].minus(du[1]).minus(du[2]);
        put(du, 0, [du[2], middle, du[1]]);
    }
}
