//! Prints training and evaluation speed of the paper's networks on this machine.
//! It must not know the pipeline: `cargo run --release -p nn --example steps [THREADS] [ISA] [NETWORK]`.

use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, Engine};
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::network::{Plan, Unit};
use nn::random::{Stream, StreamName};
use std::error::Error;
use std::time::Instant;

const BATCH: usize = 64;
/// The best of so many steps: others may use the machine.
const STEPS: u64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(2), |a| a.parse())?;
    let isa = arguments
        .next()
        .map_or(Ok(Isa::detect()), |name| Isa::from_name(&name))?;
    let only = arguments.next().unwrap_or_default();
    println!(
        "{threads} threads, {}, batches of {BATCH}, best of {STEPS}",
        isa.name()
    );
    println!(
        "{:<26} {:>10} {:>10} {:>10} {:>12}",
        "network", "ms/step", "images/s", "GFLOP/s", "eval images/s"
    );
    let resnet = |stem: usize, strides: [usize; 4], skip, projection| NetworkConfig::Resnet {
        stem,
        filters: [1, 2, 4, 8].map(|i| i * stem).to_vec(),
        blocks: vec![2; 4],
        stage_strides: strides.to_vec(),
        skip,
        projection,
        dropout: 0.5,
    };
    let shape = Projection::WhereShapeChanges;
    for (name, network) in [
        (
            "baseline_cnn",
            NetworkConfig::PlainCnn {
                filters: vec![32, 64, 128, 256],
                conv_bias: true,
                dropout: 0.5,
            },
        ),
        (
            "mini_resnet",
            resnet(32, [2; 4], true, Projection::EveryStage),
        ),
        ("resnet18 [2,2,2,2]", resnet(64, [2; 4], true, shape)),
        (
            "resnet18_noskip [2,2,2,2]",
            resnet(64, [2; 4], false, shape),
        ),
        ("resnet18 [1,2,2,2]", resnet(64, [1, 2, 2, 2], true, shape)),
    ] {
        if !name.starts_with(&only) {
            continue;
        }
        measure(name, &network, NativeOptions { threads, isa })?;
    }
    Ok(())
}

fn measure(
    name: &str,
    network: &NetworkConfig,
    options: NativeOptions,
) -> Result<(), Box<dyn Error>> {
    let batch_norm = BatchNormConfig {
        momentum: 0.99,
        epsilon: 1e-3,
    };
    let initializer = InitializerConfig {
        conv: Initializer::HeNormal,
        dense: Initializer::GlorotUniform,
    };
    let mut engine = NativeEngine::new(
        network,
        &batch_norm,
        &initializer,
        &AdamConfig::default(),
        10,
        1,
        options,
    )?;
    let images: Vec<f32> = Stream::new(1, StreamName::Data, 0)
        .uniforms(0)
        .take(BATCH * 3072)
        .collect();
    let labels: Vec<u8> = (0..BATCH).map(|i| (i % 10) as u8).collect();
    let batch = Batch {
        images: &images,
        labels: &labels,
    };
    let (mut train, mut evaluate) = (f64::INFINITY, f64::INFINITY);
    for step in 0..STEPS {
        let start = Instant::now();
        engine.train_step(batch, step, 1e-3)?;
        train = train.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        engine.evaluate(batch)?;
        evaluate = evaluate.min(start.elapsed().as_secs_f64());
    }
    let work = flops(&Plan::new(network, 10)?) * BATCH as f64;
    let images = BATCH as f64;
    println!(
        "{name:<26} {:>10.1} {:>10.0} {:>10.1} {:>12.0}",
        train * 1e3,
        images / train,
        work / train * 1e-9,
        images / evaluate
    );
    Ok(())
}

/// Floating point operations of one image's training step: forward, and backward to inputs
/// (but for the first layer) and weights.
fn flops(plan: &Plan) -> f64 {
    let layers = plan
        .units
        .iter()
        .flat_map(Unit::layers)
        .map(|layer| &layer.conv);
    let convs = layers.enumerate().map(|(i, conv)| {
        let products = conv.weight.len * conv.out_size().pow(2);
        2.0 * products as f64 * if i == 0 { 2.0 } else { 3.0 }
    });
    convs.sum::<f64>() + 6.0 * plan.dense.weight.len as f64
}
