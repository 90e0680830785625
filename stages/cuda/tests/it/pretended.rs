//! A GPU on the host: memory is the host's, kernels are those of the shim.
//! It must not know networks.

use std::cell::{RefCell, UnsafeCell};

use cuda::gpu::{Argument, Gpu, GpuError, Launch};

#[derive(Default)]
pub(crate) struct Pretended {
    /// Launches since recording began, if it did.
    recorded: RefCell<Option<Vec<Owned>>>,
}

/// In units that any number may lie in.
pub(crate) struct Memory(Box<[UnsafeCell<u64>]>);

impl Memory {
    fn bytes(&self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }
}

pub(crate) struct Owned {
    kernel: String,
    grid: [u32; 3],
    block: [u32; 3],
    arguments: Vec<Argument>,
}

impl Gpu for Pretended {
    type Memory = Memory;
    type Recording = Vec<Owned>;

    fn allocate(&self, bytes: usize) -> Result<Memory, GpuError> {
        let words = (0..bytes.div_ceil(8)).map(|_| UnsafeCell::new(0));
        Ok(Memory(words.collect()))
    }

    fn address(&self, memory: &Memory) -> u64 {
        memory.bytes() as u64
    }

    fn write(&self, memory: &Memory, bytes: &[u8]) -> Result<(), GpuError> {
        assert!(bytes.len() <= 8 * memory.0.len());
        // SAFETY: as long, and nothing runs meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.bytes(), bytes.len()) };
        Ok(())
    }

    fn read(&self, memory: &Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        assert!(offset + bytes.len() <= 8 * memory.0.len());
        let from = memory.bytes().wrapping_add(offset);
        // SAFETY: as long, and nothing runs meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), GpuError> {
        assert!(
            cuda::kernels::KERNELS.contains(&launch.kernel),
            "`{}` is not listed",
            launch.kernel
        );
        if let Some(recorded) = self.recorded.borrow_mut().as_mut() {
            recorded.push(Owned {
                kernel: launch.kernel.to_owned(),
                grid: launch.grid,
                block: launch.block,
                arguments: launch.arguments.to_vec(),
            });
            return Ok(());
        }
        let pointers = launch.arguments.iter();
        let mut pointers: Vec<_> = pointers.map(|a| a.as_pointer().cast_mut()).collect();
        // SAFETY: the caller's promise.
        let launched =
            unsafe { cuda_shim::launch(launch.kernel, launch.grid, launch.block, &mut pointers) };
        launched.map_err(|error| GpuError::Driver {
            what: "start a kernel",
            why: error.to_string(),
        })
    }

    fn record(
        &self,
        work: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<Vec<Owned>, GpuError> {
        *self.recorded.borrow_mut() = Some(Vec::new());
        let worked = work();
        let recorded = self.recorded.borrow_mut().take().expect("a recording");
        worked.map(|()| recorded)
    }

    unsafe fn replay(&self, recording: &Vec<Owned>) -> Result<(), GpuError> {
        for launch in recording {
            let launch = Launch {
                kernel: &launch.kernel,
                grid: launch.grid,
                block: launch.block,
                arguments: &launch.arguments,
            };
            // SAFETY: the caller's promise.
            unsafe { self.launch(&launch)? };
        }
        Ok(())
    }
}
