//! How long each layer's passes took, when somebody wants to know.
//! It must not know what is measured.

use std::cell::RefCell;
use std::time::Instant;

/// Time that one layer spent in one kind of pass, over all steps since recording began.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTime {
    /// Such as `stage2.block1.conv1`; `dense`, `average pool`, `adam`, or `step` for the rest.
    pub layer: String,
    /// `forward`, `input gradient`, `weight gradient`, `batch norm forward`,
    /// `batch norm backward`, `pool`, `dense`, `adam` or `other`. A max pool's time holds that of
    /// the batch norm before it; a projection's batch norm is added to a block's second, whose
    /// time holds both.
    pub pass: &'static str,
    /// On the clock, not summed over threads.
    pub seconds: f64,
}

/// A record of times, off at first.
#[derive(Debug, Default)]
pub(crate) struct Times {
    on: bool,
    log: RefCell<Vec<LayerTime>>,
}

impl Times {
    /// Starts from nothing, or stops and keeps what there is.
    pub(crate) fn record(&mut self, on: bool) {
        self.on = on;
        if on {
            self.log.get_mut().clear();
        }
    }

    /// In the order of their first pass.
    pub(crate) fn get(&self) -> Vec<LayerTime> {
        self.log.borrow().clone()
    }

    /// Runs `f`; its time is `layer`'s in `pass`.
    pub(crate) fn measure<R>(&self, layer: &str, pass: &'static str, f: impl FnOnce() -> R) -> R {
        if !self.on {
            return f();
        }
        let start = Instant::now();
        let result = f();
        let seconds = start.elapsed().as_secs_f64();
        let mut log = self.log.borrow_mut();
        match log.iter_mut().find(|t| t.pass == pass && t.layer == layer) {
            Some(time) => time.seconds += seconds,
            None => log.push(LayerTime {
                layer: layer.to_owned(),
                pass,
                seconds,
            }),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_layer_add_up_only_while_recording() {
        let mut times = Times::default();
        times.measure("a", "forward", || ());
        assert!(times.get().is_empty());
        times.record(true);
        for layer in ["a", "b", "a"] {
            times.measure(layer, "forward", || ());
        }
        times.record(false);
        times.measure("c", "forward", || ());
        let layers: Vec<String> = times.get().into_iter().map(|t| t.layer).collect();
        assert_eq!(layers, ["a", "b"]);
    }
}
