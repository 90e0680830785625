//! A GPU behind NVIDIA's driver, loaded at run time: nothing of CUDA is needed to build or start.
//! It must not know networks.

mod compile;
mod device;
mod kept;

use std::path::{Path, PathBuf};

use cudarc::driver::{DriverError, result};

pub use compile::{CompileError, Compiled, compile, compiler_version, has_compiler};
pub use device::CudaGpu;

use crate::gpu::GpuError;

/// The driver must know this CUDA at least, as NVIDIA numbers it.
const OLDEST_DRIVER: i32 = 12_000;

/// Why there is no GPU to work on.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The driver's library is not there.
    #[error("no NVIDIA driver: `libcuda.so.1` cannot be loaded")]
    NoDriver,
    /// The driver is too old.
    #[error(
        "the NVIDIA driver knows CUDA {}.{}, and {}.{} is needed",
        known / 1000, known % 1000 / 10, OLDEST_DRIVER / 1000, OLDEST_DRIVER % 1000 / 10
    )]
    OldDriver {
        /// As NVIDIA numbers it: 11080 is 11.8.
        known: i32,
    },
    /// The kernels' compiler is not there.
    #[error("no kernel compiler: `libnvrtc.so` of CUDA 12 or 13 cannot be loaded")]
    NoCompiler,
    /// The driver has no such device.
    #[error("no GPU {wanted}: the NVIDIA driver shows {count}")]
    NoDevice {
        /// The number that was asked for.
        wanted: usize,
        /// How many there are.
        count: usize,
    },
    /// A kernel does not compile for this GPU.
    #[error("kernels for {name}: {error}")]
    Compile {
        /// The GPU's name.
        name: String,
        /// The compiler's words.
        error: CompileError,
    },
    /// Something else that the driver said.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

impl OpenError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoDriver => {
                "install NVIDIA's driver, or start the container with `--gpus all`; `train.device=cpu` needs neither"
            }
            Self::OldDriver { .. } => "install a newer driver; `train.device=cpu` needs none",
            Self::NoCompiler => {
                "it comes with the CUDA toolkit, or by `pip install nvidia-cuda-nvrtc` with its folder in LD_LIBRARY_PATH; \
                 `train.device=cpu` needs none"
            }
            Self::NoDevice { .. } => {
                "`nvidia-smi -L` lists them, CUDA_VISIBLE_DEVICES hides some; `train.device=cpu` needs none"
            }
            Self::Compile { .. } => {
                "install an NVRTC that knows this GPU; `train.device=cpu` needs none"
            }
            Self::Gpu(_) => "`nvidia-smi` shows who uses it",
        }
    }
}

/// How many GPUs the driver shows.
///
/// # Errors
/// No driver, or one that is too old.
pub fn count() -> Result<usize, OpenError> {
    // SAFETY: loads and unloads a shared library of NVIDIA's, whose initialisers are sound.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return Err(OpenError::NoDriver);
    }
    match result::init() {
        // With a driver and no card it says so, which is no failure of ours.
        Err(error) if is_no_device(error) => return Ok(0),
        other => other.map_err(|error| failed("start", error))?,
    }
    let mut known = 0;
    // SAFETY: writes one int to where it is told to.
    let asked = unsafe { cudarc::driver::sys::cuDriverGetVersion(&raw mut known) };
    asked
        .result()
        .map_err(|error| failed("tell its version", error))?;
    if known < OLDEST_DRIVER {
        return Err(OpenError::OldDriver { known });
    }
    let count = result::device::get_count().map_err(|error| failed("count its devices", error))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The name of GPU `number`, such as `NVIDIA H100 80GB HBM3`.
///
/// # Errors
/// No driver, no such GPU.
pub fn name(number: usize) -> Result<String, OpenError> {
    let count = count()?;
    if number >= count {
        return Err(OpenError::NoDevice {
            wanted: number,
            count,
        });
    }
    let ordinal = i32::try_from(number).unwrap_or(i32::MAX);
    let device = result::device::get(ordinal).map_err(|error| failed("find a device", error))?;
    Ok(result::device::get_name(device).map_err(|error| failed("name a device", error))?)
}

/// GPU `number` with its kernels, compiled or taken from below `kept`.
///
/// # Errors
/// No driver, compiler or such GPU; kernels that do not compile for it.
pub fn open(number: usize, kept: Option<&Path>) -> Result<CudaGpu, OpenError> {
    let name = name(number)?;
    if !has_compiler() {
        return Err(OpenError::NoCompiler);
    }
    CudaGpu::new(number, name, kept)
}

/// Where compiled kernels are kept: below XDG_CACHE_HOME, or `.cache` of HOME.
#[must_use]
pub fn kept_kernels() -> Option<PathBuf> {
    let folder = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(cache.join("restage/kernels"))
}

fn is_no_device(error: DriverError) -> bool {
    error.0 == cudarc::driver::sys::CUresult::CUDA_ERROR_NO_DEVICE
}

fn failed(what: &'static str, error: DriverError) -> GpuError {
    GpuError::Driver {
        what,
        why: format!("{:?}", error.0),
    }
}
