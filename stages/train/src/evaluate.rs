//! Runs a network over a whole split: mean loss, accuracy, each image's prediction.
//! It must not know training or files.

use dataset::Split;
use nn::engine::{Engine, EngineError};

use crate::batches::Buffer;
use crate::history::Score;

/// Images that are scaled and handed over at a time: bounds memory, changes no result.
const CHUNK: usize = 256;

/// What a network says about a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Mean loss and accuracy.
    pub score: Score,
    /// The likeliest class of each image.
    pub predicted: Vec<u8>,
    /// Its probability.
    pub confidence: Vec<f32>,
}

/// Evaluates every image of a split that has at least one.
///
/// # Errors
/// Whatever the engine says, and a loss or a probability that is not finite.
pub fn evaluate(
    engine: &mut dyn Engine,
    split: &Split,
    classes: usize,
) -> Result<Predictions, EngineError> {
    let count = split.len();
    let mut buffer = Buffer::default();
    let mut loss_sum = 0.0;
    let mut predicted = Vec::with_capacity(count);
    let mut confidence = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        buffer.fill(split, start..count.min(start + CHUNK));
        let evaluation = engine.evaluate(buffer.batch())?;
        refuse_non_finite("loss", &evaluation.losses)?;
        refuse_non_finite("probability", &evaluation.probabilities)?;
        for &loss in &evaluation.losses {
            loss_sum += f64::from(loss);
        }
        let rows = evaluation.probabilities.chunks_exact(classes);
        confidence.extend(
            rows.zip(&evaluation.predicted)
                .map(|(row, &class)| row[usize::from(class)]),
        );
        predicted.extend_from_slice(&evaluation.predicted);
    }
    let hits = split
        .labels
        .iter()
        .zip(&predicted)
        .filter(|(label, guess)| label == guess)
        .count();
    let count = count as f64;
    let score = Score {
        loss: loss_sum / count,
        accuracy: hits as f64 / count,
    };
    Ok(Predictions {
        score,
        predicted,
        confidence,
    })
}

/// An evaluation belongs to no step of the optimiser, and only its last layer is seen.
fn refuse_non_finite(what: &'static str, numbers: &[f32]) -> Result<(), EngineError> {
    if numbers.iter().all(|number| number.is_finite()) {
        return Ok(());
    }
    Err(EngineError::NonFinite {
        layer: "softmax".to_owned(),
        what,
        step: 0,
    })
}
