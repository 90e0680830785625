//! A network's numbers as one dfdx vector a tensor.
//! It must not know what the tensors mean.

use dfdx::prelude::*;
use nn::network::{Plan, Span};

/// A tensor of one axis; `T` is its tape.
pub(crate) type Vector<D, T = NoneTape> = Tensor<(usize,), f32, D, T>;

/// What lies in one flat vector of a plan, cut at its tensors.
#[derive(Debug, Clone)]
pub(crate) struct Vectors<D: Device<f32>> {
    /// Where each tensor starts in the flat vector, ascending.
    starts: Vec<usize>,
    /// The tensors, in the plan's order.
    pub(crate) tensors: Vec<Vector<D>>,
}

impl<D: Device<f32>> Vectors<D> {
    /// Copies the trainable tensors, or the others, out of their flat vector.
    pub(crate) fn new(
        device: &D,
        plan: &Plan,
        trainable: bool,
        flat: &[f32],
    ) -> Result<Self, D::Err> {
        let slots = || {
            let slots = plan.slots.iter();
            slots.filter(move |slot| slot.trainable == trainable)
        };
        let copy = |span: Span| device.try_tensor_from_vec(span.of(flat).to_vec(), (span.len,));
        Ok(Self {
            starts: slots().map(|slot| slot.span.start).collect(),
            tensors: slots()
                .map(|slot| copy(slot.span))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The tensor at a place of the plan.
    pub(crate) fn of(&self, span: Span) -> &Vector<D> {
        &self.tensors[self.index(span)]
    }

    /// Puts a new tensor at a place of the plan.
    pub(crate) fn set(&mut self, span: Span, tensor: Vector<D>) {
        let index = self.index(span);
        self.tensors[index] = tensor;
    }

    /// The flat vector again.
    pub(crate) fn to_flat(&self) -> Vec<f32> {
        let mut flat = Vec::new();
        for tensor in &self.tensors {
            flat.extend(tensor.as_vec());
        }
        flat
    }

    fn index(&self, span: Span) -> usize {
        self.starts.partition_point(|&start| start < span.start)
    }
}
