//! The devices that each test runs on: the CPU, which only pretends, and a GPU where there is one.
//! It must not know what is tested.

use cuda::driver::{self, CudaGpu};
use cuda::engine::CudaEngine;
use cuda::gpu::Gpu;
use cuda::operations::Precision;
use nn::config::{AdamConfig, NetworkConfig};

use crate::common::spec;
use crate::pretended::Pretended;

/// Where a test gets its devices.
pub(crate) trait Place {
    type Gpu: Gpu;

    /// A device, or nothing, with a word, where there is none.
    fn get() -> Option<Self::Gpu>;
}

pub(crate) struct OnTheCpu;

impl Place for OnTheCpu {
    type Gpu = Pretended;

    fn get() -> Option<Pretended> {
        match cuda_shim::available() {
            Ok(()) => Some(Pretended::default()),
            Err(reason) => {
                println!("skipped: {reason}");
                None
            }
        }
    }
}

pub(crate) struct OnAGpu;

impl Place for OnAGpu {
    type Gpu = CudaGpu;

    /// Where RESTAGE_REQUIRE_GPU is set, having none is a failure.
    fn get() -> Option<CudaGpu> {
        match driver::open(0, driver::kept_kernels().as_deref()) {
            Ok(gpu) => Some(gpu),
            Err(error) if std::env::var_os("RESTAGE_REQUIRE_GPU").is_some() => {
                panic!("RESTAGE_REQUIRE_GPU is set, but: {error}")
            }
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }
}

/// Makes each generic body a test on the CPU and one on a GPU.
macro_rules! on_each_device {
    ($($body:ident),+ $(,)?) => {
        mod on_the_cpu {
            $(#[test]
            fn $body() {
                super::$body::<crate::device::OnTheCpu>();
            })+
        }
        mod on_a_gpu {
            $(#[test]
            fn $body() {
                super::$body::<crate::device::OnAGpu>();
            })+
        }
    };
}
pub(crate) use on_each_device;

/// A network on a device, if there is one.
pub(crate) fn engine<P: Place>(
    network: &NetworkConfig,
    precision: Precision,
) -> Option<CudaEngine<P::Gpu>> {
    let engine = CudaEngine::new(
        P::get()?,
        spec(network, &AdamConfig::default(), 42),
        precision,
    );
    Some(engine.expect("a valid network"))
}
