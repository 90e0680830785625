//! Prints how many images a second this engine and the native one train, network by network.
//! It must not know how either computes.
//!
//! `cargo run --release -p dfdx_engine --example speed [BATCH [STEPS]]`

use dfdx_engine::DfdxEngine;
use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, Engine};
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::random::{Stream, StreamName};
use std::error::Error;
use std::time::Instant;

/// The paper's networks.
fn networks() -> [(&'static str, NetworkConfig); 4] {
    let resnet =
        |filters: [usize; 4], strides: [usize; 4], skip, projection| NetworkConfig::Resnet {
            stem: filters[0],
            filters: filters.to_vec(),
            blocks: vec![2; 4],
            stage_strides: strides.to_vec(),
            skip,
            projection,
            dropout: 0.5,
        };
    let (narrow, wide) = ([32, 64, 128, 256], [64, 128, 256, 512]);
    let (every, shape) = (Projection::EveryStage, Projection::WhereShapeChanges);
    let baseline = NetworkConfig::PlainCnn {
        filters: narrow.to_vec(),
        conv_bias: true,
        dropout: 0.5,
    };
    [
        ("baseline_cnn", baseline),
        ("mini_resnet", resnet(narrow, [2; 4], true, every)),
        ("resnet18", resnet(wide, [1, 2, 2, 2], true, shape)),
        ("resnet18_noskip", resnet(wide, [1, 2, 2, 2], false, shape)),
    ]
}

/// Images a second of the fastest step, after one that is not measured.
fn speed(engine: &mut impl Engine, batch: Batch<'_>, steps: u64) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for step in 0..=steps {
        let start = Instant::now();
        engine.train_step(batch, step, 1e-3)?;
        if step > 0 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(batch.labels.len() as f64 / best)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let n: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let steps: u64 = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let batch_norm = BatchNormConfig {
        momentum: 0.99,
        epsilon: 1e-3,
    };
    let initializer = InitializerConfig {
        conv: Initializer::HeNormal,
        dense: Initializer::GlorotUniform,
    };
    let adam = AdamConfig::default();
    let stream = Stream::new(1, StreamName::Data, 0);
    let images: Vec<f32> = stream.uniforms(0).take(n * 3072).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
    let batch = Batch {
        images: &images,
        labels: &labels,
    };
    let options = NativeOptions {
        threads: std::thread::available_parallelism()?.get(),
        isa: Isa::detect(),
    };
    for (name, network) in networks() {
        let spec = ModelSpec {
            network: &network,
            batch_norm: &batch_norm,
            initializer: &initializer,
            adam: &adam,
            classes: 10,
            seed: 1,
        };
        let mut ours = DfdxEngine::new(spec)?;
        let ours = speed(&mut ours, batch, steps)?;
        let mut native = NativeEngine::new(spec, options)?;
        let native = speed(&mut native, batch, steps)?;
        println!("{name}: dfdx {ours:.1}, native {native:.1} images/s");
    }
    Ok(())
}
