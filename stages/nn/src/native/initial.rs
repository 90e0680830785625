//! First weights: a distribution, drawn by position.
//! It must not know which tensors a network has.

use super::memory::Disjoint;
use super::parameters::outer_index;
use super::threads::Threads;
use crate::config::Initializer;
use crate::network::Layout;
use crate::random::Stream;

/// A distribution of first weights.
pub(crate) struct Draw {
    stream: Stream,
    normal: bool,
    scale: f32,
}

impl Draw {
    pub(crate) fn new(
        initializer: Initializer,
        fan_in: usize,
        fan_out: usize,
        stream: Stream,
    ) -> Self {
        /// Standard deviation of the standard normal cut at 2, as in Keras.
        const CUT: f64 = 0.879_625_661_034_239_8;
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        let (normal, variance) = match initializer {
            Initializer::HeNormal => (true, 2.0 / fan_in),
            Initializer::HeUniform => (false, 2.0 / fan_in),
            Initializer::GlorotNormal => (true, 2.0 / (fan_in + fan_out)),
            Initializer::GlorotUniform => (false, 2.0 / (fan_in + fan_out)),
        };
        let scale = if normal {
            variance.sqrt() / CUT
        } else {
            (3.0 * variance).sqrt()
        };
        Self {
            stream,
            normal,
            scale: scale as f32,
        }
    }

    /// Fills a tensor; every number is drawn by its position, so threads may share the work.
    pub(crate) fn fill(&self, threads: &Threads, layout: Layout, flat: &mut [f32]) {
        /// Numbers of one task.
        const CHUNK: usize = 1 << 14;
        let len = flat.len();
        let flat = Disjoint::new(flat);
        threads.each(len.div_ceil(CHUNK), |task| {
            let from = task * CHUNK;
            // SAFETY: chunks do not overlap.
            let part = unsafe { flat.range(from, CHUNK.min(len - from)) };
            for (i, to) in part.iter_mut().enumerate() {
                *to = self.at(outer_index(layout, from + i));
            }
        });
    }

    fn at(&self, i: usize) -> f32 {
        let unit = if self.normal {
            self.stream.truncated_normal_at(i as u64)
        } else {
            self.stream.uniform_at(i as u64).mul_add(2.0, -1.0)
        };
        unit * self.scale
    }
}
