//! Networks, batches and pairs of engines for the tests.
//! It must not know what is tested.

use crate::nn_common::spec;
pub(crate) use crate::nn_common::{BATCH_NORM, INITIALIZER, Images, refuses_what_does_not_fit};
use dfdx::prelude::Cpu;
use dfdx_engine::DfdxEngine;
use nn::config::{AdamConfig, NetworkConfig, Projection};
use nn::engine::{State, Tensor};
use nn::native::{Isa, NativeEngine, NativeOptions};

pub(crate) const SEED: u64 = 42;

pub(crate) fn plain(filters: &[usize], conv_bias: bool, dropout: f64) -> NetworkConfig {
    NetworkConfig::PlainCnn {
        filters: filters.to_vec(),
        conv_bias,
        dropout,
    }
}

pub(crate) fn resnet(
    filters: &[usize],
    strides: &[usize],
    skip: bool,
    projection: Projection,
    dropout: f64,
) -> NetworkConfig {
    NetworkConfig::Resnet {
        stem: filters[0],
        filters: filters.to_vec(),
        blocks: vec![2; filters.len()],
        stage_strides: strides.to_vec(),
        skip,
        projection,
        dropout,
    }
}

/// Narrow and shallow networks of the kinds that the paper's four are of.
pub(crate) fn small_networks(dropout: f64) -> [(&'static str, NetworkConfig); 5] {
    let (every, shape) = (Projection::EveryStage, Projection::WhereShapeChanges);
    [
        ("plain", plain(&[5, 8, 17], true, dropout)),
        ("plain without bias", plain(&[4, 6], false, dropout)),
        (
            "every stage",
            resnet(&[6, 12], &[2, 2], true, every, dropout),
        ),
        (
            "where shape changes",
            resnet(&[4, 8], &[1, 2], true, shape, dropout),
        ),
        ("no skip", resnet(&[6, 12], &[2, 2], false, shape, dropout)),
    ]
}

/// The paper's networks.
pub(crate) fn papers_networks(dropout: f64) -> [(&'static str, NetworkConfig); 4] {
    let (every, shape) = (Projection::EveryStage, Projection::WhereShapeChanges);
    let (narrow, wide) = ([32, 64, 128, 256], [64, 128, 256, 512]);
    [
        ("baseline_cnn", plain(&narrow, true, dropout)),
        (
            "mini_resnet",
            resnet(&narrow, &[2; 4], true, every, dropout),
        ),
        (
            "resnet18",
            resnet(&wide, &[1, 2, 2, 2], true, shape, dropout),
        ),
        (
            "resnet18_noskip",
            resnet(&wide, &[1, 2, 2, 2], false, shape, dropout),
        ),
    ]
}

pub(crate) fn ours(network: &NetworkConfig, adam: &AdamConfig) -> DfdxEngine<Cpu> {
    DfdxEngine::new(spec(network, adam, SEED)).expect("a valid network")
}

pub(crate) fn native(network: &NetworkConfig, adam: &AdamConfig) -> NativeEngine {
    let options = NativeOptions {
        threads: 2,
        isa: Isa::detect(),
    };
    NativeEngine::new(spec(network, adam, SEED), options).expect("a valid network on this machine")
}

/// The largest difference between two tensors over the largest number of `scale`.
pub(crate) fn difference(ours: &[f32], theirs: &[f32], scale: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.fold(0.0, |most: f64, number| most.max(number.abs()))
    };
    let mut apart = ours
        .iter()
        .zip(theirs)
        .map(|(&a, &b)| f64::from(a) - f64::from(b));
    let apart = largest(&mut apart);
    // Zeros that agree with zeros differ by nothing.
    if apart == 0.0 {
        return 0.0;
    }
    apart / largest(&mut scale.iter().map(|&number| f64::from(number)))
}

pub(crate) fn tensor<'a>(state: &'a State, name: &str) -> &'a Tensor {
    let found = state.tensors.iter().find(|tensor| tensor.name == name);
    found.expect("a tensor of this network")
}

impl Images {
    /// Those of some indices, in their order.
    pub(crate) fn chosen(&self, indices: &[usize]) -> Self {
        let image = |&i: &usize| &self.images[i * 3072..(i + 1) * 3072];
        Self {
            images: indices.iter().flat_map(image).copied().collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }
}
