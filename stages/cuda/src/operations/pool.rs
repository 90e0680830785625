//! Max and average pools, and dropout behind the latter.
//! It must not know what precedes or follows them.

use super::{Channels, Operations, holds};
use crate::array::View;
use crate::gpu::{Argument, Gpu, GpuError, StepConstants};

/// What a max pool runs over: `[n, size, size, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// Images.
    pub n: usize,
    /// Rows and columns.
    pub size: usize,
    /// Channels.
    pub channels: usize,
}

impl Windows {
    fn inputs(self) -> usize {
        self.n * self.size.pow(2) * self.channels
    }

    fn outputs(self) -> usize {
        self.n * (self.size / 2).pow(2) * self.channels
    }

    fn arguments(self) -> [Argument; 3] {
        [self.n.into(), self.size.into(), self.channels.into()]
    }
}

/// Which features are dropped: the step's constants hold the mask's key.
#[derive(Debug, Clone, Copy)]
pub struct Dropout<'a> {
    /// Of the epoch's steps.
    pub constants: View<'a, StepConstants>,
    /// Which of them this is.
    pub cursor: View<'a, i32>,
    /// Share of features dropped, below 1.
    pub rate: f32,
}

fn dropout(of: Option<Dropout<'_>>) -> [Argument; 3] {
    match of {
        Some(of) => [of.constants.into(), of.cursor.into(), of.rate.into()],
        None => [
            Argument::Address(0),
            Argument::Address(0),
            Argument::Float(0.0),
        ],
    }
}

impl<G: Gpu> Operations<'_, G> {
    /// Batch norm, 2x2 max pool of stride 2, ReLU; `winners` are the windows' places 0 to 3.
    pub fn max_pool(
        &self,
        over: Windows,
        x: View<'_, f32>,
        norm: Channels<'_>,
        y: View<'_, f32>,
        winners: View<'_, u8>,
    ) -> Result<(), GpuError> {
        holds(x, over.inputs());
        holds(norm.mean, over.channels);
        holds(y, over.outputs());
        holds(winners, over.outputs());
        let [n, size, channels] = over.arguments();
        let arguments = [
            x.into(),
            norm.mean.into(),
            norm.inv_std.into(),
            norm.weight.into(),
            norm.bias.into(),
            n,
            size,
            channels,
            y.into(),
            winners.into(),
        ];
        self.over("max_pool", over.outputs(), &arguments)
    }

    /// `g`: gradient of the max pool's input, the batch norm's output.
    pub fn max_pool_gradient(
        &self,
        over: Windows,
        dy: View<'_, f32>,
        y: View<'_, f32>,
        winners: View<'_, u8>,
        g: View<'_, f32>,
    ) -> Result<(), GpuError> {
        holds(dy, over.outputs());
        holds(y, over.outputs());
        holds(winners, over.outputs());
        holds(g, over.inputs());
        let [n, size, channels] = over.arguments();
        let arguments = [
            dy.into(),
            y.into(),
            winners.into(),
            n,
            size,
            channels,
            g.into(),
        ];
        self.over("max_pool_gradient", over.inputs(), &arguments)
    }

    /// Mean over pixels, then dropout: `[n, pixels, channels]` to `[n, channels]`.
    pub fn average_pool(
        &self,
        x: View<'_, f32>,
        n: usize,
        pixels: usize,
        channels: usize,
        dropped: Option<Dropout<'_>>,
        features: View<'_, f32>,
    ) -> Result<(), GpuError> {
        holds(x, n * pixels * channels);
        holds(features, n * channels);
        let extents = [n.into(), pixels.into(), channels.into()];
        let arguments = [
            &[x.into()],
            &extents[..],
            &dropout(dropped),
            &[features.into()],
        ];
        self.over("average_pool", n * channels, &arguments.concat())
    }

    /// The gradient of what was averaged.
    pub fn average_pool_gradient(
        &self,
        dfeatures: View<'_, f32>,
        n: usize,
        pixels: usize,
        channels: usize,
        dropped: Option<Dropout<'_>>,
        dx: View<'_, f32>,
    ) -> Result<(), GpuError> {
        holds(dfeatures, n * channels);
        holds(dx, n * pixels * channels);
        let extents = [n.into(), pixels.into(), channels.into()];
        let arguments = [
            &[dfeatures.into()],
            &extents[..],
            &dropout(dropped),
            &[dx.into()],
        ];
        self.over(
            "average_pool_gradient",
            n * pixels * channels,
            &arguments.concat(),
        )
    }
}
