//! Random numbers, and how results are held against exact ones. It must not know kernels.
//!
//! The CUDA engine's tests include this file too.

use nn::random::{Stream, StreamName};

/// Memory that holds nothing yet: what a kernel leaves out shows.
pub(crate) fn unset(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// Random numbers, a quarter of them 0 as after ReLU.
pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let stream = Stream::new(seed, StreamName::Data, len as u64);
    let value = |u: f32| if u < 0.25 { 0.0 } else { u * 4.0 - 2.5 };
    stream.uniforms(0).take(len).map(value).collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

pub(crate) fn sizes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v.abs())).collect()
}

#[track_caller]
pub(crate) fn assert_same_bits(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert_eq!(g.to_bits(), w.to_bits(), "{what}: {g} is not {w} at {i}");
    }
}

/// Each of `got` lies within `relative` times its size of the exact number.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f32], exact: &[f64], sizes: &[f64], relative: f64) {
    assert_eq!(
        (got.len(), sizes.len()),
        (exact.len(), exact.len()),
        "{what}"
    );
    for (i, ((&g, &e), &size)) in got.iter().zip(exact).zip(sizes).enumerate() {
        let bound = relative * size + 1e-30;
        assert!(
            (f64::from(g) - e).abs() <= bound,
            "{what}: {g} is not {e} within {bound} at {i}"
        );
    }
}

/// What `terms` roundings to f32 can be off, relative to the sum of the terms' sizes.
pub(crate) fn roundings(terms: usize) -> f64 {
    terms as f64 * f64::from(f32::EPSILON)
}
