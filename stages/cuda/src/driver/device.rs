//! The GPU itself: memory, launches and recordings through the driver.
//! It must not know networks.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaGraph, CudaStream, DriverError, result, sys};

use super::{OpenError, compile, compiler_version, failed, kept};
use crate::gpu::{Gpu, GpuError, Launch};
use crate::kernels::{HEADERS, KERNELS, SOURCES};

/// One GPU with all kernels, and a stream in which all of its work is done.
pub struct CudaGpu {
    name: String,
    stream: Arc<CudaStream>,
    modules: Vec<sys::CUmodule>,
    functions: HashMap<&'static str, sys::CUfunction>,
}

impl std::fmt::Debug for CudaGpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CudaGpu")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl CudaGpu {
    /// Driver and compiler were seen to be there.
    pub(super) fn new(
        number: usize,
        name: String,
        folder: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let context = CudaContext::new(number).map_err(|error| failed("open a device", error))?;
        let capability = context.compute_capability();
        let (major, minor) = capability.map_err(|error| failed("tell its kind", error))?;
        let architecture = format!("sm_{major}{minor}");
        let stream = context
            .new_stream()
            .map_err(|error| failed("make a stream", error))?;
        let mut gpu = Self {
            name,
            stream,
            modules: Vec::new(),
            functions: HashMap::new(),
        };
        let version = compiler_version();
        for (file, source) in SOURCES {
            let mut inputs = vec![version.as_str(), &architecture, file, source];
            inputs.extend(HEADERS.iter().flat_map(|&(file, held)| [file, held]));
            let code = kept::or_make(folder, &inputs, || {
                Ok(compile(file, source, HEADERS, &architecture)?.code)
            });
            let code = code.map_err(|error| OpenError::Compile {
                name: gpu.name.clone(),
                error,
            })?;
            // SAFETY: machine code that the compiler gave, or that was kept with its digest.
            let module = unsafe { result::module::load_data(code.as_ptr().cast()) };
            gpu.modules
                .push(module.map_err(|error| failed("load a kernel", error))?);
        }
        for &kernel in KERNELS {
            gpu.functions.insert(kernel, gpu.function(kernel)?);
        }
        Ok(gpu)
    }

    /// Such as `NVIDIA H100 80GB HBM3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn function(&self, kernel: &str) -> Result<sys::CUfunction, GpuError> {
        let name = CString::new(kernel).expect("a name without NUL");
        let mut found = Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_FOUND));
        for &module in &self.modules {
            // SAFETY: the module was loaded and is unloaded only when this is dropped.
            found = unsafe { result::module::get_function(module, name.clone()) };
            if found.is_ok() {
                break;
            }
        }
        found.map_err(|error| failed("find a kernel", error))
    }

    /// The driver asks each thread which device it means.
    fn bind(&self) -> Result<(), GpuError> {
        let bound = self.stream.context().bind_to_thread();
        bound.map_err(|error| failed("take a thread", error))
    }
}

impl Drop for CudaGpu {
    fn drop(&mut self) {
        if self.bind().is_err() {
            return;
        }
        for &module in &self.modules {
            // SAFETY: loaded once, unloaded here alone. What a failure leaves is memory, which
            // the driver frees with the process.
            let _left = unsafe { result::module::unload(module) };
        }
    }
}

/// A piece of the GPU's memory.
#[derive(Debug)]
pub struct Memory {
    address: sys::CUdeviceptr,
    stream: Arc<CudaStream>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Launches that are under way may still use it.
        if self.stream.synchronize().is_ok() {
            // SAFETY: allocated once, freed here alone, and nobody uses it any more.
            let _left = unsafe { result::free_sync(self.address) };
        }
    }
}

impl Gpu for CudaGpu {
    type Memory = Memory;
    type Recording = CudaGraph;

    fn allocate(&self, bytes: usize) -> Result<Memory, GpuError> {
        self.bind()?;
        // SAFETY: what comes back is freed once, by `Memory`.
        let address = unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => GpuError::Memory {
                mib: bytes.div_ceil(1 << 20),
            },
            _ => failed("allocate memory", error),
        })?;
        let memory = Memory {
            address,
            stream: Arc::clone(&self.stream),
        };
        // SAFETY: `bytes` bytes were just allocated there.
        let zeroed = unsafe { result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) };
        zeroed.map_err(|error| failed("clear memory", error))?;
        Ok(memory)
    }

    fn address(&self, memory: &Memory) -> u64 {
        memory.address
    }

    fn write(&self, memory: &Memory, bytes: &[u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: the caller's array is as long; the driver has read the bytes when it returns, as
        // they lie in pageable memory.
        let written =
            unsafe { result::memcpy_htod_async(memory.address, bytes, self.stream.cu_stream()) };
        written.map_err(|error| failed("copy to the GPU", error))
    }

    fn read(&self, memory: &Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.bind()?;
        let from = memory.address + offset as u64;
        // SAFETY: the caller's array is as long, and the bytes are waited for.
        let read = unsafe { result::memcpy_dtoh_async(bytes, from, self.stream.cu_stream()) };
        read.and_then(|()| self.stream.synchronize())
            .map_err(|error| failed("copy from the GPU", error))
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), GpuError> {
        let Some(&function) = self.functions.get(launch.kernel) else {
            return Err(GpuError::Driver {
                what: "find a kernel",
                why: launch.kernel.to_owned(),
            });
        };
        self.bind()?;
        let pointers = launch
            .arguments
            .iter()
            .map(|argument| argument.as_pointer().cast_mut());
        let mut pointers: Vec<_> = pointers.collect();
        let [x, y, z] = launch.grid;
        let [a, b, c] = launch.block;
        // SAFETY: the driver copies the arguments before it returns; the rest is the caller's
        // promise.
        let launched = unsafe {
            result::launch_kernel(
                function,
                (x, y, z),
                (a, b, c),
                0,
                self.stream.cu_stream(),
                &mut pointers,
            )
        };
        launched.map_err(|error| failed("start a kernel", error))
    }

    fn record(
        &self,
        work: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<CudaGraph, GpuError> {
        // What came before, clearing memory for one, does not belong to it.
        let waited = self.stream.synchronize();
        waited.map_err(|error| failed("finish its work", error))?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let begun = self.stream.begin_capture(mode);
        begun.map_err(|error| failed("record", error))?;
        let worked = work();
        // Recording ends in any case, or nothing could be launched any more.
        let ended = self.stream.end_capture(sys::CUgraphInstantiate_flags(0));
        worked?;
        match ended.map_err(|error| failed("end a recording", error))? {
            Some(graph) => Ok(graph),
            None => Err(GpuError::Driver {
                what: "end a recording",
                why: "nothing was recorded".to_owned(),
            }),
        }
    }

    unsafe fn replay(&self, recording: &CudaGraph) -> Result<(), GpuError> {
        recording
            .launch()
            .map_err(|error| failed("repeat a recording", error))
    }
}
