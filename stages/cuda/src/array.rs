//! Typed arrays in a GPU's memory.
//! It must not know networks or kernels.

use std::marker::PhantomData;

use bytemuck::Pod;
use nn::network::Span;

use crate::gpu::{Argument, Gpu, GpuError};

/// `len` numbers in a GPU's memory.
pub struct Array<G: Gpu, T> {
    memory: G::Memory,
    address: u64,
    len: usize,
    kind: PhantomData<T>,
}

/// Some of an array's numbers. Kernels read and write through it: what runs on a GPU runs in
/// order, so that no two of them meet.
#[derive(Debug)]
pub struct View<'a, T> {
    address: u64,
    len: usize,
    array: PhantomData<&'a T>,
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<G: Gpu, T: Pod> Array<G, T> {
    /// All 0.
    pub fn zeros(gpu: &G, len: usize) -> Result<Self, GpuError> {
        // No device allocates nothing.
        let memory = gpu.allocate((len * size_of::<T>()).max(size_of::<T>()))?;
        Ok(Self {
            address: gpu.address(&memory),
            memory,
            len,
            kind: PhantomData,
        })
    }

    /// Becomes `values`, which may be fewer.
    pub fn write(&self, gpu: &G, values: &[T]) -> Result<(), GpuError> {
        assert!(values.len() <= self.len, "an array holds no more");
        gpu.write(&self.memory, bytemuck::cast_slice(values))
    }

    /// The first `len` numbers, once all that was launched is done.
    pub fn read(&self, gpu: &G, len: usize) -> Result<Vec<T>, GpuError> {
        self.read_span(gpu, Span { start: 0, len })
    }

    /// Some of the numbers, once all that was launched is done.
    pub fn read_span(&self, gpu: &G, span: Span) -> Result<Vec<T>, GpuError> {
        assert!(span.start + span.len <= self.len, "an array holds no more");
        let mut values = vec![T::zeroed(); span.len];
        if span.len > 0 {
            let bytes = bytemuck::cast_slice_mut(&mut values);
            gpu.read(&self.memory, span.start * size_of::<T>(), bytes)?;
        }
        Ok(values)
    }

    /// All of it.
    #[must_use]
    pub fn view(&self) -> View<'_, T> {
        View {
            address: self.address,
            len: self.len,
            array: PhantomData,
        }
    }

    /// The first `len` numbers.
    #[must_use]
    pub fn first(&self, len: usize) -> View<'_, T> {
        self.span(Span { start: 0, len })
    }

    /// A part of it.
    #[must_use]
    pub fn span(&self, span: Span) -> View<'_, T> {
        assert!(span.start + span.len <= self.len, "an array holds no more");
        View {
            address: self.address + (span.start * size_of::<T>()) as u64,
            len: span.len,
            array: PhantomData,
        }
    }

    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> View<'_, T> {
    /// How many numbers.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

impl<T> From<View<'_, T>> for Argument {
    fn from(view: View<'_, T>) -> Self {
        Self::Address(view.address)
    }
}

impl<T> From<Option<View<'_, T>>> for Argument {
    fn from(view: Option<View<'_, T>>) -> Self {
        Self::Address(view.map_or(0, |view| view.address))
    }
}

impl From<usize> for Argument {
    /// Of an extent, which kernels take as 32 bits: networks here stay far below.
    fn from(extent: usize) -> Self {
        Self::Int(i32::try_from(extent).expect("an extent below 2^31"))
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}
