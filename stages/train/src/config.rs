//! The stage's parameters as `pipeline.yaml` declares them.
//! It must not know what any of them leads to.

use std::collections::BTreeMap;

use contract::StageError;
use nn::config::{AdamConfig, BatchNormConfig, InitializerConfig, NetworkConfig};
use serde::Deserialize;
use training::device::Device;
use training::engine::{EngineName, Precision};

use crate::augment::AugmentConfig;
use crate::plateau::PlateauConfig;
use crate::stopping::StoppingConfig;

/// Everything the stage is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Of every random stream.
    pub seed: u64,
    /// How to train.
    pub train: TrainConfig,
    /// What to train: the variant's network alone.
    pub models: BTreeMap<String, NetworkConfig>,
}

/// How to train (section III.D).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// What computes.
    pub engine: EngineName,
    /// What it computes on.
    pub device: Device,
    /// Of matrix products; everything else is f32.
    pub precision: Precision,
    /// Training ends after this many epochs at the latest.
    pub epochs: u64,
    /// Images per optimiser step; an epoch's last step may have fewer.
    pub batch_size: usize,
    /// The optimiser and its first learning rate.
    pub optimizer: AdamConfig,
    /// When the learning rate falls.
    pub reduce_lr_on_plateau: PlateauConfig,
    /// When training ends early.
    pub early_stopping: StoppingConfig,
    /// How training images are changed.
    pub augment: AugmentConfig,
    /// Of every batch norm.
    pub batch_norm: BatchNormConfig,
    /// Of every weight.
    pub initializer: InitializerConfig,
}

impl TrainConfig {
    /// Refuses numbers that no training can be done with.
    ///
    /// # Errors
    /// Names the parameter, its value and what it must be; the stage exits with 2. What the
    /// engine alone reads is checked by the engine.
    pub fn check(&self) -> Result<(), StageError> {
        let Self {
            reduce_lr_on_plateau: plateau,
            early_stopping: stopping,
            augment,
            ..
        } = self;
        let share = 0.0..=1.0;
        let finite = 0.0..f64::INFINITY;
        let rules = [
            ("epochs", self.epochs as f64, self.epochs > 0, "at least 1"),
            (
                "batch_size",
                self.batch_size as f64,
                self.batch_size > 0,
                "at least 1",
            ),
            (
                "optimizer.learning_rate",
                self.optimizer.learning_rate,
                self.optimizer.learning_rate > 0.0 && self.optimizer.learning_rate.is_finite(),
                "above 0",
            ),
            (
                "reduce_lr_on_plateau.factor",
                plateau.factor,
                plateau.factor > 0.0 && plateau.factor < 1.0,
                "between 0 and 1, both excluded",
            ),
            (
                "reduce_lr_on_plateau.min_delta",
                plateau.min_delta,
                finite.contains(&plateau.min_delta),
                "0 or more",
            ),
            (
                "reduce_lr_on_plateau.min_learning_rate",
                plateau.min_learning_rate,
                finite.contains(&plateau.min_learning_rate),
                "0 or more",
            ),
            (
                "early_stopping.min_delta",
                stopping.min_delta,
                finite.contains(&stopping.min_delta),
                "0 or more",
            ),
            (
                "augment.flip",
                augment.flip,
                share.contains(&augment.flip),
                "between 0 and 1",
            ),
            (
                "augment.brightness",
                augment.brightness,
                share.contains(&augment.brightness),
                "between 0 and 1",
            ),
        ];
        match rules.into_iter().find(|&(_, _, holds, _)| !holds) {
            None => Ok(()),
            Some((name, value, _, rule)) => Err(StageError::usage_message(format!(
                "parameter `train.{name}` is {value}, it must be {rule}"
            ))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use contract::Stage;

    use super::*;

    /// The paper's parameters for a small network.
    pub(crate) const PARAMS: &str = r#"{"seed":42,"train":{"engine":"native","device":"cpu","precision":"f32","epochs":30,"batch_size":64,
        "optimizer":{"name":"adam","learning_rate":1e-3,"beta1":0.9,"beta2":0.999,"epsilon":1e-7},
        "reduce_lr_on_plateau":{"factor":0.2,"patience":3,"min_delta":1e-4,"min_learning_rate":0},
        "early_stopping":{"patience":7,"min_delta":0},"augment":{"flip":0.5,"brightness":0.1},
        "batch_norm":{"momentum":0.99,"epsilon":1e-3},"initializer":{"conv":"he_normal","dense":"glorot_uniform"}},
        "models":{"tiny":{"family":"plain_cnn","filters":[4,4],"conv_bias":true,"dropout":0.5}}}"#;

    fn parse(text: &str) -> Result<Params, StageError> {
        let params: Params = Stage::for_test(text, Path::new("/nowhere")).params()?;
        params.train.check().map(|()| params)
    }

    #[test]
    fn the_papers_parameters_are_accepted() {
        let params = parse(PARAMS).unwrap();
        assert_eq!(
            (params.seed, params.train.epochs, params.train.batch_size),
            (42, 30, 64)
        );
        assert!(params.models.contains_key("tiny"));
    }

    #[test]
    fn other_engines_devices_and_optimizers_are_refused_with_what_there_is() {
        for (from, to, expected) in [
            (
                "native",
                "torch",
                "parameter `train.engine`: unknown variant `torch`, expected `native` or `dfdx`",
            ),
            (
                "cpu",
                "gpu",
                "parameter `train.device`: unknown device `gpu`, expected `auto`, `cpu`, `cuda` or `cuda:1`",
            ),
            (
                "adam",
                "sgd",
                "parameter `train.optimizer.name`: unknown variant `sgd`, expected `adam`",
            ),
        ] {
            let error = parse(&PARAMS.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for (from, to) in [
            ("\"seed\":42", "\"seed\":42,\"sead\":1"),
            ("\"epochs\":30", "\"epochs\":30,\"epoch\":1"),
            ("\"flip\":0.5", "\"flip\":0.5,\"flop\":1"),
            ("\"patience\":7", "\"patience\":7,\"cooldown\":1"),
            ("\"factor\":0.2", "\"factor\":0.2,\"cooldown\":1"),
        ] {
            let error = parse(&PARAMS.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        for (from, to, expected) in [
            (
                "\"epochs\":30",
                "\"epochs\":0",
                "`train.epochs` is 0, it must be at least 1",
            ),
            (
                "\"batch_size\":64",
                "\"batch_size\":0",
                "`train.batch_size` is 0, it must be at least 1",
            ),
            (
                "\"learning_rate\":1e-3",
                "\"learning_rate\":0",
                "`train.optimizer.learning_rate` is 0, it must be above 0",
            ),
            (
                "\"factor\":0.2",
                "\"factor\":1",
                "factor` is 1, it must be between 0 and 1, both excluded",
            ),
            (
                "\"min_delta\":1e-4",
                "\"min_delta\":-1",
                "`train.reduce_lr_on_plateau.min_delta` is -1, it must be 0 or more",
            ),
            (
                "\"flip\":0.5",
                "\"flip\":1.5",
                "`train.augment.flip` is 1.5, it must be between 0 and 1",
            ),
            (
                "\"brightness\":0.1",
                "\"brightness\":-0.1",
                "`train.augment.brightness` is -0.1, it must be between 0 and 1",
            ),
        ] {
            let error = parse(&PARAMS.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
