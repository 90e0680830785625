//! Winograd's minimal filtering in one dimension: which sums and products, in which order.
//! It must not know maps, memory, vectors or threads.
//!
//! A 3-tap convolution of a whole tile costs [`Scheme::PRODUCTS`] multiplications instead of three
//! an output: transform inputs and weights, multiply, transform back. Two dimensions nest: rows
//! first, then columns. S. Winograd, "Arithmetic Complexity of Computations" (1980); A. Lavin and
//! S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). The same transforms,
//! transposed, give the weight gradient.

use crate::network::Conv;

/// Most inputs or products of a scheme; shorter ones leave the rest of an array arbitrary.
pub(crate) const MOST: usize = 6;

/// A row or column of a tile.
pub(crate) type Line<T> = [T; MOST];

/// A tile: rows of columns.
pub(crate) type Tile<T> = [Line<T>; MOST];

/// What transforms compute with: numbers, or vectors of independent ones.
pub(crate) trait Number: Copy {
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self - other`.
    fn minus(self, other: Self) -> Self;
    /// `self * factor`.
    fn times(self, factor: f64) -> Self;
    /// `self * factor + other`, rounded once.
    fn times_plus(self, factor: f64, other: Self) -> Self;
}

/// Which scheme computes a convolution: a fixed rule by shape, so that results depend on nothing
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Tap by tap.
    Direct,
    /// Tiles of 4x4 outputs, [`Tile4`].
    Tiles,
    /// The whole 2x2 map at once, [`Map2`].
    Map,
}

/// The method for `conv`: 3x3 of stride 1 whose map is made of whole tiles, with channels that
/// fill vectors.
pub(crate) fn method(conv: &Conv) -> Method {
    let suits = conv.kernel == 3
        && conv.stride == 1
        && conv.inputs.is_multiple_of(16)
        && conv.outputs.is_multiple_of(16);
    match conv.size {
        2 if suits => Method::Map,
        size if suits && size.is_multiple_of(Tile4::OUTPUTS) => Method::Tiles,
        _ => Method::Direct,
    }
}

/// A way to compute [`Scheme::OUTPUTS`] neighbouring outputs of a 3-tap convolution.
pub(crate) trait Scheme {
    /// Outputs of a tile.
    const OUTPUTS: usize;
    /// Inputs of a tile.
    const INPUTS: usize;
    /// How many inputs lie before the first output's own place.
    const BEFORE: usize;
    /// Products of a tile.
    const PRODUCTS: usize;

    /// Inputs to products' left factors.
    fn inputs<T: Number>(x: Line<T>) -> Line<T>;
    /// Weights (the first three) to products' right factors.
    fn weights<T: Number>(w: Line<T>) -> Line<T>;
    /// Products to outputs.
    fn outputs<T: Number>(m: Line<T>) -> Line<T>;
    /// Transpose of [`Scheme::outputs`]: gradients of outputs to those of products.
    fn outputs_transposed<T: Number>(dy: Line<T>) -> Line<T>;
    /// Transpose of [`Scheme::weights`]: gradients of right factors to those of weights.
    fn weights_transposed<T: Number>(du: Line<T>) -> Line<T>;
}

/// A step of a scheme, from as many numbers to as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// [`Scheme::inputs`].
    Inputs,
    /// [`Scheme::weights`].
    Weights,
    /// [`Scheme::outputs`].
    Outputs,
    /// [`Scheme::outputs_transposed`].
    OutputsTransposed,
    /// [`Scheme::weights_transposed`].
    WeightsTransposed,
}

/// Applies a step to each row of a tile, then to each column of the result.
#[inline(always)]
pub(crate) fn nested<S: Scheme, T: Number>(step: Step, tile: Tile<T>) -> Tile<T> {
    let (rows, columns) = match step {
        Step::Inputs => (S::INPUTS, S::PRODUCTS),
        Step::Weights => (3, S::PRODUCTS),
        Step::Outputs => (S::PRODUCTS, S::OUTPUTS),
        Step::OutputsTransposed => (S::OUTPUTS, S::PRODUCTS),
        Step::WeightsTransposed => (S::PRODUCTS, 3),
    };
    let mut between = tile;
    for i in 0..rows {
        between[i] = along::<S, T>(step, tile[i]);
    }
    let mut result = between;
    for j in 0..columns {
        let mut column = between[0];
        for i in 0..MOST {
            column[i] = between[i][j];
        }
        column = along::<S, T>(step, column);
        for i in 0..MOST {
            result[i][j] = column[i];
        }
    }
    result
}

/// One row or column. (No function is handed in, as vectors must be inlined whole into their kernel.)
#[inline(always)]
fn along<S: Scheme, T: Number>(step: Step, line: Line<T>) -> Line<T> {
    match step {
        Step::Inputs => S::inputs(line),
        Step::Weights => S::weights(line),
        Step::Outputs => S::outputs(line),
        Step::OutputsTransposed => S::outputs_transposed(line),
        Step::WeightsTransposed => S::weights_transposed(line),
    }
}

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
    const BEFORE: usize = 1;
    const PRODUCTS: usize = 6;

    #[inline(always)]
    fn inputs<T: Number>(x: Line<T>) -> Line<T> {
        let even_a = x[2].times_plus(-B2, x[4]);
        let odd_a = x[1].times_plus(-B2, x[3]);
        let even_b = x[2].times_plus(-A2, x[4]);
        let odd_b = x[1].times_plus(-A2, x[3]);
        [
            x[0].times_plus(A2 * B2, x[2].times_plus(-(A2 + B2), x[4])),
            odd_a.times_plus(A, even_a),
            odd_a.times_plus(-A, even_a),
            odd_b.times_plus(B, even_b),
            odd_b.times_plus(-B, even_b),
            x[1].times_plus(A2 * B2, x[3].times_plus(-(A2 + B2), x[5])),
        ]
    }

    #[inline(always)]
    fn weights<T: Number>(w: Line<T>) -> Line<T> {
        const AT_A: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
        const AT_B: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
        let even_a = w[2].times_plus(A2 * AT_A, w[0].times(AT_A));
        let even_b = w[2].times_plus(B2 * AT_B, w[0].times(AT_B));
        [
            w[0].times(1.0 / (A2 * B2)),
            w[1].times_plus(A * AT_A, even_a),
            w[1].times_plus(-A * AT_A, even_a),
            w[1].times_plus(B * AT_B, even_b),
            w[1].times_plus(-B * AT_B, even_b),
            w[2],
        ]
    }

    #[inline(always)]
    fn outputs<T: Number>(m: Line<T>) -> Line<T> {
        let (sum_a, difference_a) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (sum_b, difference_b) = (m[3].plus(m[4]), m[3].minus(m[4]));
        [
            m[0].plus(sum_a.plus(sum_b)),
            difference_a.times_plus(A, difference_b.times(B)),
            sum_a.times_plus(A2, sum_b.times(B2)),
            m[5].plus(difference_a.times_plus(A2 * A, difference_b.times(B2 * B))),
            m[4],
            m[5],
        ]
    }

    #[inline(always)]
    fn outputs_transposed<T: Number>(dy: Line<T>) -> Line<T> {
        let even_a = dy[2].times_plus(A2, dy[0]);
        let odd_a = dy[3].times_plus(A2, dy[1]);
        let even_b = dy[2].times_plus(B2, dy[0]);
        let odd_b = dy[3].times_plus(B2, dy[1]);
        [
            dy[0],
            odd_a.times_plus(A, even_a),
            odd_a.times_plus(-A, even_a),
            odd_b.times_plus(B, even_b),
            odd_b.times_plus(-B, even_b),
            dy[3],
        ]
    }

    #[inline(always)]
    fn weights_transposed<T: Number>(du: Line<T>) -> Line<T> {
        const AT_A: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
        const AT_B: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
        let (sum_a, difference_a) = (du[1].plus(du[2]), du[1].minus(du[2]));
        let (sum_b, difference_b) = (du[3].plus(du[4]), du[3].minus(du[4]));
        [
            sum_a.times_plus(AT_A, sum_b.times_plus(AT_B, du[0].times(1.0 / (A2 * B2)))),
            difference_a.times_plus(A * AT_A, difference_b.times(B * AT_B)),
            sum_a.times_plus(A2 * AT_A, sum_b.times_plus(B2 * AT_B, du[5])),
            du[3],
            du[4],
            du[5],
        ]
    }
}

/// A whole line of 2 between zeros: `y0 = w1 x0 + w2 x1`, `y1 = w0 x0 + w1 x1` with 3 products
/// instead of 4 (and instead of 6 with the zeros).
pub(crate) struct Map2;

impl Scheme for Map2 {
    const OUTPUTS: usize = 2;
    const INPUTS: usize = 2;
    const BEFORE: usize = 0;
    const PRODUCTS: usize = 3;

    #[inline(always)]
    fn inputs<T: Number>(x: Line<T>) -> Line<T> {
        [x[0].plus(x[1]), x[1], x[0], x[0], x[0], x[0]]
    }

    #[inline(always)]
    fn weights<T: Number>(w: Line<T>) -> Line<T> {
        [w[1], w[2].minus(w[1]), w[0].minus(w[1]), w[0], w[0], w[0]]
    }

    #[inline(always)]
    fn outputs<T: Number>(m: Line<T>) -> Line<T> {
        [m[0].plus(m[1]), m[0].plus(m[2]), m[0], m[0], m[0], m[0]]
    }

    #[inline(always)]
    fn outputs_transposed<T: Number>(dy: Line<T>) -> Line<T> {
        [dy[0].plus(dy[1]), dy[0], dy[1], dy[0], dy[0], dy[0]]
    }

    #[inline(always)]
    fn weights_transposed<T: Number>(du: Line<T>) -> Line<T> {
        let middle = du[0].minus(du[1]).minus(du[2]);
        [du[2], middle, du[1], du[0], du[0], du[0]]
    }
}
