//! Every operation as plainly as it can be written: its formula and its summation order.
//! It must not know threads, vectors or blocking.
//!
//! In f32 these functions *are* the contract: the native engine gives the same bits. In f64
//! their gradients are checked by finite differences. Layout is NHWC throughout; convolution
//! weights are `[kernel row][kernel column][in][out]`.
//!
//! Five rules of summation cover everything:
//! 1. **Chain**: `acc = fma(a, b, acc)` over k in a fixed order, from 0 or a stated start.
//!    Padding takes part as zeros. (Convolutions and dense layers, forward and input gradient.)
//! 2. **Blocked chain**: k is cut into blocks of [`PIXEL_BLOCK`]; each block is a chain from 0;
//!    the blocks' sums are added in order. (Weight gradients, where k runs over all pixels.)
//! 3. **Column sum**: rows are cut into blocks of [`ROW_BLOCK`], summed in row order from 0; the
//!    blocks' sums are added in order in f64. (Batch norm's backward pass, bias gradients.)
//! 4. **Block moments**: rows are cut into blocks of [`ROW_BLOCK`]; a block's mean is its sum in
//!    row order from 0, divided by its rows; its squares are a chain of `fma(d, d, acc)` with `d`
//!    the distance from that mean; the blocks are merged in order in f64 by the formula of Chan,
//!    Golub & LeVeque ([`norm::Moments`]). So one pass over memory gives mean and variance, and
//!    nothing cancels. (Batch norm's statistics.)
//! 5. **Winograd**: 3x3 convolutions of stride 1 and 2 with whole tiles; chains and segments of products
//!    as `winograd` states them. Which shapes: `crate::winograd::method`.

pub mod adam;
pub mod conv;
pub mod layers;
pub mod network;
pub mod norm;
mod winograd;

use crate::math;

/// Output pixels in a block of a weight gradient. Part of the contract: changing it changes bits.
pub const PIXEL_BLOCK: usize = 256;
/// Rows in a block of a column sum or of moments. Part of the contract: changing it changes bits.
pub const ROW_BLOCK: usize = 128;
/// Tiles in a segment of a weight gradient by Winograd's schemes. Part of the contract.
pub(crate) const SEGMENT: usize = 128;
/// Tiles in a chunk of a segment: products that share a weight take turns chunk by chunk. Part of
/// the contract.
pub(crate) const CHUNK: usize = 32;

/// The number types that the reference runs in.
pub trait Real:
    Copy
    + Default
    + PartialOrd
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
{
    /// `self * a + b`, rounded once.
    #[must_use]
    fn fma(self, a: Self, b: Self) -> Self;
    /// Square root.
    #[must_use]
    fn root(self) -> Self;
    /// `e^self`.
    #[must_use]
    fn exponential(self) -> Self;
    /// Natural logarithm.
    #[must_use]
    fn logarithm(self) -> Self;
    /// Rounds to this type.
    #[must_use]
    fn from_f64(x: f64) -> Self;
    /// Exact.
    #[must_use]
    fn to_f64(self) -> f64;
}

impl Real for f32 {
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    fn root(self) -> Self {
        self.sqrt()
    }
    fn exponential(self) -> Self {
        math::exp(self)
    }
    fn logarithm(self) -> Self {
        math::ln(self)
    }
    fn from_f64(x: f64) -> Self {
        x as Self
    }
    fn to_f64(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    fn root(self) -> Self {
        self.sqrt()
    }
    fn exponential(self) -> Self {
        libm::exp(self)
    }
    fn logarithm(self) -> Self {
        libm::log(self)
    }
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
}

/// Rule 3: `sum of f(row, column)` over all rows, for each of `columns` columns.
pub fn column_sums<T: Real>(
    rows: usize,
    columns: usize,
    f: impl Fn(T, usize, usize) -> T,
) -> Vec<f64> {
    let mut totals = vec![0.0; columns];
    for start in (0..rows).step_by(ROW_BLOCK) {
        for (column, total) in totals.iter_mut().enumerate() {
            let block = (start..rows.min(start + ROW_BLOCK))
                .fold(T::default(), |acc, row| f(acc, row, column));
            *total += block.to_f64();
        }
    }
    totals
}
