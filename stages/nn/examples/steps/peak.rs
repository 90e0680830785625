//! How many fused multiply-adds a second this machine's cores can do at most.
//! It must not know what the engine makes of them.

use nn::native::{Isa, NativeOptions};
use std::error::Error;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Independent sums in flight: more than any CPU's FMA latency times its FMA units, fewer than
/// its registers.
const SUMS: usize = 12;
/// Multiply-adds of each sum in one measurement: some tens of milliseconds.
const ROUNDS: u64 = 1 << 23;
const MEASUREMENTS: usize = 10;

/// Prints `{"gflops": .., "one": ..}`: of all threads together, and of one alone. Both are null
/// for an instruction set without fused multiply-add.
pub(crate) fn print(options: NativeOptions) -> Result<(), Box<dyn Error>> {
    let peak = |threads| {
        let best = (0..MEASUREMENTS).map(|_| once(options.isa, threads));
        // Nothing if any measurement gave nothing: they all have the same instruction set.
        best.collect::<Option<Vec<f64>>>()
            .map(|all| all.into_iter().fold(0.0, f64::max))
    };
    let (one, gflops) = (peak(1), peak(options.threads.max(1)));
    println!("{}", serde_json::json!({ "gflops": gflops, "one": one }));
    Ok(())
}

/// GFLOP/s of `threads` that start together, until the last is done.
fn once(isa: Isa, threads: usize) -> Option<f64> {
    let barrier = Barrier::new(threads);
    let times = std::thread::scope(|scope| {
        let run = || {
            barrier.wait();
            let start = Instant::now();
            kernel(isa).map(|flops| (flops, start.elapsed().as_secs_f64()))
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        // A kernel without memory accesses does not panic; should it, there is no peak.
        all.into_iter()
            .map(|thread| thread.join().ok().flatten())
            .collect::<Option<Vec<_>>>()
    })?;
    let flops: f64 = times.iter().map(|(flops, _)| flops).sum();
    let seconds = times.iter().map(|(_, s)| *s).fold(0.0, f64::max);
    Some(flops / seconds * 1e-9)
}

/// Runs one thread's multiply-adds and says how many operations they were.
#[cfg(target_arch = "x86_64")]
fn kernel(isa: Isa) -> Option<f64> {
    if !isa.available() {
        return None;
    }
    match isa {
        // SAFETY: this CPU has the instructions, as was just asked.
        Isa::Avx512 => Some(unsafe { avx512() }),
        // SAFETY: as above.
        Isa::Avx2 => Some(unsafe { avx2() }),
        // x86-64 without extensions has no such instruction.
        Isa::Plain => None,
    }
}

/// Runs one thread's multiply-adds and says how many operations they were.
#[cfg(target_arch = "aarch64")]
fn kernel(isa: Isa) -> Option<f64> {
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};
    if isa != Isa::Plain {
        return None;
    }
    // SAFETY: NEON is part of aarch64; the intrinsics touch no memory.
    let sums = unsafe {
        let (x, y) = (vdupq_n_f32(black_box(0.5)), vdupq_n_f32(black_box(0.25)));
        let mut sums = [vdupq_n_f32(0.0); SUMS];
        for _ in 0..ROUNDS {
            sums = sums.map(|sum| vfmaq_f32(x, sum, y));
        }
        sums
    };
    black_box(sums);
    Some(operations(4))
}

/// Other architectures have no kernel of their own: no peak is known.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn kernel(_: Isa) -> Option<f64> {
    None
}

/// Of one thread, with vectors of `lanes` numbers.
fn operations(lanes: u32) -> f64 {
    2.0 * f64::from(lanes) * SUMS as f64 * ROUNDS as f64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512() -> f64 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let (x, y) = (
        _mm512_set1_ps(black_box(0.5)),
        _mm512_set1_ps(black_box(0.25)),
    );
    let mut sums = [_mm512_set1_ps(0.0); SUMS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, x, y);
        }
    }
    black_box(sums);
    operations(16)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2() -> f64 {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let (x, y) = (
        _mm256_set1_ps(black_box(0.5)),
        _mm256_set1_ps(black_box(0.25)),
    );
    let mut sums = [_mm256_set1_ps(0.0); SUMS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, x, y);
        }
    }
    black_box(sums);
    operations(8)
}
