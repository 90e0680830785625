//! What all tests share: launches, random numbers, and how results are compared.
//! It must not know kernels.

use crate::compare::assert_same_bits;
use cuda_shim::{LaunchError, Order};
use std::ffi::c_void;

/// Calls the rest of a test only where kernels can be run, and else says why not.
macro_rules! or_skip {
    () => {
        if let Err(reason) = cuda_shim::available() {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
}
pub(crate) use or_skip;

/// `or_skip` in a test that returns nothing.
macro_rules! or_return {
    () => {
        if let Err(reason) = cuda_shim::available() {
            println!("skipped: {reason}");
            return;
        }
    };
}
pub(crate) use or_return;

/// `launch!(order, kernel, grid, block, argument, ..)`, the arguments as values of the types that
/// the kernel takes.
macro_rules! launch {
    ($order:expr, $kernel:expr, $grid:expr, $block:expr $(, $argument:expr)* $(,)?) => {
        $crate::support::done($crate::support::start(
            $order,
            $kernel,
            $grid,
            $block,
            &mut [$(std::ptr::from_mut(&mut { $argument }).cast::<std::ffi::c_void>()),*],
        ))
    };
}
pub(crate) use launch;

pub(crate) fn start(
    order: Order,
    kernel: &str,
    grid: [u32; 3],
    block: [u32; 3],
    args: &mut [*mut c_void],
) -> Result<(), LaunchError> {
    // SAFETY: each test passes what the kernel's signature lists, of vectors that live until the
    // end of the launch's statement and are as long as the shape says; AddressSanitizer watches
    // over that in scripts/cuda-sanitize.
    unsafe { cuda_shim::launch_in(order, kernel, grid, block, args) }
}

#[track_caller]
pub(crate) fn done(outcome: Result<(), LaunchError>) {
    outcome.expect("the kernel comes to its end");
}

/// What `compute` gives with threads in rising and in falling order, which must be the same bits.
#[track_caller]
pub(crate) fn in_both_orders<const N: usize>(
    compute: impl Fn(Order) -> [Vec<f32>; N],
) -> [Vec<f32>; N] {
    let (forward, backward) = (compute(Order::Forward), compute(Order::Backward));
    for (a, b) in forward.iter().zip(&backward) {
        assert_same_bits("another order of threads", b, a);
    }
    forward
}

/// A line of blocks.
pub(crate) fn line(blocks: usize) -> [u32; 3] {
    [blocks as u32, 1, 1]
}

/// Threads of a grid-stride kernel's block.
pub(crate) const STRIDE_BLOCK: [u32; 3] = [256, 1, 1];

/// Grid and block of the kernels over rows of columns.
pub(crate) fn columns(chunks: usize, channels: usize) -> ([u32; 3], [u32; 3]) {
    ([chunks as u32, channels.div_ceil(64) as u32, 1], [64, 4, 1])
}
