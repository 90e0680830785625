//! Which layer first gave a number that is not finite.
//! It must not know how layers compute.

use nn::engine::EngineError;
use nn::network::Unit;

use super::{CudaEngine, device, memory};
use crate::array::Array;
use crate::gpu::{Gpu, GpuError};

impl<G: Gpu> CudaEngine<G> {
    /// The first layer of a step over the room's `n` images that was found not to be finite.
    pub(super) fn non_finite(&self, n: usize, step: u64) -> EngineError {
        match self.culprit(n) {
            Ok((layer, what)) => EngineError::NonFinite { layer, what, step },
            Err(error) => device(error),
        }
    }

    fn culprit(&self, n: usize) -> Result<(String, &'static str), GpuError> {
        let found = self.steps.found.read(&self.gpu, self.steps.found.len())?;
        let forward = [memory::STATISTICS, memory::LOGITS, memory::LOSSES];
        if forward.iter().all(|&place| found[place] == 0) {
            return Ok((self.backward_culprit()?, "gradient"));
        }
        let finite = |array: &Array<G, f32>, len| -> Result<bool, GpuError> {
            Ok(array.read(&self.gpu, len)?.iter().all(|v| v.is_finite()))
        };
        let batch = self
            .numbers
            .batch
            .read(&self.gpu, self.numbers.batch.len())?;
        for (unit, kept) in self.plan.units.iter().zip(&self.room.units) {
            for (layer, conv_out) in unit.layers().zip(&kept.conv_outs) {
                let len = n * layer.conv.out_size().pow(2) * layer.conv.outputs;
                if !finite(conv_out, len)? {
                    return Ok((layer.conv.name.clone(), "activation"));
                }
                let variance = layer.norm.variance.of(&batch);
                if !variance.iter().all(|v| v.is_finite()) {
                    return Ok((layer.norm.name.clone(), "activation"));
                }
            }
            if !finite(&kept.output, n * unit.output_len())? {
                let last = Unit::layers(unit).last();
                let name = last.map_or("input", |layer| layer.norm.name.as_str());
                return Ok((name.to_owned(), "activation"));
            }
        }
        let fine = found[memory::LOGITS] == 0;
        Ok(("dense".to_owned(), if fine { "loss" } else { "activation" }))
    }

    /// The layer nearest the loss: its gradient was computed first.
    fn backward_culprit(&self) -> Result<String, GpuError> {
        let gradient = self.gradient()?;
        let mut slots = self.plan.slots.iter().filter(|slot| slot.trainable).rev();
        let culprit = slots.find(|slot| !slot.span.of(&gradient).iter().all(|v| v.is_finite()));
        let name = culprit.and_then(|slot| slot.name.rsplit_once('.'));
        Ok(name.map_or("dense", |(layer, _)| layer).to_owned())
    }
}
