//! Winograd's minimal filtering in one dimension: which sums and products, in which order.
//! It must not know maps, memory, vectors or threads.
//!
//! A 3-tap convolution of a whole tile costs [`Scheme::PRODUCTS`] multiplications instead of three
//! an output: transform inputs and weights, multiply, transform back. Two dimensions nest: rows
//! first, then columns. S. Winograd, "Arithmetic Complexity of Computations" (1980); A. Lavin and
//! S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). The same transforms,
//! transposed, give the weight gradient.

mod halving;
mod stride_one;

pub(crate) use halving::{Down2, Down4, Up2, Up4};
pub(crate) use stride_one::{Map2, Tile4};

use crate::network::Conv;
use std::marker::PhantomData;

/// Most inputs or products of a scheme; shorter ones leave the rest of an array arbitrary.
pub(crate) const MOST: usize = 9;

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
    /// Stride 2 to tiles of 4x4 outputs, [`Down4`], and back, [`Up4`].
    Halving4,
    /// Stride 2 to tiles of 2x2 outputs, [`Down2`], and back, [`Up2`].
    Halving2,
}

/// The method for `conv`: 3x3 of stride 1 or 2 whose output is made of whole tiles, with channels
/// that fill vectors.
pub(crate) fn method(conv: &Conv) -> Method {
    let suits = conv.kernel == 3
        && conv.inputs.is_multiple_of(16)
        && conv.outputs.is_multiple_of(16)
        && conv.size == conv.stride * conv.out_size();
    if !suits {
        return Method::Direct;
    }
    let size = conv.out_size();
    match conv.stride {
        1 if size == 2 => Method::Map,
        1 if size.is_multiple_of(4) => Method::Tiles,
        2 if size.is_multiple_of(4) => Method::Halving4,
        2 if size.is_multiple_of(2) => Method::Halving2,
        _ => Method::Direct,
    }
}

/// A way to compute [`Scheme::OUTPUTS`] neighbouring outputs of a 3-tap convolution. Transforms are
/// in place; what lies beyond a line's last number is arbitrary.
pub(crate) trait Scheme {
    /// Outputs of a tile.
    const OUTPUTS: usize;
    /// Inputs of a tile.
    const INPUTS: usize;
    /// Inputs from one tile's first to the next one's.
    const STEP: usize;
    /// How many inputs lie before the tile's own place.
    const BEFORE: usize;
    /// Products of a tile.
    const PRODUCTS: usize;
    /// Different right factors: products from the last of them on share it.
    const WEIGHTS: usize;

    /// Inputs to products' left factors.
    fn inputs<T: Number>(x: &mut Line<T>);
    /// Weights (the first three) to products' right factors.
    fn weights<T: Number>(w: &mut Line<T>);
    /// Products to outputs.
    fn outputs<T: Number>(m: &mut Line<T>);
}

/// A scheme whose transposes give the weight gradient.
pub(crate) trait Transposed: Scheme {
    /// Transpose of [`Scheme::outputs`]: gradients of outputs to those of products.
    fn outputs_transposed<T: Number>(dy: &mut Line<T>);
    /// Transpose of [`Scheme::weights`]: gradients of right factors to those of weights.
    fn weights_transposed<T: Number>(du: &mut Line<T>);
}

/// Which of the different right factors product `p` of a line takes.
#[inline(always)]
pub(crate) fn shared<S: Scheme>(p: usize) -> usize {
    p.min(S::WEIGHTS - 1)
}

/// Writes `numbers` into a line from `start` on.
#[inline(always)]
fn put<T: Number, const N: usize>(line: &mut Line<T>, start: usize, numbers: [T; N]) {
    line[start..start + N].copy_from_slice(&numbers);
}

/// A scheme's transform of lines, named by a type: vectors must be inlined whole into their
/// kernel, which closures would not be.
pub(crate) trait Transform {
    /// Numbers of a line before.
    const FROM: usize;
    /// Numbers of a line after.
    const TO: usize;
    /// Transforms one line in place.
    fn line<T: Number>(line: &mut Line<T>);
}

macro_rules! transforms {
    ($($name:ident: $bound:ident, $from:expr, $to:expr, $function:ident;)*) => {$(
        #[doc = concat!("Of [`", stringify!($bound), "::", stringify!($function), "`].")]
        pub(crate) struct $name<S>(PhantomData<S>);

        impl<S: $bound> Transform for $name<S> {
            const FROM: usize = $from;
            const TO: usize = $to;
            #[inline(always)]
            fn line<T: Number>(line: &mut Line<T>) {
                S::$function(line);
            }
        }
    )*};
}

transforms! {
    Inputs: Scheme, S::INPUTS, S::PRODUCTS, inputs;
    Weights: Scheme, 3, S::WEIGHTS, weights;
    Outputs: Scheme, S::PRODUCTS, S::OUTPUTS, outputs;
    OutputsTransposed: Transposed, S::OUTPUTS, S::PRODUCTS, outputs_transposed;
    WeightsTransposed: Transposed, S::WEIGHTS, 3, weights_transposed;
}

/// Transforms each row of a tile, then each column of the result.
#[inline(always)]
pub(crate) fn nested<F: Transform, T: Number>(mut tile: Tile<T>) -> Tile<T> {
    for row in tile.iter_mut().take(F::FROM) {
        let mut line = *row;
        F::line(&mut line);
        row[..F::TO].copy_from_slice(&line[..F::TO]);
    }
    for j in 0..F::TO {
        let mut line = tile[0];
        for i in 0..F::FROM {
            line[i] = tile[i][j];
        }
        F::line(&mut line);
        for i in 0..F::TO {
            tile[i][j] = line[i];
        }
    }
    tile
}
