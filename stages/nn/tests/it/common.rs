//! Small networks, batches and engines for the tests.
//! It must not know what is tested.
use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, Engine, EngineError};
use nn::model_spec::ModelSpec;
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

pub(crate) fn plain(filters: &[usize], dropout: f64) -> NetworkConfig {
    NetworkConfig::PlainCnn {
        filters: filters.to_vec(),
        conv_bias: true,
        dropout,
    }
}

pub(crate) fn resnet(
    stem: usize,
    filters: &[usize],
    strides: &[usize],
    skip: bool,
    projection: Projection,
) -> NetworkConfig {
    NetworkConfig::Resnet {
        stem,
        filters: filters.to_vec(),
        blocks: vec![2; filters.len()],
        stage_strides: strides.to_vec(),
        skip,
        projection,
        dropout: 0.5,
    }
}

/// One small network of each kind that the four of the paper are of.
pub(crate) fn small_networks() -> [(&'static str, NetworkConfig); 4] {
    let shape = Projection::WhereShapeChanges;
    [
        ("plain", plain(&[5, 8, 33], 0.5)),
        (
            "every stage",
            resnet(6, &[6, 12], &[2, 2], true, Projection::EveryStage),
        ),
        (
            "where shape changes",
            resnet(8, &[8, 16], &[1, 2], true, shape),
        ),
        ("no skip", resnet(4, &[8, 12], &[2, 2], false, shape)),
    ]
}

/// Ten classes, and the tests' usual settings.
pub(crate) fn spec<'a>(
    network: &'a NetworkConfig,
    adam: &'a AdamConfig,
    seed: u64,
) -> ModelSpec<'a> {
    ModelSpec {
        network,
        batch_norm: &BATCH_NORM,
        initializer: &INITIALIZER,
        adam,
        classes: 10,
        seed,
    }
}

pub(crate) fn engine(network: &NetworkConfig, threads: usize, isa: Isa) -> NativeEngine {
    engine_seeded(network, threads, isa, 42)
}

pub(crate) fn engine_seeded(
    network: &NetworkConfig,
    threads: usize,
    isa: Isa,
    seed: u64,
) -> NativeEngine {
    let options = NativeOptions { threads, isa };
    NativeEngine::new(spec(network, &AdamConfig::default(), seed), options)
        .expect("a valid network on this machine")
}

/// Instruction sets of this CPU; says which it lacks.
pub(crate) fn isas() -> Vec<Isa> {
    let all = [Isa::Avx512, Isa::Avx2, Isa::Plain];
    for isa in all.into_iter().filter(|isa| !isa.available()) {
        println!("skipped {}: this CPU lacks it", isa.name());
    }
    all.into_iter().filter(|isa| isa.available()).collect()
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

/// Batches of a wrong length, with an unknown label and without images are refused in these words.
pub(crate) fn refuses_what_does_not_fit(engine: &mut dyn Engine) {
    let data = Images::new(2, 1);
    let said = |result: Result<(), EngineError>| result.expect_err("does not fit").to_string();
    let short = Batch {
        images: &data.images[1..],
        labels: &data.labels,
    };
    let text = "batch does not fit the network: 6143 numbers for 2 labels, but an image has 3072";
    assert_eq!(said(engine.train_step(short, 0, 1e-3).map(|_| ())), text);
    assert_eq!(said(engine.evaluate(short).map(|_| ())), text);
    let wrong = Batch {
        images: &data.images,
        labels: &[3, 11],
    };
    let text = "batch does not fit the network: label 11 of image 1, but there are 10 classes";
    assert_eq!(said(engine.train_step(wrong, 0, 1e-3).map(|_| ())), text);
    assert_eq!(said(engine.gradient_norms(wrong).map(|_| ())), text);
    let empty = Batch {
        images: &[],
        labels: &[],
    };
    assert_eq!(
        said(engine.train_step(empty, 0, 1e-3).map(|_| ())),
        "batch does not fit the network: no images"
    );
}
