//! First weights: a distribution, drawn by position.
//! It must not know which tensors a network has.

use super::outer_index;
use crate::config::Initializer;
use crate::network::Layout;
use crate::random::Stream;

/// First weights of one tensor, drawn by position, so that any part may be drawn alone.
#[derive(Debug, Clone)]
pub struct WeightInit {
    stream: Stream,
    layout: Layout,
    normal: bool,
    scale: f32,
}

impl WeightInit {
    /// Of a tensor of some layout, whose fans it tells.
    #[must_use]
    pub fn new(initializer: Initializer, layout: Layout, stream: Stream) -> Self {
        /// Standard deviation of the standard normal cut at 2, as in Keras.
        const CUT: f64 = 0.879_625_661_034_239_8;
        let (taps, inputs, outputs) = layout.extents();
        let (fan_in, fan_out) = ((taps * inputs) as f64, (taps * outputs) as f64);
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
            layout,
            normal,
            scale: scale as f32,
        }
    }

    /// Fills the whole tensor.
    pub fn fill(&self, flat: &mut [f32]) {
        for (i, to) in flat.iter_mut().enumerate() {
            *to = self.at(i);
        }
    }

    /// Number `i` of the tensor as it lies in the parameters.
    #[must_use]
    pub fn at(&self, i: usize) -> f32 {
        let place = outer_index(self.layout, i) as u64;
        let unit = if self.normal {
            self.stream.truncated_normal_at(place)
        } else {
            self.stream.uniform_at(place).mul_add(2.0, -1.0)
        };
        unit * self.scale
    }
}
