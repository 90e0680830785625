//! Channels in groups of a width that the compiler knows, so that sums stay in registers.
//! It must not know what is summed.

/// Runs `$f::<WIDTH>(from, ...)` on groups of channels that cover `0..$channels`: of `$wide`
/// channels as long as they last, then of 16, then single ones.
macro_rules! for_groups {
    ($channels:expr, $wide:literal, $f:ident($($arg:expr),* $(,)?)) => {{
        let mut from = 0;
        while from + $wide <= $channels {
            $f::<$wide>(from, $($arg),*);
            from += $wide;
        }
        while from + 16 <= $channels {
            $f::<16>(from, $($arg),*);
            from += 16;
        }
        while from < $channels {
            $f::<1>(from, $($arg),*);
            from += 1;
        }
    }};
}
pub(crate) use for_groups;

/// The numbers `from..from + WIDTH`.
#[inline(always)]
pub(crate) fn group<const WIDTH: usize>(x: &[f32], from: usize) -> &[f32; WIDTH] {
    x[from..]
        .first_chunk()
        .expect("the group lies in the slice")
}

/// The numbers `from..from + WIDTH`, to be changed.
#[inline(always)]
pub(crate) fn group_mut<const WIDTH: usize>(x: &mut [f32], from: usize) -> &mut [f32; WIDTH] {
    x[from..]
        .first_chunk_mut()
        .expect("the group lies in the slice")
}
