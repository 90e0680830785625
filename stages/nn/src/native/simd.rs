//! Vectors of independent numbers, a type for each instruction set, for kernels written once.
//! It must not know what is computed.

use crate::math::fma;
use crate::winograd::Number;

/// A vector of [`Lanes::N`] numbers.
///
/// Only `unsafe` functions make one, so where one exists the CPU has its instructions.
pub(crate) trait Lanes: Number {
    /// Numbers of a vector; divides 16.
    const N: usize;
    /// # Safety
    /// `N` numbers must be readable at `from`, and the CPU must have the instructions.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `N` numbers must be writable at `to`.
    unsafe fn store(self, to: *mut f32);
}

/// Plain Rust: 4 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 4]);

impl Number for Plain {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    fn times(self, factor: f64) -> Self {
        Self(self.0.map(|v| v * factor as f32))
    }
    #[inline(always)]
    fn times_plus(self, factor: f64, other: Self) -> Self {
        Self(std::array::from_fn(|i| {
            fma(self.0[i], factor as f32, other.0[i])
        }))
    }
}

impl Lanes for Plain {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's contract; an array of f32 has the alignment of f32.
        Self(unsafe { from.cast::<[f32; 4]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{Lanes, Number};
    use std::arch::x86_64::*;

    macro_rules! lanes {
        ($name:ident, $vector:ty, $n:literal, $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident) => {
            /// A register of numbers.
            #[derive(Clone, Copy)]
            pub(crate) struct $name($vector);

            impl Number for $name {
                #[inline(always)]
                fn plus(self, other: Self) -> Self {
                    // SAFETY: a value exists, so the CPU has the instructions.
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                fn minus(self, other: Self) -> Self {
                    // SAFETY: as above.
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                fn times(self, factor: f64) -> Self {
                    // SAFETY: as above.
                    Self(unsafe { $mul(self.0, $splat(factor as f32)) })
                }
                #[inline(always)]
                fn times_plus(self, factor: f64, other: Self) -> Self {
                    // SAFETY: as above.
                    Self(unsafe { $fma(self.0, $splat(factor as f32), other.0) })
                }
            }

            impl Lanes for $name {
                const N: usize = $n;
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: the caller's contract.
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: the caller's contract.
                    unsafe { $store(to, self.0) }
                }
            }
        };
    }

    lanes!(
        Avx512,
        __m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps
    );
    lanes!(
        Avx2,
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps
    );
}

/// Compiles a generic kernel for every instruction set and calls the checked one.
macro_rules! for_each_lanes {
    ($($(#[$meta:meta])* unsafe fn $name:ident<$L:ident, $S:ident: $bound:ident>($arg:ident: $type:ty) $body:block)*) => {$(
        $(#[$meta])*
        pub(crate) unsafe fn $name<$S: $crate::winograd::$bound>(isa: $crate::native::isa::Checked, $arg: $type) {
            #[inline(always)]
            unsafe fn body<$L: $crate::native::simd::Lanes, $S: $crate::winograd::$bound>($arg: $type) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
            unsafe fn avx512<$S: $crate::winograd::$bound>($arg: $type) {
                // SAFETY: handed on.
                unsafe { body::<$crate::native::simd::x86::Avx512, $S>($arg) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$S: $crate::winograd::$bound>($arg: $type) {
                // SAFETY: handed on.
                unsafe { body::<$crate::native::simd::x86::Avx2, $S>($arg) }
            }
            // SAFETY: handed on; `Checked` exists only for instructions that this CPU has.
            unsafe {
                match isa.get() {
                    #[cfg(target_arch = "x86_64")]
                    $crate::native::Isa::Avx512 => avx512::<$S>($arg),
                    #[cfg(target_arch = "x86_64")]
                    $crate::native::Isa::Avx2 => avx2::<$S>($arg),
                    _ => body::<$crate::native::simd::Plain, $S>($arg),
                }
            }
        }
    )*};
}
pub(crate) use for_each_lanes;
