//! The shim itself: what a launch does, and what it refuses.
//! It must not know networks.

use crate::support::{launch, line, or_return};
use cuda_shim::{LaunchError, Order};
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::path::Path;

fn bare(kernel: &str, grid: [u32; 3], block: [u32; 3]) -> Result<(), LaunchError> {
    crate::support::start(Order::Forward, kernel, grid, block, &mut [])
}

/// Names after `__global__ void` in the kernels' sources, macros written out.
fn names_in_the_sources() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda/kernels");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the kernels") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|e| e != "cu") {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a source");
        for (at, _) in text.match_indices("__global__") {
            let head = text[at..].split('(').next().unwrap_or_default();
            // `__launch_bounds__(256) name(` has the name behind its own parenthesis.
            let head = if head.ends_with("__launch_bounds__") {
                text[at..].split('(').nth(1).unwrap_or_default()
            } else {
                head
            };
            let name = head.split_whitespace().last().unwrap_or_default();
            match name.strip_suffix("##suffix") {
                Some(stem) => {
                    names.extend(["f32", "tf32", "bf16"].map(|kind| format!("{stem}{kind}")))
                }
                None => {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}

#[test]
fn every_kernel_in_the_sources_can_be_launched() {
    or_return!();
    let names = names_in_the_sources();
    assert!(names.len() >= 30, "{names:?}");
    for name in names {
        let error = bare(&name, [1; 3], [1; 3]).expect_err("every kernel takes arguments");
        assert!(
            matches!(error, LaunchError::Arguments { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn every_block_and_thread_runs_once_with_its_own_index() {
    or_return!();
    for order in [Order::Forward, Order::Backward] {
        let (grid, block) = ([3, 2, 4], [5, 3, 2]);
        let (blocks, threads) = (24_usize, 30_usize);
        let mut got = (
            vec![u32::MAX; blocks * threads],
            vec![u32::MAX; blocks * threads],
        );
        launch!(
            order,
            "indices",
            grid,
            block,
            got.0.as_mut_ptr(),
            got.1.as_mut_ptr()
        );
        let want = |f: fn(usize, usize) -> usize| -> Vec<u32> {
            (0..blocks * threads).map(|i| f(i, 30) as u32).collect()
        };
        assert_eq!(got, (want(|i, n| i / n), want(|i, n| i % n)));
    }
}

#[test]
fn threads_wait_for_each_other_at_every_barrier() {
    or_return!();
    for order in [Order::Forward, Order::Backward] {
        for threads in [1_usize, 2, 31, 32, 33, 1024] {
            let mut x: Vec<u32> = (0..threads as u32).collect();
            let block = [threads as u32, 1, 1];
            launch!(order, "rotate", line(1), block, x.as_mut_ptr(), 50_i32);
            for (i, &v) in x.iter().enumerate() {
                assert_eq!((v as usize + 50) % threads, i, "{threads} threads");
            }
        }
    }
}

#[test]
fn a_barrier_that_not_all_threads_reach_is_an_error_and_the_next_launch_works() {
    or_return!();
    for block in [[2, 1, 1], [64, 1, 1], [40, 1, 1]] {
        for kernel in ["faulty_barrier", "faulty_barriers"] {
            let outcome = bare(kernel, line(3), block);
            assert_eq!(outcome, Err(LaunchError::Divergence(kernel.to_owned())));
        }
        let mut out = vec![0.0_f32; 64];
        let mut at = out.as_mut_ptr();
        let mut args = [std::ptr::from_mut(&mut at).cast::<c_void>()];
        let kernel = "faulty_product";
        let outcome = crate::support::start(Order::Forward, kernel, line(1), block, &mut args);
        assert_eq!(outcome, Err(LaunchError::Divergence(kernel.to_owned())));
        let mut x: Vec<u32> = (0..64).collect();
        launch!(
            Order::Forward,
            "rotate",
            line(1),
            [64, 1, 1],
            x.as_mut_ptr(),
            1_i32
        );
        assert_eq!((x[0], x[1]), (63, 0));
    }
}

#[test]
fn a_barrier_in_a_kernel_registered_without_one_is_an_error() {
    or_return!();
    let kernel = "faulty_barrier_without_fibres";
    let outcome = bare(kernel, line(1), line(32));
    assert_eq!(outcome, Err(LaunchError::NoFibres(kernel.to_owned())));
}

#[test]
fn what_cuda_would_not_launch_is_an_error() {
    or_return!();
    let unknown = bare("no_such_kernel", [1; 3], [1; 3]);
    assert_eq!(
        unknown,
        Err(LaunchError::UnknownKernel("no_such_kernel".to_owned()))
    );
    for block in [
        [1025, 1, 1],
        [32, 33, 1],
        [0, 1, 1],
        [1, 1, 65],
        [u32::MAX; 3],
    ] {
        assert_eq!(
            bare("advance", [1; 3], block),
            Err(LaunchError::Block(block))
        );
    }
    for grid in [[0, 1, 1], [1, 65536, 1], [1, 1, 65536]] {
        assert_eq!(bare("advance", grid, [1; 3]), Err(LaunchError::Grid(grid)));
    }
    for args in [
        vec![],
        vec![std::ptr::null_mut()],
        vec![std::ptr::null_mut(); 2],
    ] {
        let count = args.len();
        let mut args = args;
        let outcome = crate::support::start(Order::Forward, "advance", [1; 3], [1; 3], &mut args);
        let kernel = "advance".to_owned();
        assert_eq!(outcome, Err(LaunchError::Arguments { kernel, count }));
    }
}

#[test]
fn several_test_threads_may_launch_at_once() {
    or_return!();
    std::thread::scope(|scope| {
        for start in 0..4_u32 {
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut x: Vec<u32> = (0..256).map(|i| i + start).collect();
                    let at = x.as_mut_ptr();
                    launch!(Order::Forward, "rotate", line(1), [256, 1, 1], at, 256_i32);
                    assert!((0..256).zip(&x).all(|(i, &v)| v == i + start));
                }
            });
        }
    });
}

/// Not a test: scripts/cuda-sanitize runs it to see that AddressSanitizer would find a fault.
#[test]
#[ignore = "reads beyond an array's end"]
fn beyond_the_end_of_heap_memory() {
    or_return!();
    let (x, mut out) = (vec![1.0_f32; 9], vec![0.0_f32; 5]);
    launch!(
        Order::Forward,
        "sum_chunks",
        line(1),
        line(32),
        x.as_ptr(),
        2_i32,
        5_i32,
        out.as_mut_ptr()
    );
}

/// Not a test, like the last.
#[test]
#[ignore = "reads beyond an array's end"]
fn beyond_the_end_of_shared_memory() {
    or_return!();
    let mut out = vec![0.0_f32; 65];
    launch!(
        Order::Forward,
        "faulty_shared",
        line(1),
        line(65),
        out.as_mut_ptr()
    );
}
