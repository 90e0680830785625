//! Lowers the learning rate when the validation loss stops falling: Keras's `ReduceLROnPlateau`.
//! It must not know the optimiser or the network.

use serde::{Deserialize, Serialize};

/// When and how far the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauConfig {
    /// What the learning rate is multiplied by, in (0, 1).
    pub factor: f64,
    /// Epochs without improvement after which it falls.
    pub patience: u32,
    /// An improvement is a loss below the best minus this.
    pub min_delta: f64,
    /// It never falls below this.
    pub min_learning_rate: f64,
}

/// The schedule's state, finite but for a `best` that no epoch has set yet.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Plateau {
    config: PlateauConfig,
    learning_rate: f32,
    best: f64,
    wait: u32,
}

impl Plateau {
    /// A schedule that has seen no epoch yet.
    pub fn new(config: PlateauConfig, learning_rate: f64) -> Self {
        // Keras keeps the rate in a 32-bit variable.
        Self {
            config,
            learning_rate: learning_rate as f32,
            best: f64::INFINITY,
            wait: 0,
        }
    }

    /// The rate for the next step.
    pub fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    /// Takes an epoch's validation loss.
    pub fn observe(&mut self, loss: f64) {
        if loss < self.best - self.config.min_delta {
            self.best = loss;
            self.wait = 0;
            return;
        }
        self.wait += 1;
        let least = self.config.min_learning_rate;
        if self.wait >= self.config.patience && self.learning_rate > least as f32 {
            let lowered = f64::from(self.learning_rate) * self.config.factor;
            self.learning_rate = lowered.max(least) as f32;
            self.wait = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: PlateauConfig = PlateauConfig {
        factor: 0.5,
        patience: 2,
        min_delta: 0.1,
        min_learning_rate: 0.0,
    };

    /// The rate that each epoch ran with, and last the rate that a further one would.
    fn rates(config: PlateauConfig, losses: &[f64]) -> Vec<f32> {
        let mut plateau = Plateau::new(config, 1.0);
        let mut rates = vec![plateau.learning_rate()];
        for &loss in losses {
            plateau.observe(loss);
            rates.push(plateau.learning_rate());
        }
        rates
    }

    // The expected rates were worked out by hand from Keras's `on_epoch_end`.

    #[test]
    fn a_falling_loss_keeps_the_rate() {
        assert_eq!(rates(CONFIG, &[5.0, 4.0, 3.0, 2.0]), [1.0; 5]);
    }

    #[test]
    fn the_rate_falls_at_the_end_of_the_patience_th_epoch_without_improvement() {
        assert_eq!(rates(CONFIG, &[5.0, 5.0, 5.0]), [1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn the_wait_starts_anew_after_each_fall() {
        assert_eq!(
            rates(CONFIG, &[5.0, 5.0, 5.0, 5.0, 5.0, 5.0]),
            [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        );
    }

    #[test]
    fn an_improvement_resets_the_wait() {
        assert_eq!(
            rates(CONFIG, &[5.0, 5.0, 4.0, 4.0, 4.0]),
            [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
        );
    }

    #[test]
    fn a_gain_of_less_than_min_delta_is_none_and_moves_no_mark() {
        // 4.95 and 4.92 are not below 5.0 - 0.1; were the mark moved to 4.95, 4.88 would not be
        // an improvement either, yet it is one over 5.0.
        assert_eq!(rates(CONFIG, &[5.0, 4.95, 4.92]), [1.0, 1.0, 1.0, 0.5]);
        assert_eq!(rates(CONFIG, &[5.0, 4.95, 4.88, 4.88]), [1.0; 5]);
    }

    #[test]
    fn a_gain_of_exactly_min_delta_is_none() {
        let config = PlateauConfig {
            min_delta: 0.5,
            ..CONFIG
        };
        assert_eq!(rates(config, &[5.0, 4.5, 4.5]), [1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn the_rate_stops_at_its_minimum() {
        let config = PlateauConfig {
            patience: 1,
            min_learning_rate: 0.4,
            ..CONFIG
        };
        assert_eq!(
            rates(config, &[5.0, 5.0, 5.0, 5.0]),
            [1.0, 1.0, 0.5, 0.4, 0.4]
        );
    }

    #[test]
    fn the_rate_is_rounded_to_32_bits_after_each_fall() {
        let config = PlateauConfig {
            factor: 0.2,
            patience: 1,
            ..CONFIG
        };
        let mut plateau = Plateau::new(config, 1e-3);
        for _ in 0..3 {
            plateau.observe(1.0);
        }
        let once = (f64::from(1e-3f32) * 0.2) as f32;
        assert_eq!(plateau.learning_rate(), (f64::from(once) * 0.2) as f32);
    }

    #[test]
    fn the_best_loss_outlives_a_fall() {
        // After the fall, 4.95 still counts against 5.0.
        assert_eq!(
            rates(CONFIG, &[5.0, 6.0, 6.0, 4.95, 4.95]),
            [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
        );
    }
}
