//! Builds the engine that a stage's parameters and environment ask for.
//! It must not know what the engine is then used for.

use contract::{Stage, StageError};
use cuda::driver;
use cuda::engine::CudaEngine;
pub use cuda::operations::Precision;
use dfdx_engine::DfdxEngine;
use nn::engine::Engine;
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use serde::{Deserialize, Serialize};

use crate::device::{Device, Resolved};

/// A new native engine with the stage's threads and instruction set, neither of which changes
/// a result.
///
/// # Errors
/// Parameters that describe no network, an instruction set that this machine lacks: the stage
/// exits with 2.
pub fn native(stage: &Stage, spec: ModelSpec<'_>) -> Result<NativeEngine, StageError> {
    let isa = match stage.isa() {
        Some(name) => Isa::from_name(name).map_err(StageError::usage)?,
        None => Isa::detect(),
    };
    let options = NativeOptions {
        threads: stage.threads(),
        isa,
    };
    NativeEngine::new(spec, options).map_err(StageError::usage)
}

/// `train.engine`: whose code computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// This project's own kernels.
    Native,
    /// dfdx's, on the CPU: an independent check.
    Dfdx,
}

/// What computes, on what, and how precisely.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// `train.engine`.
    pub engine: EngineName,
    /// `train.device`.
    pub device: Device,
    /// `train.precision`.
    pub precision: Precision,
}

/// A new engine, and in words what it computes on if that is not our CPU engine.
///
/// # Errors
/// As [`native`], a choice that there is not, or a device that cannot be had: the stage exits
/// with 2.
pub fn build(
    stage: &Stage,
    spec: ModelSpec<'_>,
    choice: Choice,
) -> Result<(Box<dyn Engine>, Option<String>), StageError> {
    let any = || driver::count().is_ok_and(|count| count > 0);
    let device = choice.device.resolve(stage.gpus(), any);
    let precision = choice.precision;
    let rounds = choice.engine == EngineName::Native && device != Resolved::Cpu;
    if precision != Precision::F32 && !rounds {
        let who = match choice.engine {
            EngineName::Native => "the CPU",
            EngineName::Dfdx => "dfdx",
        };
        return Err(StageError::usage_message(format!(
            "parameter `train.precision` is `{}`, but {who} computes in `f32`",
            precision.name()
        ))
        .with_hint("set it to `f32`, or `train.engine` to `native` and `train.device` to `cuda`"));
    }
    match (choice.engine, device) {
        (EngineName::Native, Resolved::Cpu) => Ok((Box::new(native(stage, spec)?), None)),
        (EngineName::Dfdx, device) => dfdx(spec, device),
        (EngineName::Native, Resolved::Cuda(number)) => {
            let gpu = driver::open(number, driver::kept_kernels().as_deref());
            let gpu = gpu.map_err(|error| {
                let hint = error.hint();
                StageError::usage(error).with_hint(hint)
            })?;
            let on = format!("{}, {}", gpu.name(), precision.name());
            let engine = CudaEngine::new(gpu, spec, precision);
            Ok((Box::new(engine.map_err(StageError::usage)?), Some(on)))
        }
    }
}

fn dfdx(
    spec: ModelSpec<'_>,
    device: Resolved,
) -> Result<(Box<dyn Engine>, Option<String>), StageError> {
    match device {
        Resolved::Cpu => {
            let engine = DfdxEngine::new(spec);
            let engine = engine.map_err(StageError::usage)?;
            Ok((Box::new(engine), Some("the CPU, by dfdx".to_owned())))
        }
        #[cfg(feature = "dfdx-cuda")]
        Resolved::Cuda(0) => {
            let engine = DfdxEngine::on_gpu(spec);
            let engine = engine.map_err(StageError::usage)?;
            Ok((Box::new(engine), Some("a GPU, by dfdx".to_owned())))
        }
        #[cfg(feature = "dfdx-cuda")]
        Resolved::Cuda(number) => Err(StageError::usage_message(format!(
            "dfdx computes on the first GPU, not on GPU {number}"
        ))
        .with_hint(format!("set CUDA_VISIBLE_DEVICES to {number}, and `train.device` to `cuda`"))),
        #[cfg(not(feature = "dfdx-cuda"))]
        Resolved::Cuda(_) => Err(StageError::usage_message(
            "parameter `train.engine` is `dfdx`, which computes on the CPU in this program",
        )
        .with_hint(
            "set `train.device` to `cpu`, or `train.engine` to `native`; `scripts/dfdx-cuda-build -p train \
             --features dfdx-cuda --bin train-dfdx-cuda` builds one where it computes on a GPU",
        )),
    }
}
