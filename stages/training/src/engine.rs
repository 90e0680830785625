//! Builds the engine that a stage's parameters and environment ask for.
//! It must not know what the engine is then used for.

use contract::{Stage, StageError};
use nn::config::{AdamConfig, BatchNormConfig, InitializerConfig, NetworkConfig};
use nn::native::{Isa, NativeEngine, NativeOptions};

/// What defines an engine's numbers.
#[derive(Debug, Clone, Copy)]
pub struct Blueprint<'a> {
    /// The layers.
    pub network: &'a NetworkConfig,
    /// Of every batch norm.
    pub batch_norm: &'a BatchNormConfig,
    /// Of every weight.
    pub initializer: &'a InitializerConfig,
    /// The optimiser.
    pub adam: &'a AdamConfig,
    /// Outputs of the dense layer.
    pub classes: usize,
    /// Of initial weights and dropout.
    pub seed: u64,
}

/// A new native engine with the stage's threads and instruction set, neither of which changes
/// a result.
///
/// # Errors
/// Parameters that describe no network, an instruction set that this machine lacks: the stage
/// exits with 2.
pub fn native(stage: &Stage, blueprint: Blueprint<'_>) -> Result<NativeEngine, StageError> {
    let isa = match stage.isa() {
        Some(name) => Isa::from_name(name).map_err(StageError::usage)?,
        None => Isa::detect(),
    };
    let options = NativeOptions {
        threads: stage.threads(),
        isa,
    };
    let Blueprint {
        network,
        batch_norm,
        initializer,
        adam,
        classes,
        seed,
    } = blueprint;
    NativeEngine::new(
        network,
        batch_norm,
        initializer,
        adam,
        classes,
        seed,
        options,
    )
    .map_err(StageError::usage)
}
