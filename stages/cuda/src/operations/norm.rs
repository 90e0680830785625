//! Batch norm, with the ReLU and the shortcut behind it.
//! It must not know convolutions.

use super::{Operations, holds, row_chunks};
use crate::array::View;
use crate::gpu::{Argument, Gpu, GpuError};

/// What a batch norm multiplies with and adds, a number for each channel.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a> {
    /// Of the batch, or moving.
    pub mean: View<'a, f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inv_std: View<'a, f32>,
    /// Scale.
    pub weight: View<'a, f32>,
    /// Shift.
    pub bias: View<'a, f32>,
}

/// What a batch norm was applied to: `[rows, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Normed<'a> {
    /// Its input.
    pub x: View<'a, f32>,
    /// Its numbers.
    pub norm: Channels<'a>,
    /// Pixels of all images.
    pub rows: usize,
}

/// What follows a batch norm.
#[derive(Debug, Clone, Copy)]
pub enum After<'a> {
    /// ReLU.
    Relu,
    /// A sum, then ReLU.
    AddRelu(View<'a, f32>),
    /// A sum with another batch norm's output, then ReLU.
    AddNormRelu(View<'a, f32>, Channels<'a>),
}

impl Channels<'_> {
    fn count(&self) -> usize {
        self.mean.len()
    }

    fn arguments(&self) -> [Argument; 4] {
        [
            self.mean.into(),
            self.inv_std.into(),
            self.weight.into(),
            self.bias.into(),
        ]
    }
}

impl<G: Gpu> Operations<'_, G> {
    /// A batch's statistics of `x`, `[rows, channels]`.
    pub fn norm_statistics(
        &self,
        x: View<'_, f32>,
        rows: usize,
        epsilon: f32,
        mean: View<'_, f32>,
        variance: View<'_, f32>,
        inv_std: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let channels = mean.len();
        holds(x, rows * channels);
        holds(variance, channels);
        holds(inv_std, channels);
        let chunks = row_chunks(rows);
        let partial = self.partial(3 * chunks * channels);
        let arguments = [
            x.into(),
            rows.into(),
            channels.into(),
            chunks.into(),
            partial.into(),
        ];
        self.columns("norm_partial", chunks, channels, &arguments)?;
        let arguments = [
            partial.into(),
            chunks.into(),
            channels.into(),
            epsilon.into(),
            mean.into(),
            variance.into(),
            inv_std.into(),
        ];
        self.over("norm_finish", channels, &arguments)
    }

    /// `1 / sqrt(variance + epsilon)`.
    pub fn inverse_deviation(
        &self,
        variance: View<'_, f32>,
        epsilon: f32,
        inv_std: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let channels = variance.len();
        holds(inv_std, channels);
        let arguments = [
            variance.into(),
            channels.into(),
            epsilon.into(),
            inv_std.into(),
        ];
        self.over("inverse_deviation", channels, &arguments)
    }

    /// `y`: `[rows, channels]`.
    pub fn norm_apply(
        &self,
        of: Normed<'_>,
        after: After<'_>,
        y: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let (channels, none) = (of.norm.count(), Argument::Address(0));
        let len = of.rows * channels;
        holds(of.x, len);
        holds(y, len);
        let (mode, added, other) = match after {
            After::Relu => (1, none, [none; 4]),
            After::AddRelu(added) => {
                holds(added, len);
                (2, added.into(), [none; 4])
            }
            After::AddNormRelu(added, norm) => {
                holds(added, len);
                (3, added.into(), norm.arguments())
            }
        };
        let arguments = [
            &[of.x.into()],
            &of.norm.arguments()[..],
            &[of.rows.into(), channels.into(), Argument::Int(mode), added],
            &other,
            &[y.into()],
        ];
        self.over("norm_apply", len, &arguments.concat())
    }

    /// The gradient `dx` of a batch norm's input and those of its scale and shift, from the
    /// gradient `dy` of what follows: where `y` is given, that is a ReLU with this output.
    /// `through` becomes what passes the ReLU. `dx` or `through` may be `dy`.
    #[expect(clippy::too_many_arguments, reason = "a gradient has as many parts")]
    pub fn norm_gradient(
        &self,
        of: Normed<'_>,
        dy: View<'_, f32>,
        y: Option<View<'_, f32>>,
        dx: View<'_, f32>,
        through: Option<View<'_, f32>>,
        dweight: View<'_, f32>,
        dbias: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let (channels, rows) = (of.norm.count(), of.rows);
        let len = rows * channels;
        for view in [Some(of.x), Some(dy), y, Some(dx), through]
            .into_iter()
            .flatten()
        {
            holds(view, len);
        }
        holds(dweight, channels);
        holds(dbias, channels);
        let chunks = row_chunks(rows);
        let partial = self.partial(2 * chunks * channels);
        let slope = self.scratch.slope.first(channels);
        let level = self.scratch.level.first(channels);
        let norm = of.norm;
        let arguments = [
            of.x.into(),
            dy.into(),
            y.into(),
            norm.mean.into(),
            rows.into(),
            channels.into(),
            chunks.into(),
            partial.into(),
        ];
        self.columns("norm_gradient_partial", chunks, channels, &arguments)?;
        let arguments = [
            partial.into(),
            chunks.into(),
            rows.into(),
            channels.into(),
            norm.inv_std.into(),
            dweight.into(),
            dbias.into(),
            slope.into(),
            level.into(),
        ];
        self.over("norm_gradient_finish", channels, &arguments)?;
        let arguments = [
            of.x.into(),
            dy.into(),
            y.into(),
            norm.mean.into(),
            norm.inv_std.into(),
            norm.weight.into(),
            slope.into(),
            level.into(),
            rows.into(),
            channels.into(),
            dx.into(),
            through.into(),
        ];
        self.over("norm_gradient_apply", len, &arguments)
    }
}
