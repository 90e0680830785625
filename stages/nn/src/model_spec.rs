//! What defines an engine's numbers, whatever computes them.
//! It must not know engines.

use crate::config::{AdamConfig, BatchNormConfig, ConfigError, InitializerConfig, NetworkConfig};
use crate::network::Plan;

/// A network, how it is trained and from which numbers on.
#[derive(Debug, Clone, Copy)]
pub struct ModelSpec<'a> {
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

impl ModelSpec<'_> {
    /// The network laid out.
    ///
    /// # Errors
    /// Settings that describe no network, no batch norm or no optimiser.
    pub fn plan(&self) -> Result<Plan, ConfigError> {
        self.batch_norm.validate()?;
        self.adam.validate()?;
        Plan::new(self.network, self.classes)
    }
}
