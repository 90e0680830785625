//! What a GPU does for the engine: memory, and kernels one after another.
//! It must not know networks, nor what kind of GPU it is.

use bytemuck::{Pod, Zeroable};

/// A device with memory of its own, which does what it is told in order.
pub trait Gpu {
    /// A piece of its memory, freed when dropped.
    type Memory;
    /// Launches that can be repeated as one.
    type Recording;

    /// `bytes` of memory, all 0.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory, GpuError>;

    /// Where a kernel finds the memory.
    fn address(&self, memory: &Self::Memory) -> u64;

    /// Copies `bytes` to the start of the memory, behind all that was launched before.
    fn write(&self, memory: &Self::Memory, bytes: &[u8]) -> Result<(), GpuError>;

    /// Copies from `offset` on, when all that was launched before is done.
    fn read(&self, memory: &Self::Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError>;

    /// Puts a kernel behind all that was launched before.
    ///
    /// # Safety
    /// Every address among the arguments is of memory of this device that lives until the kernel
    /// is done and is as large as the kernel, given its other arguments, takes it to be.
    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), GpuError>;

    /// Collects what `work` launches, without doing it.
    fn record(
        &self,
        work: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<Self::Recording, GpuError>;

    /// Does what was recorded.
    ///
    /// # Safety
    /// As for each of the recorded launches.
    unsafe fn replay(&self, recording: &Self::Recording) -> Result<(), GpuError>;
}

/// A kernel, how many threads run it, and on what.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The kernel's name in its source.
    pub kernel: &'a str,
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// Threads of a block in each direction.
    pub block: [u32; 3],
    /// In the kernel's order.
    pub arguments: &'a [Argument],
}

/// What is given to a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument {
    /// Of memory, or 0 for none.
    Address(u64),
    /// An extent or a flag.
    Int(i32),
    /// A number.
    Float(f32),
    /// A convolution's extents.
    Shape(ConvShape),
    /// What all steps of Adam share.
    Adam(AdamConstants),
}

impl Argument {
    /// Where the value lies, as the driver wants to know it.
    #[must_use]
    pub fn as_pointer(&self) -> *const std::ffi::c_void {
        match self {
            Self::Address(value) => std::ptr::from_ref(value).cast(),
            Self::Int(value) => std::ptr::from_ref(value).cast(),
            Self::Float(value) => std::ptr::from_ref(value).cast(),
            Self::Shape(value) => std::ptr::from_ref(value).cast(),
            Self::Adam(value) => std::ptr::from_ref(value).cast(),
        }
    }
}

/// A convolution's extents; the same in `kernels/types.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ConvShape {
    /// Images.
    pub n: i32,
    /// Rows and columns of the input.
    pub size: i32,
    /// Channels of the input.
    pub inputs: i32,
    /// Rows and columns of the output.
    pub out_size: i32,
    /// Channels of the output.
    pub outputs: i32,
    /// Rows and columns of the kernel, padded by half of it.
    pub kernel: i32,
    /// 1 or 2.
    pub stride: i32,
}

/// What a step of an epoch has of its own; the same in `kernels/types.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct StepConstants {
    /// Of the dropout mask's stream.
    pub dropout_key: [u32; 2],
    /// Adam's, see `nn::reference::adam::Coefficients`.
    pub rate: f32,
}

/// What all steps of Adam share; the same in `kernels/types.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct AdamConstants {
    /// `1 - beta1`.
    pub one_minus_beta1: f32,
    /// `1 - beta2`.
    pub one_minus_beta2: f32,
    /// Added to the root.
    pub epsilon: f32,
}

/// Why a GPU could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is not enough memory left.
    #[error("it has no {mib} MiB of memory left")]
    Memory {
        /// What was asked for.
        mib: usize,
    },
    /// The driver refused a call.
    #[error("the driver failed to {what}: {why}")]
    Driver {
        /// What was to be done.
        what: &'static str,
        /// The driver's words.
        why: String,
    },
}
