//! Logits of a network by our CPU engine, which itself tells losses and probabilities.
//! It must not know files.

use dataset::Split;
use nn::config::{AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig};
use nn::engine::{Batch, Engine, EngineError, State};
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::pixels::scale_into;

/// Images at once: bounds memory.
const BATCH: usize = 64;

/// `[images, classes]` of a network with this state, evaluated as training does.
///
/// The network gets one more class, whose logit is always 0. A class's loss is the logarithm of the
/// sum of all exponentials less its logit, so a logit is that class's loss less its own.
///
/// # Errors
/// A state of another network.
pub(crate) fn logits(
    network: &NetworkConfig,
    batch_norm: &BatchNormConfig,
    mut state: State,
    split: &Split,
    classes: usize,
) -> Result<Vec<f32>, EngineError> {
    for tensor in &mut state.tensors {
        if tensor.name == "dense.weight" || tensor.name == "dense.bias" {
            tensor.shape[0] += 1;
            tensor.values.resize(tensor.shape.iter().product(), 0.0);
        }
    }
    let spec = ModelSpec {
        network,
        batch_norm,
        // Nothing is drawn or updated.
        initializer: &InitializerConfig {
            conv: Initializer::HeNormal,
            dense: Initializer::GlorotUniform,
        },
        adam: &AdamConfig::default(),
        classes: classes + 1,
        seed: 0,
    };
    let options = NativeOptions {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        isa: Isa::detect(),
    };
    let mut engine =
        NativeEngine::new(spec, options).map_err(|error| EngineError::State(error.to_string()))?;
    engine.import_state(&state)?;
    let mut logits = Vec::with_capacity(split.len() * classes);
    let mut images = Vec::new();
    for start in (0..split.len()).step_by(BATCH) {
        let count = BATCH.min(split.len() - start);
        images.clear();
        for position in start..start + count {
            scale_into(split.image(position), &mut images);
        }
        // A class counts as a byte.
        let mut losses = |class: usize| {
            let labels = vec![class as u8; count];
            let batch = Batch {
                images: &images,
                labels: &labels,
            };
            engine.evaluate(batch).map(|found| found.losses)
        };
        let nought = losses(classes)?;
        let by_class: Vec<Vec<f32>> = (0..classes).map(losses).collect::<Result<_, _>>()?;
        for image in 0..count {
            logits.extend(by_class.iter().map(|losses| nought[image] - losses[image]));
        }
    }
    Ok(logits)
}
