//! Estimates how long training will still take, from the steps so far.
//! It must not know clocks or how estimates are shown.

/// Steps after which the first estimate is made.
const ENOUGH_STEPS: usize = 4;
/// Evaluating an image against training on it: a forward pass of about three passes' work.
const EVALUATION_COST: f64 = 1.0 / 3.0;

/// Sizes that do not change during training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) epochs: u64,
    pub(crate) train_images: usize,
    pub(crate) validation_images: usize,
    pub(crate) test_images: usize,
}

/// Speed so far.
#[derive(Debug)]
pub(crate) struct Pace {
    extent: Extent,
    steps: usize,
    images: usize,
    seconds: f64,
    /// Seconds for each evaluated image, once measured.
    evaluation: Option<f64>,
}

impl Pace {
    pub(crate) fn new(extent: Extent) -> Self {
        Self {
            extent,
            steps: 0,
            images: 0,
            seconds: 0.0,
            evaluation: None,
        }
    }

    /// Takes a step; the first is left out, for it also warms caches and threads up.
    pub(crate) fn step(&mut self, images: usize, seconds: f64) {
        self.steps += 1;
        if self.steps > 1 {
            self.images += images;
            self.seconds += seconds;
        }
    }

    pub(crate) fn validation(&mut self, seconds: f64) {
        self.evaluation = Some(seconds / self.extent.validation_images as f64);
    }

    /// Training images per second, once a step was measured.
    pub(crate) fn images_per_second(&self) -> Option<f64> {
        (self.images > 0 && self.seconds > 0.0).then(|| self.images as f64 / self.seconds)
    }

    /// Seconds until the end if all epochs run, with `images` trained on and `validated` epochs
    /// validated, counted from training's first start.
    pub(crate) fn remaining(&self, images: u64, validated: u64) -> Option<f64> {
        let Extent {
            epochs,
            train_images,
            validation_images,
            test_images,
        } = self.extent;
        if self.steps <= ENOUGH_STEPS {
            return None;
        }
        let training = 1.0 / self.images_per_second()?;
        let evaluation = self.evaluation.unwrap_or(training * EVALUATION_COST);
        let train = (epochs * train_images as u64).saturating_sub(images);
        let evaluate =
            epochs.saturating_sub(validated) * validation_images as u64 + test_images as u64;
        Some(train as f64 * training + evaluate as f64 * evaluation)
    }
}

/// Such as `40 s`, `24 min`, `3.5 h`.
pub(crate) fn rough(seconds: f64) -> String {
    match seconds {
        s if s < 99.5 => format!("{:.0} s", s.max(1.0)),
        s if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent {
        epochs: 3,
        train_images: 100,
        validation_images: 30,
        test_images: 60,
    };

    fn after_steps(count: usize) -> Pace {
        let mut pace = Pace::new(EXTENT);
        pace.step(10, 99.0);
        for _ in 1..count {
            pace.step(10, 1.0);
        }
        pace
    }

    #[test]
    fn there_is_no_estimate_before_a_few_steps() {
        assert_eq!(after_steps(4).remaining(40, 0), None);
        assert!(after_steps(5).remaining(50, 0).is_some());
    }

    #[test]
    fn the_first_step_does_not_count() {
        assert_eq!(after_steps(5).images_per_second(), Some(10.0));
        assert_eq!(after_steps(1).images_per_second(), None);
    }

    #[test]
    fn evaluation_is_guessed_until_it_is_measured() {
        let mut pace = after_steps(5);
        // 50 + 2 * 100 images at 0.1 s, and 3 * 30 + 60 at a third of that.
        assert!((pace.remaining(50, 0).unwrap() - (25.0 + 5.0)).abs() < 1e-9);
        pace.validation(6.0);
        // 100 images, then 30 + 60 evaluated at 0.2 s.
        assert!((pace.remaining(200, 2).unwrap() - (10.0 + 18.0)).abs() < 1e-9);
    }

    #[test]
    fn times_are_told_roughly() {
        for (seconds, text) in [
            (0.2, "1 s"),
            (41.3, "41 s"),
            (1440.0, "24 min"),
            (12_600.0, "3.5 h"),
            (260_000.0, "3.0 days"),
        ] {
            assert_eq!(rough(seconds), text);
        }
    }
}
