//! What each epoch gave: losses, accuracies, learning rate, time.
//! It must not know how epochs are run or where the numbers are written.

use serde::{Deserialize, Serialize};

/// One finished epoch.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Means over the epoch's training images, while the weights changed.
    pub train: Score,
    /// Means over the validation images, after the epoch's last step.
    pub validation: Score,
    /// What the epoch's steps used.
    pub learning_rate: f32,
    /// Time that differs from run to run.
    pub timing: Timing,
}

/// Mean loss and accuracy over some images.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Score {
    /// Cross-entropy in nats.
    pub loss: f64,
    /// Share of images whose class was recognised.
    pub accuracy: f64,
}

/// What an epoch cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Timing {
    /// Seconds that the training steps took; validation is not in it.
    pub seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
    /// The process's largest resident memory so far, where the system tells.
    pub peak_memory_mib: Option<f64>,
}

/// The epoch with the lowest validation loss, the first of equals.
pub fn best(records: &[EpochRecord]) -> Option<&EpochRecord> {
    records.iter().reduce(|best, record| {
        if record.validation.loss < best.validation.loss {
            record
        } else {
            best
        }
    })
}

#[cfg(test)]
pub(crate) fn record(epoch: u64, validation_loss: f64) -> EpochRecord {
    EpochRecord {
        epoch,
        train: Score {
            loss: 1.0 / 3.0,
            accuracy: 0.1,
        },
        validation: Score {
            loss: validation_loss,
            accuracy: 0.2,
        },
        learning_rate: 1e-3,
        timing: Timing {
            seconds: 0.7,
            images_per_second: 1e3,
            peak_memory_mib: Some(12.5),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_good_epochs_is_best() {
        let records = [3.0, 2.0, 2.0, 4.0]
            .iter()
            .zip(1..)
            .map(|(&loss, epoch)| record(epoch, loss));
        let records: Vec<EpochRecord> = records.collect();
        assert_eq!(best(&records).map(|record| record.epoch), Some(2));
        assert_eq!(best(&[]), None);
    }
}
