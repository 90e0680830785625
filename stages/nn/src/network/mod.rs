//! A network's layers: names, shapes and where each number lies in the flat parameter vectors.
//! It must not know how any layer is computed or trained.

mod plan;

/// A tensor's place in a flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index of the first number.
    pub start: usize,
    /// How many numbers.
    pub len: usize,
}

impl Span {
    /// The tensor's numbers.
    #[must_use]
    pub fn of<T>(self, flat: &[T]) -> &[T] {
        &flat[self.start..self.start + self.len]
    }

    /// The tensor's numbers, to be changed.
    #[must_use]
    pub fn of_mut<T>(self, flat: &mut [T]) -> &mut [T] {
        &mut flat[self.start..self.start + self.len]
    }
}

/// A square convolution of odd extent, padded by `kernel / 2` zeros on every side.
///
/// With stride 2 this is PyTorch's padding; Keras' `same` would pad one row less at the top
/// left. Weights lie as `[kernel row][kernel column][in][out]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Such as `stage1.block1.conv1`.
    pub name: String,
    /// 1 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the input.
    pub size: usize,
    /// In the parameters.
    pub weight: Span,
    /// In the parameters; most convolutions have none, as batch norm follows.
    pub bias: Option<Span>,
}

impl Conv {
    /// A convolution that belongs to no network, without bias, its weights at 0.
    #[must_use]
    pub fn bare(kernel: usize, stride: usize, inputs: usize, outputs: usize, size: usize) -> Self {
        let weight = Span {
            start: 0,
            len: kernel * kernel * inputs * outputs,
        };
        Self {
            name: String::new(),
            kernel,
            stride,
            inputs,
            outputs,
            size,
            weight,
            bias: None,
        }
    }

    /// Zeros around the input.
    #[must_use]
    pub fn pad(&self) -> usize {
        self.kernel / 2
    }

    /// Rows and columns of the output.
    #[must_use]
    pub fn out_size(&self) -> usize {
        (self.size + 2 * self.pad() - self.kernel) / self.stride + 1
    }
}

/// Batch normalisation over the channels of what precedes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Norm {
    /// Such as `stem.bn`.
    pub name: String,
    /// Scale of each channel, in the parameters.
    pub weight: Span,
    /// Shift of each channel, in the parameters.
    pub bias: Span,
    /// Moving mean, in the moving statistics.
    pub mean: Span,
    /// Moving variance, in the moving statistics.
    pub variance: Span,
}

/// A convolution and the batch norm after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: Conv,
    /// Its batch norm.
    pub norm: Norm,
}

/// What a basic block adds to its second batch norm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// The block's input.
    Identity,
    /// The block's input after a strided 1x1 convolution and batch norm.
    Projection(ConvNorm),
}

/// A piece of the network with one input and one output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a network has some ten of them, all long-lived"
)]
pub enum Unit {
    /// conv, batch norm, ReLU, and max pool 2 if `pool`.
    Plain {
        /// Its convolution.
        layer: ConvNorm,
        /// Whether a 2x2 max pool of stride 2 follows.
        pool: bool,
    },
    /// conv, batch norm, ReLU, conv, batch norm, plus the shortcut, ReLU.
    Basic {
        /// The strided convolution.
        first: ConvNorm,
        /// The second one.
        second: ConvNorm,
        /// What is added before the last ReLU.
        shortcut: Shortcut,
    },
}

impl Unit {
    /// The unit's convolutions, in network order.
    pub fn layers(&self) -> impl Iterator<Item = &ConvNorm> {
        let (a, b, c) = match self {
            Self::Plain { layer, .. } => (layer, None, None),
            Self::Basic {
                first,
                second,
                shortcut: Shortcut::Projection(p),
            } => (first, Some(second), Some(p)),
            Self::Basic { first, second, .. } => (first, Some(second), None),
        };
        std::iter::once(a).chain(b).chain(c)
    }

    /// Numbers in one image's output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let (conv, divisor) = match self {
            Self::Plain { layer, pool } => (&layer.conv, if *pool { 2 } else { 1 }),
            Self::Basic { second, .. } => (&second.conv, 1),
        };
        (conv.out_size() / divisor).pow(2) * conv.outputs
    }
}

/// The last layer: `[features] -> [classes]`; weights lie as `[in][out]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dense {
    /// Length of its input.
    pub inputs: usize,
    /// Length of its output.
    pub outputs: usize,
    /// In the parameters.
    pub weight: Span,
    /// In the parameters.
    pub bias: Span,
}

impl Dense {
    /// The same arithmetic as a 1x1 convolution over images of one pixel.
    #[must_use]
    pub fn as_conv(&self) -> Conv {
        Conv {
            name: "dense".to_owned(),
            weight: self.weight,
            bias: Some(self.bias),
            ..Conv::bare(1, 1, self.inputs, self.outputs, 1)
        }
    }
}

/// How an exported tensor lies in a flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As it is.
    Vector,
    /// `[taps][in][out]` here, `[out, in, kernel, kernel]` outside.
    Conv {
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// `[in][out]` here, `[out, in]` outside.
    Dense {
        /// Length of the input.
        inputs: usize,
        /// Length of the output.
        outputs: usize,
    },
}

impl Layout {
    /// Taps, inputs and outputs; 1 each for a vector, whose order is the same everywhere.
    pub(crate) fn extents(self) -> (usize, usize, usize) {
        match self {
            Self::Vector => (1, 1, 1),
            Self::Conv {
                kernel,
                inputs,
                outputs,
            } => (kernel * kernel, inputs, outputs),
            Self::Dense { inputs, outputs } => (1, inputs, outputs),
        }
    }
}

/// A tensor that a network owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Such as `stem.conv.weight`.
    pub name: String,
    /// Its place in the parameters, or in the moving statistics.
    pub span: Span,
    /// Whether the optimiser changes it.
    pub trainable: bool,
    /// Its order in memory and outside.
    pub layout: Layout,
}

/// Sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCount {
    /// Numbers that the optimiser changes.
    pub trainable: usize,
    /// Batch norm's moving means and variances.
    pub moving: usize,
}

/// A network laid out: units in order, then global average pool, dropout, dense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From the image on.
    pub units: Vec<Unit>,
    /// The last layer.
    pub dense: Dense,
    /// Every tensor, in network order.
    pub slots: Vec<Slot>,
    /// How many numbers there are.
    pub count: ParameterCount,
}
