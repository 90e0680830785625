//! Networks, batches and pairs of engines for the tests.
//! It must not know what is tested.

use dfdx::prelude::Cpu;
use dfdx_engine::DfdxEngine;
use nn::blueprint::Blueprint;
use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, State, Tensor};
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::random::{Stream, StreamName};

pub(crate) const BATCH_NORM: BatchNormConfig = BatchNormConfig {
    momentum: 0.9,
    epsilon: 1e-3,
};
pub(crate) const INITIALIZER: InitializerConfig = InitializerConfig {
    conv: Initializer::HeNormal,
    dense: Initializer::GlorotUniform,
};
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
    DfdxEngine::new(Blueprint {
        network,
        batch_norm: &BATCH_NORM,
        initializer: &INITIALIZER,
        adam,
        classes: 10,
        seed: SEED,
    })
    .expect("a valid network")
}

pub(crate) fn native(network: &NetworkConfig, adam: &AdamConfig) -> NativeEngine {
    let options = NativeOptions {
        threads: 2,
        isa: Isa::detect(),
    };
    NativeEngine::new(
        Blueprint {
            network,
            batch_norm: &BATCH_NORM,
            initializer: &INITIALIZER,
            adam,
            classes: 10,
            seed: SEED,
        },
        options,
    )
    .expect("a valid network on this machine")
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

/// Images whose class shows: each class lights up its own place and colour, under noise.
pub(crate) struct Images {
    pub(crate) images: Vec<f32>,
    pub(crate) labels: Vec<u8>,
}

impl Images {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        let stream = Stream::new(seed, StreamName::Data, 0);
        let labels: Vec<u8> = (0..n)
            .map(|i| (stream.u32_at(i as u64) % 10) as u8)
            .collect();
        let noise = stream.uniforms(1 << 20);
        let images = noise.take(n * 3072).enumerate().map(|(i, u)| {
            let (class, pixel, channel) = (usize::from(labels[i / 3072]), i % 3072 / 3, i % 3);
            let (row, column) = (pixel / 32, pixel % 32);
            let lit = row / 7 == class % 4 && column / 11 == class / 4 && channel == class % 3;
            u * 1.6 - 0.8 + if lit { 1.2 } else { 0.0 }
        });
        Self {
            images: images.collect(),
            labels,
        }
    }

    /// Those of some indices, in their order.
    pub(crate) fn chosen(&self, indices: &[usize]) -> Self {
        let image = |&i: &usize| &self.images[i * 3072..(i + 1) * 3072];
        Self {
            images: indices.iter().flat_map(image).copied().collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            images: &self.images,
            labels: &self.labels,
        }
    }

    pub(crate) fn part(&self, from: usize, to: usize) -> Batch<'_> {
        Batch {
            images: &self.images[from * 3072..to * 3072],
            labels: &self.labels[from..to],
        }
    }
}
