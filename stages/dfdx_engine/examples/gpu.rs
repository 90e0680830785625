//! Says how far a step on the GPU is from the same on the CPU, and how fast each is.
//! It must not know how engines compute.
//!
//! After `scripts/dfdx-cuda-build`; fails where there is no GPU.

use dfdx_engine::{DfdxEngine, Gather};
use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, Engine, State};
use nn::model_spec::ModelSpec;
use nn::random::{Stream, StreamName};
use std::error::Error;
use std::time::Instant;

/// Images of a batch.
const N: usize = 32;

fn network() -> NetworkConfig {
    NetworkConfig::Resnet {
        stem: 32,
        filters: vec![32, 64, 128, 256],
        blocks: vec![2; 4],
        stage_strides: vec![2; 4],
        skip: true,
        projection: Projection::EveryStage,
        dropout: 0.5,
    }
}

/// A step's loss, the state after it, and the seconds of a second step.
fn step<D: Gather>(mut engine: DfdxEngine<D>) -> Result<(f64, State, f64), Box<dyn Error>> {
    let stream = Stream::new(1, StreamName::Data, 0);
    let images: Vec<f32> = stream.uniforms(0).take(N * 3072).collect();
    let labels: Vec<u8> = (0..N).map(|i| (i % 10) as u8).collect();
    let batch = Batch {
        images: &images,
        labels: &labels,
    };
    let loss = engine.train_step(batch, 0, 1e-3)?.loss_sum / N as f64;
    let state = engine.export_state()?;
    let start = Instant::now();
    engine.train_step(batch, 1, 1e-3)?;
    Ok((loss, state, start.elapsed().as_secs_f64()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let network = network();
    let batch_norm = BatchNormConfig {
        momentum: 0.99,
        epsilon: 1e-3,
    };
    let initializer = InitializerConfig {
        conv: Initializer::HeNormal,
        dense: Initializer::GlorotUniform,
    };
    // With no memory the first moments after a step are its gradients.
    let adam = AdamConfig {
        beta1: 0.0,
        ..AdamConfig::default()
    };
    let spec = ModelSpec {
        network: &network,
        batch_norm: &batch_norm,
        initializer: &initializer,
        adam: &adam,
        classes: 10,
        seed: 1,
    };
    let gpu = DfdxEngine::on_gpu(spec)?;
    let cpu = DfdxEngine::new(spec)?;
    let ((gpu_loss, gpu, gpu_time), (cpu_loss, cpu, cpu_time)) = (step(gpu)?, step(cpu)?);
    println!("loss: GPU {gpu_loss}, CPU {cpu_loss}");
    for (gpu, cpu) in gpu.tensors.iter().zip(&cpu.tensors) {
        if !gpu.name.starts_with("adam.v.") {
            let pairs = gpu.values.iter().zip(&cpu.values);
            let apart = pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
            let scale = cpu
                .values
                .iter()
                .fold(0.0, |most: f32, v| most.max(v.abs()));
            println!("{}: apart by {apart:.1e} of {scale:.1e}", gpu.name);
        }
    }
    let speed = |seconds: f64| N as f64 / seconds;
    println!(
        "images/s: GPU {:.0}, CPU {:.0}",
        speed(gpu_time),
        speed(cpu_time)
    );
    Ok(())
}
