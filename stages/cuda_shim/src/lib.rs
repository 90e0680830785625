//! Runs the CUDA kernels on the CPU: the same sources, compiled as C++, launched by name.
//! It must not know networks, or what a kernel computes.
//!
//! Threads of a block are fibres that take turns at barriers; blocks run one after another.
//! "Device memory" is the host's. So kernels are checked where there is no GPU; how fast they are
//! on one this does not say, and not what only true concurrency would show.

use std::ffi::c_void;

/// Why a kernel was not launched, or came to no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// See [`available`].
    #[error("{0}")]
    Unavailable(&'static str),
    /// No kernel has that name.
    #[error("no kernel is called `{0}`")]
    UnknownKernel(String),
    /// An extent of 0, or more than 1024 threads.
    #[error("a block of {0:?} threads is not one that CUDA launches")]
    Block([u32; 3]),
    /// An extent of 0, or one beyond CUDA's limits.
    #[error("a grid of {0:?} blocks is not one that CUDA launches")]
    Grid([u32; 3]),
    /// Their number is not the kernel's, or one is null.
    #[error("`{kernel}` does not take {count} arguments, or one is null")]
    Arguments {
        /// Which kernel.
        kernel: String,
        /// How many it was given.
        count: usize,
    },
    /// Some threads of a block wait where others never come.
    #[error("threads of a block of `{0}` wait at a barrier that not all reach")]
    Divergence(String),
    /// The shim's registry says of a kernel with barriers that it has none.
    #[error("`{0}` has a barrier, but the shim runs it as a kernel without one")]
    NoFibres(String),
    /// For the fibres' stacks.
    #[error("no memory for the threads of a block")]
    Memory,
}

/// In which order the threads of a block, and the blocks of a grid, take their turns. A kernel
/// whose results depend on it has a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By rising index.
    Forward,
    /// By falling index.
    Backward,
}

/// Whether kernels can be launched here, or why not.
///
/// # Errors
///
/// Where there was no C++ compiler, or this CPU lacks what the one had that this was built on.
pub fn available() -> Result<(), &'static str> {
    #[cfg(not(compiled))]
    return Err("no C++ compiler was there when this was built");
    #[cfg(all(compiled, needs_fma, target_arch = "x86_64"))]
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        return Err("this was built on a CPU with AVX2 and FMA, and this one lacks them");
    }
    #[cfg(compiled)]
    Ok(())
}

/// Runs a kernel to its end, as `cuLaunchKernel` and a synchronisation would: each element of
/// `args` points to an argument's value.
///
/// # Safety
///
/// Each element of `args` must point to a value of its parameter's type, and what the kernel reads
/// and writes through them must be the memory of live objects that nothing else uses meanwhile.
///
/// # Errors
///
/// [`LaunchError`]; what the kernel has written until then remains.
pub unsafe fn launch(
    kernel: &str,
    grid: [u32; 3],
    block: [u32; 3],
    args: &mut [*mut c_void],
) -> Result<(), LaunchError> {
    // SAFETY: the same as ours.
    unsafe { launch_in(Order::Forward, kernel, grid, block, args) }
}

/// [`launch`], with threads and blocks in that order.
///
/// # Safety
///
/// As of [`launch`].
///
/// # Errors
///
/// As [`launch`].
pub unsafe fn launch_in(
    order: Order,
    kernel: &str,
    grid: [u32; 3],
    block: [u32; 3],
    args: &mut [*mut c_void],
) -> Result<(), LaunchError> {
    available().map_err(LaunchError::Unavailable)?;
    // SAFETY: `args` are what the kernel takes (the caller's promise); a wrong number of them is
    // refused before one is read.
    let outcome = unsafe { sys::launch(order == Order::Backward, kernel, grid, block, args) };
    let name = || kernel.to_owned();
    match outcome {
        0 => Ok(()),
        1 => Err(LaunchError::UnknownKernel(name())),
        2 => Err(LaunchError::Block(block)),
        3 => Err(LaunchError::Grid(grid)),
        4 => Err(LaunchError::Arguments {
            kernel: name(),
            count: args.len(),
        }),
        5 => Err(LaunchError::Divergence(name())),
        6 => Err(LaunchError::NoFibres(name())),
        _ => Err(LaunchError::Memory),
    }
}

#[cfg(compiled)]
mod sys {
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        fn cuda_shim_launch(
            name: *const c_char,
            name_len: usize,
            grid: *const u32,
            block: *const u32,
            backward: bool,
            args: *const *mut c_void,
            count: usize,
        ) -> c_int;
    }

    /// # Safety
    ///
    /// As of `launch`.
    pub(super) unsafe fn launch(
        backward: bool,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        args: &mut [*mut c_void],
    ) -> c_int {
        // SAFETY: name, grid, block and args are arrays of the stated lengths; the rest is the
        // caller's promise.
        unsafe {
            cuda_shim_launch(
                kernel.as_ptr().cast(),
                kernel.len(),
                grid.as_ptr(),
                block.as_ptr(),
                backward,
                args.as_ptr(),
                args.len(),
            )
        }
    }
}

#[cfg(not(compiled))]
mod sys {
    use std::ffi::{c_int, c_void};

    /// # Safety
    ///
    /// None: `available` is asked first.
    pub(super) unsafe fn launch(
        _: bool,
        _: &str,
        _: [u32; 3],
        _: [u32; 3],
        _: &mut [*mut c_void],
    ) -> c_int {
        unreachable!("`available` says that nothing was compiled")
    }
}
