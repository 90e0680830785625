//! Each operation against its reference, over shapes of every kind, and twice for the same bits.
//! It must not know networks.

mod conv;
mod norm;
mod pool;
mod step;

use cuda::array::{Array, View};
use cuda::gpu::Gpu;
use cuda::operations::{Operations, Precision, Scratch};

use crate::device::Place;

/// Of f32, in f32.
pub(crate) const ULP: f64 = f32::EPSILON as f64;

/// A device with room for what tests need.
pub(crate) struct Bench<G: Gpu> {
    pub(crate) gpu: G,
    pub(crate) scratch: Scratch<G>,
}

impl<G: Gpu> Bench<G> {
    pub(crate) fn new<P: Place<Gpu = G>>() -> Option<Self> {
        let gpu = P::get()?;
        let scratch = Scratch::new(&gpu, 1 << 22, 1 << 12).expect("some memory");
        Some(Self { gpu, scratch })
    }

    pub(crate) fn operations(&self, precision: Precision) -> Operations<'_, G> {
        Operations::new(&self.gpu, precision, &self.scratch)
    }

    pub(crate) fn put<T: bytemuck::Pod>(&self, values: &[T]) -> Array<G, T> {
        let array = Array::zeros(&self.gpu, values.len()).expect("some memory");
        array.write(&self.gpu, values).expect("a copy");
        array
    }

    /// What is in an array of `len` numbers that `work` fills, twice the same.
    pub(crate) fn filled(&self, start: &[f32], work: impl Fn(View<'_, f32>)) -> Vec<f32> {
        let once = || {
            let array = self.put(start);
            work(array.view());
            array.read(&self.gpu, start.len()).expect("a copy")
        };
        let (first, second) = (once(), once());
        let bits = |all: &[f32]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&first), bits(&second), "not the same bits twice");
        first
    }
}
