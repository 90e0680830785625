//! Averages gradient norms over batches of training images.
//! It must not know files, or whether the network was trained.

use dataset::Split;
use nn::engine::{Batch, Engine, EngineError, LayerNorm};
use nn::pixels::scale_into;
use nn::random::{Stream, StreamName};

/// The images' positions, a batch after the other: a seeded choice without repetition.
pub(crate) fn choose(split: &Split, images: usize, seed: u64) -> Vec<usize> {
    let mut order = Stream::new(seed, StreamName::Sample, 0).permutation(split.len());
    order.truncate(images);
    order
}

/// Mean of each layer's gradient norm over the batches, in network order.
///
/// # Errors
/// Whatever the engine says.
pub(crate) fn mean_norms(
    engine: &mut dyn Engine,
    split: &Split,
    positions: &[usize],
    batch_size: usize,
    mut after_batch: impl FnMut(),
) -> Result<Vec<LayerNorm>, EngineError> {
    let mut sums: Vec<LayerNorm> = Vec::new();
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for chosen in positions.chunks(batch_size) {
        images.clear();
        labels.clear();
        for &position in chosen {
            scale_into(split.image(position), &mut images);
            labels.push(split.labels[position]);
        }
        let norms = engine.gradient_norms(Batch {
            images: &images,
            labels: &labels,
        })?;
        if sums.is_empty() {
            sums = norms;
        } else {
            for (sum, norm) in sums.iter_mut().zip(norms) {
                sum.l2 += norm.l2;
            }
        }
        after_batch();
    }
    let batches = positions.len().div_ceil(batch_size) as f64;
    for sum in &mut sums {
        sum.l2 /= batches;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use dataset::IMAGE_BYTES;
    use nn::engine::{Evaluation, State, StepStats};
    use nn::network::ParameterCount;

    use super::*;

    /// Takes the mean label for the first layer's norm and the batch's size for the second's.
    struct Fake;

    impl Engine for Fake {
        fn train_step(&mut self, _: Batch<'_>, _: u64, _: f32) -> Result<StepStats, EngineError> {
            Err(EngineError::State("measuring must not train".to_owned()))
        }
        fn evaluate(&mut self, _: Batch<'_>) -> Result<Evaluation, EngineError> {
            Err(EngineError::State("measuring must not evaluate".to_owned()))
        }
        fn gradient_norms(&mut self, batch: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError> {
            let count = batch.labels.len() as f64;
            let mean = batch
                .labels
                .iter()
                .map(|&label| f64::from(label))
                .sum::<f64>()
                / count;
            assert_eq!(batch.images.len(), batch.labels.len() * IMAGE_BYTES);
            Ok(vec![
                LayerNorm {
                    layer: "a".to_owned(),
                    l2: mean,
                },
                LayerNorm {
                    layer: "b".to_owned(),
                    l2: count,
                },
            ])
        }
        fn export_state(&self) -> Result<State, EngineError> {
            Ok(State::default())
        }
        fn import_state(&mut self, _: &State) -> Result<(), EngineError> {
            Ok(())
        }
        fn parameters(&self) -> ParameterCount {
            ParameterCount {
                trainable: 0,
                moving: 0,
            }
        }
    }

    fn split(count: u8) -> Split {
        Split {
            images: vec![7; usize::from(count) * IMAGE_BYTES],
            labels: (0..count).collect(),
        }
    }

    #[test]
    fn norms_are_means_over_batches_in_network_order() {
        let mut batches = 0;
        let norms = mean_norms(&mut Fake, &split(9), &[1, 3, 5, 8], 2, || batches += 1).unwrap();
        assert_eq!(batches, 2);
        assert_eq!(
            norms,
            [
                LayerNorm {
                    layer: "a".to_owned(),
                    l2: (2.0 + 6.5) / 2.0
                },
                LayerNorm {
                    layer: "b".to_owned(),
                    l2: 2.0
                },
            ]
        );
    }

    #[test]
    fn the_choice_is_seeded_and_takes_no_image_twice() {
        let split = split(50);
        let mut chosen = choose(&split, 20, 42);
        assert_eq!(chosen, choose(&split, 20, 42));
        assert_ne!(chosen, choose(&split, 20, 43));
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 20);
    }
}
