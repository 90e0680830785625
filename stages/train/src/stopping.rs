//! Ends training when the validation loss has not fallen for long: Keras's `EarlyStopping`.
//! It must not know what the loss belongs to.

use serde::{Deserialize, Serialize};

/// How long training may go on without getting better.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingConfig {
    /// Epochs without improvement after which training ends.
    pub patience: u32,
    /// An improvement is a loss below the best minus this.
    pub min_delta: f64,
}

/// The rule's state, finite but for a `best` that no epoch has set yet.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct EarlyStopping {
    config: StoppingConfig,
    best: f64,
    wait: u32,
    stopped: bool,
}

impl EarlyStopping {
    /// A rule that has seen no epoch yet.
    pub fn new(config: StoppingConfig) -> Self {
        Self {
            config,
            best: f64::INFINITY,
            wait: 0,
            stopped: false,
        }
    }

    /// Takes an epoch's validation loss.
    pub fn observe(&mut self, loss: f64) {
        self.wait += 1;
        if loss + self.config.min_delta < self.best {
            self.best = loss;
            self.wait = 0;
        } else if self.wait >= self.config.patience {
            self.stopped = true;
        }
    }

    /// Whether training is to end after the last epoch seen.
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 1-based epoch after which training ends, if it does.
    fn stops_after(patience: u32, min_delta: f64, losses: &[f64]) -> Option<usize> {
        let mut rule = EarlyStopping::new(StoppingConfig {
            patience,
            min_delta,
        });
        losses
            .iter()
            .position(|&loss| {
                rule.observe(loss);
                rule.stopped()
            })
            .map(|i| i + 1)
    }

    // The expected epochs were worked out by hand from Keras's `on_epoch_end`.

    #[test]
    fn a_falling_loss_never_stops() {
        assert_eq!(stops_after(1, 0.0, &[4.0, 3.0, 2.0, 1.0]), None);
    }

    #[test]
    fn patience_epochs_without_improvement_stop() {
        assert_eq!(stops_after(2, 0.0, &[4.0, 4.0, 4.0, 4.0]), Some(3));
        assert_eq!(stops_after(3, 0.0, &[4.0, 5.0, 6.0, 7.0]), Some(4));
    }

    #[test]
    fn an_equal_loss_is_no_improvement() {
        assert_eq!(stops_after(1, 0.0, &[4.0, 4.0]), Some(2));
    }

    #[test]
    fn an_improvement_in_the_last_patient_epoch_saves_training() {
        assert_eq!(
            stops_after(3, 0.0, &[4.0, 5.0, 5.0, 3.9, 5.0, 5.0, 5.0]),
            Some(7)
        );
    }

    #[test]
    fn a_gain_of_at_most_min_delta_is_none() {
        assert_eq!(stops_after(2, 0.5, &[4.0, 3.5, 3.5]), Some(3));
        assert_eq!(stops_after(2, 0.5, &[4.0, 3.5, 3.25, 3.25]), None);
    }

    #[test]
    fn the_first_epoch_never_stops() {
        assert_eq!(stops_after(0, 0.0, &[4.0]), None);
        assert_eq!(stops_after(0, 0.0, &[4.0, 4.0]), Some(2));
    }
}
