//! Convolution of maps by transformed tiles: the forward pass, and the input gradient, which is
//! the convolution of the output's gradient with the weights turned around.
//! It must not know which of the two it computes.
//!
//! A task owns some tiles and strips of output channels: it transforms its tiles, multiplies
//! product by product while they are in the second-level cache, and transforms back.

use super::even;
use super::kernels::{
    Gather, Maps, Products, Spread, Taps, gather_inputs, product_step, spread_outputs,
    transform_weights,
};
use crate::native::Context;
use crate::native::memory::{Aligned, Disjoint, with_panels};
use crate::native::tile::{self, Mode, Order, ROW_STEP, STRIP, TILE_ROWS};
use crate::winograd::{Scheme, shared};

/// Most input channels of one product's chain at a time.
const DEPTH: usize = 320;

/// Transformed inputs of a group of tiles that are meant to stay in the second-level cache.
const TRANSFORMED: usize = 160 << 10;

/// The maps that are convolved.
#[derive(Clone, Copy)]
pub(crate) struct Map {
    pub(crate) n: usize,
    /// Rows and columns of the inputs.
    pub(crate) size: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// Which way the weights `[tap][i][o]` are applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// From i to o.
    Forward,
    /// From o to i, taps backwards.
    Backward,
}

/// Where the transformed weights of a strip lie: `[product][input channel][STRIP]`.
#[derive(Clone, Copy)]
struct Strips {
    product_step: usize,
    strip_step: usize,
}

/// What is convolved with what.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub(crate) side: Side,
    pub(crate) x: &'a [f32],
    pub(crate) w: &'a [f32],
    /// Added to every pixel, one number an output channel.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the result is added to what `y` holds.
    pub(crate) carry: bool,
}

/// `y = x * w (+ bias) (+ y)`; `panel` is scratch.
pub(crate) fn convolve<S: Scheme>(
    context: &Context,
    map: Map,
    operands: Operands<'_>,
    panel: &mut Aligned,
    y: &mut [f32],
) {
    let Operands {
        side,
        x,
        w,
        bias,
        carry,
    } = operands;
    let Map {
        n,
        size,
        inputs,
        outputs,
    } = map;
    let tiles = n * (size / S::STEP).pow(2);
    assert!(x.len() >= n * size * size * inputs, "inputs are missing");
    assert!(
        y.len() >= tiles * S::OUTPUTS.pow(2) * outputs,
        "room for outputs is missing"
    );
    assert!(
        bias.is_none_or(|b| b.len() == outputs),
        "a bias for each output"
    );
    let product_step = product_step(inputs, STRIP);
    let strips = Strips {
        product_step,
        strip_step: S::WEIGHTS.pow(2) * product_step,
    };
    transform::<S>(context, map, side, w, panel, strips);
    let u = panel.get(outputs.div_ceil(STRIP) * strips.strip_step);
    let zeros = vec![0.0; inputs];
    let y = Disjoint::new(y);
    let cut = cut(map, tiles, S::PRODUCTS.pow(2), context.threads.count());
    context.threads.each(cut.rows * cut.strips, |task| {
        let share = |total: usize, parts: usize, part: usize| {
            total * part / parts..total * (part + 1) / parts
        };
        let task_tiles = share(tiles, cut.rows, task / cut.strips);
        let task_strips = share(outputs.div_ceil(STRIP), cut.strips, task % cut.strips);
        let group = even(task_tiles.len(), cut.group);
        for first in task_tiles.clone().step_by(group) {
            let part = Part {
                map,
                first,
                tiles: group.min(task_tiles.end - first),
                strips: task_strips.clone(),
                x,
                zeros: &zeros,
                u,
                at: strips,
                bias,
                y,
                carry,
            };
            part.run::<S>(context);
        }
    });
}

/// Writes every strip's transformed weights to `panel`.
fn transform<S: Scheme>(
    context: &Context,
    map: Map,
    side: Side,
    w: &[f32],
    panel: &mut Aligned,
    at: Strips,
) {
    let Map {
        inputs, outputs, ..
    } = map;
    assert_eq!(w.len(), 9 * inputs * outputs, "weights of another shape");
    let strips = outputs.div_ceil(STRIP);
    let parts = Disjoint::new(panel.take(strips * at.strip_step));
    // Blocks of input channels: enough tasks for all threads where strips are few.
    let block = 64.min(inputs);
    let blocks = inputs.div_ceil(block);
    context.threads.each(strips * blocks, |task| {
        let (strip, first) = (task / blocks, task % blocks * block);
        let rows = block.min(inputs - first);
        let width = STRIP.min(outputs - strip * STRIP);
        let products = parts
            .start()
            .wrapping_add(strip * at.strip_step + first * STRIP);
        if width < STRIP {
            for p in 0..S::WEIGHTS.pow(2) {
                // SAFETY: this block of rows of this strip is this task's alone.
                unsafe {
                    parts.range(
                        strip * at.strip_step + p * at.product_step + first * STRIP,
                        rows * STRIP,
                    )
                }
                .fill(0.0);
            }
        }
        let to = |weights: *const f32, tap_step, row_step| Taps {
            weights,
            tap_step,
            row_step,
            products,
            product_step: at.product_step,
            product_row_step: STRIP,
            rows,
            width,
        };
        match side {
            Side::Forward => {
                let weights = w[first * outputs + strip * STRIP..].as_ptr();
                // SAFETY: rows and columns lie inside `w`, whose length was checked; the products
                // are this task's alone.
                unsafe {
                    transform_weights::<S>(context.isa, to(weights, inputs * outputs, outputs))
                };
            }
            Side::Backward => with_panels(9 * block * STRIP, 0, |turned, _| {
                // Here `w` is `[tap][outputs][inputs]`.
                for (tap, turned) in turned.chunks_exact_mut(rows * STRIP).take(9).enumerate() {
                    let matrix = &w[(8 - tap) * inputs * outputs..(9 - tap) * inputs * outputs];
                    transpose(
                        &matrix[strip * STRIP * inputs + first..],
                        inputs,
                        width,
                        turned,
                    );
                }
                // SAFETY: as above, from `turned`, which holds nine taps of `rows` rows.
                unsafe {
                    transform_weights::<S>(context.isa, to(turned.as_ptr(), rows * STRIP, STRIP))
                };
            }),
        }
    });
}

/// Copies `count` rows of a matrix of `columns` columns to columns of `out` (`[_][STRIP]`).
fn transpose(matrix: &[f32], columns: usize, count: usize, out: &mut [f32]) {
    for (block, out) in out.chunks_mut(16 * STRIP).enumerate() {
        for i in 0..count {
            let row = &matrix[i * columns + block * 16..];
            for (to, &value) in out.chunks_exact_mut(STRIP).zip(row) {
                to[i] = value;
            }
        }
    }
}

/// How tiles and strips are shared out.
struct Cut {
    rows: usize,
    strips: usize,
    /// Most tiles that are transformed at a time.
    group: usize,
}

/// The cut whose slowest thread has least to do by a model of cycles: multiplications, transforms,
/// and streaming the weights through once for each group of tiles.
fn cut(map: Map, tiles: usize, products: usize, threads: usize) -> Cut {
    let strips = map.outputs.div_ceil(STRIP);
    let group = (TRANSFORMED / (products * map.inputs)).clamp(28, 64);
    if tiles >= 4 * threads * group {
        return Cut {
            rows: tiles.div_ceil(group),
            strips: 1,
            group,
        };
    }
    // Where all strips are few tiles away, each strip's weights are read once by one thread.
    let group = if tiles <= 64 { 64 } else { group };
    let cost = |rows: usize, parts: usize| {
        let (rows, parts) = (tiles.div_ceil(rows), strips.div_ceil(parts));
        let strip = products * map.inputs * 2 + 200;
        rows * (map.inputs * 10 + parts * strip)
            + rows.div_ceil(group) * parts * products * map.inputs * 8
    };
    let best =
        (1..=threads.min(tiles)).flat_map(|r| (1..=threads.min(strips)).map(move |s| (r, s)));
    let (rows, strips) = best
        .min_by_key(|&(r, s)| (r * s).div_ceil(threads) * cost(r, s))
        .unwrap_or((1, 1));
    Cut {
        rows,
        strips,
        group,
    }
}

/// One group of tiles and some strips.
struct Part<'a> {
    map: Map,
    first: usize,
    tiles: usize,
    strips: std::ops::Range<usize>,
    x: &'a [f32],
    zeros: &'a [f32],
    u: &'a [f32],
    at: Strips,
    bias: Option<&'a [f32]>,
    y: Disjoint<'a>,
    carry: bool,
}

impl Part<'_> {
    fn run<S: Scheme>(&self, context: &Context) {
        let products = S::PRODUCTS.pow(2);
        let blocks = self.map.inputs.div_ceil(DEPTH);
        let (v_step, m_step) = (self.v_step(), self.m_step());
        with_panels(blocks * products * v_step, products * m_step, |v, m| {
            for block in 0..blocks {
                self.gather::<S>(context, block, blocks, &mut v[block * products * v_step..]);
            }
            for strip in self.strips.clone() {
                self.multiply::<S>(context, strip, v, m);
                self.spread::<S>(context, strip, m);
            }
        });
    }

    /// From one product of transformed inputs to the next.
    fn v_step(&self) -> usize {
        product_step(self.tiles, ROW_STEP)
    }

    /// From one product of a strip's sums to the next.
    fn m_step(&self) -> usize {
        product_step(self.tiles, STRIP)
    }

    /// Input channels of a block.
    fn channels(&self, block: usize, blocks: usize) -> std::ops::Range<usize> {
        // Whole vectors in every block.
        let vectors = self.map.inputs / 16;
        vectors * block / blocks * 16..vectors * (block + 1) / blocks * 16
    }

    fn gather<S: Scheme>(&self, context: &Context, block: usize, blocks: usize, v: &mut [f32]) {
        let channels = self.channels(block, blocks);
        let gather = Gather {
            maps: Maps {
                size: self.map.size,
                step: S::STEP,
                channels: self.map.inputs,
                first: self.first,
                tiles: self.tiles,
                width: channels.len(),
            },
            from: self.x[channels.start..].as_ptr(),
            zeros: self.zeros.as_ptr(),
            to: Products {
                start: v.as_mut_ptr(),
                product_step: self.v_step(),
                tile_step: ROW_STEP,
            },
        };
        // SAFETY: `convolve` checked that `x` holds all maps; `v` has a row of `ROW_STEP` numbers
        // for each tile of each product.
        unsafe { gather_inputs::<S>(context.isa, gather) };
    }

    fn multiply<S: Scheme>(&self, context: &Context, strip: usize, v: &[f32], m: &mut [f32]) {
        let (v_step, m_step) = (self.v_step(), self.m_step());
        let height = even(self.tiles, tile::best_rows(context.isa));
        let blocks = self.map.inputs.div_ceil(DEPTH);
        let places: [usize; TILE_ROWS] = std::array::from_fn(|i| i * STRIP);
        let products = S::PRODUCTS.pow(2);
        for p in 0..products {
            let weight = shared::<S>(p / S::PRODUCTS) * S::WEIGHTS + shared::<S>(p % S::PRODUCTS);
            for block in 0..blocks {
                let channels = self.channels(block, blocks);
                let b = self.u[strip * self.at.strip_step
                    + weight * self.at.product_step
                    + channels.start * STRIP..]
                    .as_ptr();
                for top in (0..self.tiles).step_by(height) {
                    let tile = tile::Tile {
                        depth: channels.len(),
                        a: v[(block * products + p) * v_step + top * ROW_STEP..].as_ptr(),
                        order: Order::DepthInner,
                        b,
                        c: m[p * m_step + top * STRIP..].as_mut_ptr(),
                        rows: &places[..height.min(self.tiles - top)],
                        mode: if block == 0 {
                            Mode::Overwrite
                        } else {
                            Mode::Carry
                        },
                    };
                    // SAFETY: A has a row of `ROW_STEP` numbers for each tile, B one of `STRIP`
                    // for each input channel, C one of `STRIP` for each tile.
                    unsafe { tile::multiply(context.isa, &tile) };
                }
            }
        }
    }

    fn spread<S: Scheme>(&self, context: &Context, strip: usize, m: &[f32]) {
        let width = STRIP.min(self.map.outputs - strip * STRIP);
        let spread = Spread {
            maps: Maps {
                size: self.map.size / S::STEP * S::OUTPUTS,
                step: S::OUTPUTS,
                channels: self.map.outputs,
                first: self.first,
                tiles: self.tiles,
                width,
            },
            from: Products {
                start: m.as_ptr(),
                product_step: self.m_step(),
                tile_step: STRIP,
            },
            to: self.y.start().wrapping_add(strip * STRIP),
            bias: self.bias.map(|b| b[strip * STRIP..].as_ptr()),
            carry: self.carry,
        };
        // SAFETY: `convolve` checked that `y` holds all maps; tasks own different (tile, strip)
        // pairs, so nobody else uses these pixels' channels.
        unsafe { spread_outputs::<S>(context.isa, spread) };
    }
}
