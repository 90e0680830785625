//! What a network, its initial values and its optimiser are, as `pipeline.yaml` says it.
//! It must not know how any of them is computed.

mod check;

pub use check::ConfigError;
pub(crate) use check::classes;

use serde::Deserialize;

/// A network of the paper's two families, as in `params.models`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkConfig {
    /// Blocks of conv 3x3, batch norm, ReLU, max pool 2; then global average pool, dropout, dense.
    PlainCnn {
        /// Output channels of each block.
        filters: Vec<usize>,
        /// Whether the convolutions have a bias.
        conv_bias: bool,
        /// Share of features dropped before the dense layer, in `[0, 1)`.
        dropout: f64,
    },
    /// A stem convolution and stages of basic blocks; then global average pool, dropout, dense.
    Resnet {
        /// Output channels of the stem.
        stem: usize,
        /// Output channels of each stage.
        filters: Vec<usize>,
        /// Basic blocks in each stage.
        blocks: Vec<usize>,
        /// Stride of each stage's first convolution.
        stage_strides: Vec<usize>,
        /// Whether blocks add their input to their output.
        skip: bool,
        /// Which stages' first block projects its input; without `skip` none does.
        projection: Projection,
        /// Share of features dropped before the dense layer, in `[0, 1)`.
        dropout: f64,
    },
}

/// Which stages' first block has a 1x1 convolution and batch norm in its shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// Every stage, even where input and output have one shape.
    EveryStage,
    /// Only where the block changes extent or channels; elsewhere the input itself is added.
    WhereShapeChanges,
}

/// Batch normalisation as in `params.train.batch_norm`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormConfig {
    /// Share of the old value that a moving statistic keeps at each step (Keras' sense), in `[0, 1)`.
    pub momentum: f64,
    /// Added to the variance, inside the square root.
    pub epsilon: f64,
}

/// Initial weights as in `params.train.initializer`; biases start at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitializerConfig {
    /// Of convolutions.
    pub conv: Initializer,
    /// Of the dense layer.
    pub dense: Initializer,
}

/// A distribution of initial weights, with Keras' variances.
///
/// `he`: variance `2 / fan_in`; `glorot`: `2 / (fan_in + fan_out)`. `uniform` draws from
/// `[-sqrt(3 var), sqrt(3 var))`; `normal` is Keras' *truncated* normal: cut at two standard
/// deviations, its scale divided by 0.87962566 so that the variance is right after the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the names are the distributions, defined above"
)]
pub enum Initializer {
    HeNormal,
    HeUniform,
    GlorotNormal,
    GlorotUniform,
}

/// The optimiser as in `params.train.optimizer`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Only `adam`.
    pub name: OptimizerName,
    /// Of the first step; schedules change what `train_step` gets, not this.
    pub learning_rate: f64,
    /// Decay of the gradients' moving mean, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the squared gradients' moving mean, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root of the uncorrected second moment, as in Keras.
    pub epsilon: f64,
}

/// The optimisers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Kingma & Ba, "Adam: A Method for Stochastic Optimization".
    Adam,
}

impl Default for AdamConfig {
    /// Keras' defaults, for callers that never update.
    fn default() -> Self {
        Self {
            name: OptimizerName::Adam,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
        }
    }
}
