//! Measures how long a prediction takes, for one image and for a batch.
//! It must not know what the predictions are good for.

use std::time::Instant;

use dataset::Split;
use nn::engine::{Engine, EngineError};

use crate::batches::Buffer;

/// Images at a time.
const BATCH_SIZES: [usize; 2] = [1, results::LatencyRow::BATCH as usize];
const WARM_UPS: usize = 3;
/// Measured at least and at most so often; between the two, until `ENOUGH_SECONDS` are over.
const LEAST: usize = 5;
const MOST: usize = 30;
const ENOUGH_SECONDS: f64 = 1.0;

/// Times of one batch size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Images at a time.
    pub batch_size: usize,
    /// How often it was measured.
    pub repetitions: usize,
    /// Milliseconds that half of the measurements stayed below.
    pub median_ms: f64,
    /// Milliseconds that nine tenths of the measurements did not exceed.
    pub p90_ms: f64,
}

impl Latency {
    /// From seconds, at least one.
    fn new(batch_size: usize, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        let median = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0;
        let p90 = seconds[(9 * count).div_ceil(10) - 1];
        Self {
            batch_size,
            repetitions: count,
            median_ms: median * 1e3,
            p90_ms: p90 * 1e3,
        }
    }

    /// Median milliseconds for each image of the batch.
    pub fn ms_per_image(&self) -> f64 {
        self.median_ms / self.batch_size as f64
    }
}

/// Times the evaluation of images of a split that has at least one; warm-ups don't count.
///
/// # Errors
/// Whatever the engine says.
pub fn measure(engine: &mut dyn Engine, split: &Split) -> Result<Vec<Latency>, EngineError> {
    BATCH_SIZES
        .iter()
        .map(|&batch_size| measure_batch(engine, split, batch_size))
        .collect()
}

fn measure_batch(
    engine: &mut dyn Engine,
    split: &Split,
    batch_size: usize,
) -> Result<Latency, EngineError> {
    let mut buffer = Buffer::default();
    // A small split gives its images more than once.
    buffer.fill(split, (0..batch_size).map(|i| i % split.len()));
    for _ in 0..WARM_UPS {
        engine.evaluate(buffer.batch())?;
    }
    let mut seconds = Vec::with_capacity(MOST);
    let began = Instant::now();
    while seconds.len() < LEAST
        || (seconds.len() < MOST && began.elapsed().as_secs_f64() < ENOUGH_SECONDS)
    {
        let started = Instant::now();
        engine.evaluate(buffer.batch())?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(Latency::new(batch_size, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_ninetieth_percentile_are_the_ranks_of_the_sorted_times() {
        let times = (1..=10).rev().map(f64::from).collect();
        let latency = Latency::new(2, times);
        assert_eq!((latency.median_ms, latency.p90_ms), (5500.0, 9000.0));
        assert_eq!(latency.ms_per_image(), 2750.0);
        assert_eq!(latency.repetitions, 10);
    }

    #[test]
    fn one_time_is_its_own_median() {
        let latency = Latency::new(1, vec![0.25]);
        assert_eq!((latency.median_ms, latency.p90_ms), (250.0, 250.0));
    }
}
