//! Convolution of maps by transformed tiles: the forward pass, and the input gradient, which is
//! the convolution of the output's gradient with the weights turned around.
//! It must not know which of the two it computes.
//!
//! A task owns some tiles and strips of output channels: it transforms its tiles, multiplies
//! product by product while they are in the second-level cache, and transforms back.

use super::even;
use super::kernels::{Im2col, Maps, Products, Spread, gather_inputs, product_step, spread_outputs};
use super::weights::{Channels, Weights};
use crate::native::Context;
use crate::native::memory::{Aligned, Disjoint, with_panels};
use crate::native::tile::{self, Mode, Order, ROW_STEP, STRIP, TILE_ROWS};
use crate::winograd::{Scheme, shared};
use std::ops::Range;

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
    let weights = Weights {
        map,
        side,
        w,
        channels: Channels::new(inputs),
    };
    let cut = cut(map, tiles, S::PRODUCTS.pow(2), context.threads.count());
    let transformed = if cut.rows == 1 && tiles <= cut.group {
        None
    } else {
        Some(transform_all::<S>(context, &weights, panel))
    };
    let zeros = vec![0.0; inputs];
    let y = Disjoint::new(y);
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
                weights,
                transformed,
                bias,
                y,
                carry,
            };
            part.run::<S>(context);
        }
    });
}

/// Writes all transformed weights to `panel`: `[strip][block]`.
fn transform_all<'a, S: Scheme>(
    context: &Context,
    weights: &Weights<'_>,
    panel: &'a mut Aligned,
) -> &'a [f32] {
    let (len, blocks) = (weights.len::<S>(), weights.channels.blocks);
    let strips = weights.map.outputs.div_ceil(STRIP);
    let all = panel.take(strips * blocks * len);
    let parts = Disjoint::new(all);
    context.threads.each(strips * blocks, |task| {
        // SAFETY: each task has its own strip and block.
        let out = unsafe { parts.range(task * len, len) };
        with_panels([weights.scratch()], |[scratch]| {
            weights.transform::<S>(context.isa, task % blocks, task / blocks, scratch, out);
        });
    });
    all
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
    strips: Range<usize>,
    x: &'a [f32],
    zeros: &'a [f32],
    weights: Weights<'a>,
    /// All of them; none where this is the only group, which transforms them as it goes.
    transformed: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    y: Disjoint<'a>,
    carry: bool,
}

impl Part<'_> {
    fn run<S: Scheme>(&self, context: &Context) {
        let products = S::PRODUCTS.pow(2);
        let channels = self.weights.channels;
        let (v_block, m_len) = (products * self.v_step(), products * self.m_step());
        let own = if self.transformed.is_some() {
            0
        } else {
            self.weights.len::<S>()
        };
        let lengths = [
            channels.blocks * v_block,
            m_len,
            own,
            self.weights.scratch(),
        ];
        with_panels(lengths, |[v, m, u, scratch]| {
            for (block, v) in v.chunks_exact_mut(v_block).enumerate() {
                self.gather::<S>(context, channels.range(block), v);
            }
            for strip in self.strips.clone() {
                for (block, v) in v.chunks_exact(v_block).enumerate() {
                    let len = self.weights.len::<S>();
                    let u = match self.transformed {
                        Some(all) => &all[(strip * channels.blocks + block) * len..][..len],
                        None => {
                            self.weights
                                .transform::<S>(context.isa, block, strip, scratch, u);
                            &*u
                        }
                    };
                    self.multiply::<S>(context, block, v, u, m);
                }
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

    fn gather<S: Scheme>(&self, context: &Context, channels: Range<usize>, v: &mut [f32]) {
        let gather = Im2col {
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

    /// Goes on with every product's sums by a block of input channels.
    fn multiply<S: Scheme>(
        &self,
        context: &Context,
        block: usize,
        v: &[f32],
        u: &[f32],
        m: &mut [f32],
    ) {
        let height = even(self.tiles, tile::best_rows(context.isa));
        let depth = self.weights.channels.range(block).len();
        let places: [usize; TILE_ROWS] = std::array::from_fn(|i| i * STRIP);
        let mode = if block == 0 {
            Mode::Overwrite
        } else {
            Mode::Carry
        };
        for p in 0..S::PRODUCTS.pow(2) {
            let weight = shared::<S>(p / S::PRODUCTS) * S::WEIGHTS + shared::<S>(p % S::PRODUCTS);
            let b = u[weight * self.weights.product_step()..].as_ptr();
            for top in (0..self.tiles).step_by(height) {
                let tile = tile::Tile {
                    depth,
                    a: v[p * self.v_step() + top * ROW_STEP..].as_ptr(),
                    order: Order::DepthInner,
                    b,
                    c: m[p * self.m_step() + top * STRIP..].as_mut_ptr(),
                    rows: &places[..height.min(self.tiles - top)],
                    mode,
                };
                // SAFETY: A has a row of `ROW_STEP` numbers for each tile, B one of `STRIP` for
                // each input channel, C one of `STRIP` for each tile.
                unsafe { tile::multiply(context.isa, &tile) };
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
