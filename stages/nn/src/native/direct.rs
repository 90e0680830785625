//! Convolution tap by tap: blocked products over implicit windows, forward and backward.
//! It must not know which layer it serves, nor which shapes another method takes.
//!
//! Sums run as `reference::conv` states them: forward and input gradient are chains, weight
//! gradients blocked chains. The input gradient of stride 2 is four products, one for each
//! parity of (row, column), so that no zero between strides is ever multiplied.

use super::Context;
use super::conv::Layer;
use super::im2col::{Im2col, Window};
use super::memory::{Aligned, Disjoint};
use super::product::{self, Scatter, Target};
use super::tile::STRIP;
use crate::network::Conv;

/// Windows of the forward pass over `n` images.
fn windows(conv: &Conv, n: usize) -> Im2col {
    let start = -(conv.pad() as isize);
    Im2col {
        images: n,
        grid_rows: conv.out_size(),
        grid_columns: conv.out_size(),
        size: conv.size,
        channels: conv.inputs,
        step: conv.stride,
        window: Window {
            top: start,
            left: start,
            rows: conv.kernel,
            columns: conv.kernel,
        },
    }
}

/// `y = conv(x) + bias`; see `reference::conv::direct_forward`. `panel` is scratch.
pub(crate) fn forward(
    context: &Context,
    layer: Layer<'_>,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    panel: &mut Aligned,
    y: &mut [f32],
) {
    let Layer { conv, n } = layer;
    let gather = windows(conv, n);
    let depth = gather.depth();
    let strips = conv.outputs.div_ceil(STRIP);
    let packed = panel.take(strips * depth * STRIP);
    let parts = Disjoint::new(packed);
    context.threads.each(strips, |strip| {
        // SAFETY: each task has its own strip.
        let out = unsafe { parts.range(strip * depth * STRIP, depth * STRIP) };
        product::pack_strip(w, conv.outputs, strip, out);
    });
    if let Some(bias) = bias {
        y.chunks_exact_mut(conv.outputs)
            .for_each(|row| row.copy_from_slice(bias));
    }
    let scatter = Scatter {
        size: conv.out_size(),
        step: 1,
        top: 0,
        left: 0,
    };
    let packed = panel.get(strips * depth * STRIP);
    let target = Target {
        c: Disjoint::new(y),
        columns: conv.outputs,
        scatter,
        carry: bias.is_some(),
    };
    product::by_window(context, &gather, x, packed, target);
}

/// Kernel rows (or columns) through which input rows of one parity are seen, in the order of
/// the output rows that see them, and the first such output row relative to the position.
fn taps(conv: &Conv, parity: usize) -> (Vec<usize>, isize) {
    let offset = |k: usize| (parity + conv.pad()) as isize - k as isize;
    let stride = conv.stride as isize;
    let taps: Vec<usize> = (0..conv.kernel)
        .rev()
        .filter(|&k| offset(k) % stride == 0)
        .collect();
    let first = taps.first().map_or(0, |&k| offset(k) / stride);
    (taps, first)
}

/// `dx = start + conv's transpose of dy`, the start being 0 or, with `carry`, what `dx` holds;
/// see `reference::conv::direct_input_gradient`. `panel` is scratch.
pub(crate) fn input_gradient(
    context: &Context,
    layer: Layer<'_>,
    dy: &[f32],
    w: &[f32],
    panel: &mut Aligned,
    dx: &mut [f32],
    carry: bool,
) {
    let Layer { conv, n } = layer;
    let dx = Disjoint::new(dx);
    let strips = conv.inputs.div_ceil(STRIP);
    for parity in 0..conv.stride * conv.stride {
        let (top, left) = (parity / conv.stride, parity % conv.stride);
        let ((rows, first_row), (columns, first_column)) = (taps(conv, top), taps(conv, left));
        let gather = Im2col {
            images: n,
            grid_rows: conv.size.saturating_sub(top).div_ceil(conv.stride),
            grid_columns: conv.size.saturating_sub(left).div_ceil(conv.stride),
            size: conv.out_size(),
            channels: conv.outputs,
            step: 1,
            window: Window {
                top: first_row,
                left: first_column,
                rows: rows.len(),
                columns: columns.len(),
            },
        };
        let depth = gather.depth();
        let order: Vec<usize> = rows
            .iter()
            .flat_map(|r| columns.iter().map(move |c| r * conv.kernel + c))
            .collect();
        let parts = Disjoint::new(panel.take(strips * depth * STRIP));
        context.threads.each(strips, |strip| {
            // SAFETY: each task has its own strip.
            let out = unsafe { parts.range(strip * depth * STRIP, depth * STRIP) };
            for (out, &tap) in out.chunks_exact_mut(conv.outputs * STRIP).zip(&order) {
                let tap =
                    &w[tap * conv.inputs * conv.outputs..(tap + 1) * conv.inputs * conv.outputs];
                transpose_strip(tap, conv.outputs, strip, out);
            }
        });
        let scatter = Scatter {
            size: conv.size,
            step: conv.stride,
            top,
            left,
        };
        let target = Target {
            c: dx,
            columns: conv.inputs,
            scatter,
            carry,
        };
        product::by_window(
            context,
            &gather,
            dy,
            panel.get(strips * depth * STRIP),
            target,
        );
    }
}

/// Copies rows `strip * STRIP..` of a matrix of `columns` columns to columns of
/// `[columns][STRIP]`, zeros beyond the last row.
fn transpose_strip(matrix: &[f32], columns: usize, strip: usize, out: &mut [f32]) {
    let rows = &matrix[strip * STRIP * columns..];
    let count = STRIP.min(rows.len() / columns);
    // Blocks of 16 columns: their lines of `out` stay in the first-level cache for all rows.
    for (block, out) in out.chunks_mut(16 * STRIP).enumerate() {
        for (i, row) in rows.chunks_exact(columns).take(count).enumerate() {
            for (to, &value) in out.chunks_exact_mut(STRIP).zip(&row[block * 16..]) {
                to[i] = value;
            }
        }
        out.chunks_exact_mut(STRIP)
            .for_each(|to| to[count..].fill(0.0));
    }
}

/// `dw[tap, i, o] = sum of x[p + tap, i] * dy[p, o]`; see `reference::conv::direct_weight_gradient`. `panel` is scratch.
pub(crate) fn weight_gradient(
    context: &Context,
    layer: Layer<'_>,
    x: &[f32],
    dy: &[f32],
    panel: &mut Aligned,
    dw: &mut [f32],
) {
    let Layer { conv, n } = layer;
    product::over_windows(context, &windows(conv, n), x, dy, panel, dw, conv.outputs);
}
