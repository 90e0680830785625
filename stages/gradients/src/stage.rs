//! The stage from its parameters to its table.
//! It must not know how gradients are computed.

use std::collections::BTreeMap;

use contract::{Progress, Stage, StageError, WithHint, files};
use dataset::Dataset;
use nn::config::{AdamConfig, BatchNormConfig, InitializerConfig, NetworkConfig};
use nn::engine::Engine;
use nn::model_spec::ModelSpec;
use results::{GradientRow, Norm, Row};
use serde::Deserialize;
use training::engine::native;
use training::fit::{Misfit, fit};
use training::models::network;
use training::weights;

use crate::Args;
use crate::measure::{choose, mean_norms};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    seed: u64,
    train: TrainParams,
    gradients: GradientsParams,
    models: BTreeMap<String, NetworkConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainParams {
    batch_norm: BatchNormConfig,
    initializer: InitializerConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GradientsParams {
    batches: usize,
    batch_size: usize,
}

impl GradientsParams {
    /// How many images are measured on, if the training split has so many.
    fn images(&self, available: usize) -> Result<usize, StageError> {
        let Self {
            batches,
            batch_size,
        } = *self;
        for (name, value) in [("batches", batches), ("batch_size", batch_size)] {
            if value == 0 {
                let text = format!("parameter `gradients.{name}` is 0, it must be at least 1");
                return Err(StageError::usage_message(text));
            }
        }
        batches.checked_mul(batch_size).filter(|&images| images <= available).ok_or_else(|| {
            StageError::usage_message(format!(
                "{batches} batches of {batch_size} images are more than the {available} training images"
            ))
            .with_hint("lower `gradients.batches` or `gradients.batch_size`")
        })
    }
}

/// Measures both networks and writes `gradients.csv`.
///
/// # Errors
/// Wrong parameters (the stage exits with 2), unreadable data, weights of another network, a
/// table that cannot be written.
pub(crate) fn run(stage: &Stage, args: &Args) -> Result<(), StageError> {
    let params: Params = stage.params()?;
    let data = Dataset::load(&args.data)?;
    let images = params.gradients.images(data.train.len())?;
    let positions = choose(&data.train, images, params.seed);
    let spec = ModelSpec {
        network: network(&params.models, &args.variant)?,
        batch_norm: &params.train.batch_norm,
        initializer: &params.train.initializer,
        // Nothing is updated.
        adam: &AdamConfig::default(),
        classes: data.classes.len(),
        seed: params.seed,
    };
    let mut engine = native(stage, spec)?;
    let trained = weights::read(&args.weights)?;
    let trained = fit(trained.state, &engine.state(), &args.weights).with_hint(Misfit::HINT)?;

    let total = 2 * params.gradients.batches as u64;
    let mut done = 0;
    let mut measure = |engine: &mut dyn Engine| {
        mean_norms(
            engine,
            &data.train,
            &positions,
            params.gradients.batch_size,
            || {
                done += 1;
                let fraction = done as f64 / total as f64;
                let unit = "batch";
                stage.progress(Progress {
                    done,
                    total,
                    unit,
                    fraction,
                    remaining_seconds: None,
                    metrics: &[],
                });
            },
        )
    };
    let initial = measure(&mut engine)?;
    engine.import_state(&trained)?;
    let trained = measure(&mut engine)?;

    let layers = (1..).zip(trained.into_iter().zip(initial));
    let rows = layers.map(|(layer_index, (trained, initial))| GradientRow {
        layer_index,
        layer: trained.layer,
        trained_l2: Norm(trained.l2),
        initial_l2: Norm(initial.l2),
    });
    files::create_dir_all(&args.out)?;
    GradientRow::write(&args.out, rows)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_images_than_there_are_is_refused_with_numbers() {
        let params = GradientsParams {
            batches: 3,
            batch_size: 64,
        };
        assert_eq!(params.images(192).unwrap(), 192);
        let error = params.images(191).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 batches of 64 images are more than the 191 training images"
        );
        let huge = GradientsParams {
            batches: usize::MAX,
            batch_size: 2,
        };
        assert!(huge.images(usize::MAX).is_err());
    }

    #[test]
    fn no_batches_or_empty_batches_are_refused() {
        for (batches, batch_size, name) in [(0, 1, "batches"), (1, 0, "batch_size")] {
            let error = GradientsParams {
                batches,
                batch_size,
            }
            .images(10)
            .unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains(&format!("`gradients.{name}` is 0")),
                "{error}"
            );
            assert_eq!(error.exit_code(), 2);
        }
    }
}
