//! Each operation against its reference, over shapes of every kind, and twice for the same bits.
//! It must not know networks.

mod conv;
mod norm;
mod pool;
mod step;

use cuda::array::{Array, View};
use cuda::gpu::Gpu;
use cuda::operations::{Operations, Precision, Scratch};
use nn::random::{Stream, StreamName};

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

/// Random numbers, a quarter of them 0 as after ReLU.
pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let stream = Stream::new(seed, StreamName::Data, len as u64);
    let value = |u: f32| if u < 0.25 { 0.0 } else { u * 4.0 - 2.5 };
    stream.uniforms(0).take(len).map(value).collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

pub(crate) fn sizes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v).abs()).collect()
}

/// Each number is within `relative` times the sum of its terms' sizes.
pub(crate) fn assert_close(what: &str, got: &[f32], exact: &[f64], sizes: &[f64], relative: f64) {
    assert_eq!(
        (got.len(), sizes.len()),
        (exact.len(), exact.len()),
        "{what}"
    );
    for (i, ((&g, &e), &size)) in got.iter().zip(exact).zip(sizes).enumerate() {
        let bound = relative * size + 1e-30;
        let apart = (f64::from(g) - e).abs();
        assert!(
            apart <= bound,
            "{what}: {g} is not {e} within {bound:e} at {i}"
        );
    }
}
