//! Sums over chunks and rows, and the search for numbers that are not finite.
//! It must not know what is summed.

use crate::compare::{assert_close, assert_same_bits, numbers, roundings, sizes, unset, wide};
use crate::support::{STRIDE_BLOCK, columns, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::reference;
use proptest::prelude::*;

/// Exact column sums.
fn sums(rows: usize, channels: usize, x: &[f64]) -> Vec<f64> {
    reference::column_sums(rows, channels, |acc: f64, r, c| acc + x[r * channels + c])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunks_are_added_in_order(len in 1_usize..900, chunks in 1_usize..9, blocks in 1_usize..5, seed in any::<u32>()) {
        or_skip!();
        let partial = numbers(seed.into(), chunks * len);
        let want: Vec<f32> = (0..len)
            .map(|i| (1..chunks).fold(partial[i], |acc, c| acc + partial[c * len + i]))
            .collect();
        let [got] = in_both_orders(|order| {
            let mut out = unset(len);
            launch!(
                order, "sum_chunks", line(blocks), STRIDE_BLOCK,
                partial.as_ptr(), chunks as i32, len as i32, out.as_mut_ptr(),
            );
            [out]
        });
        assert_same_bits("sums", &got, &want);
    }

    #[test]
    fn column_sums_are_close_to_the_exact_ones(rows in 1_usize..600, channels in 1_usize..140, chunks in 1_usize..9, seed in any::<u32>()) {
        or_skip!();
        let x = numbers(seed.into(), rows * channels);
        let [got] = in_both_orders(|order| {
            let (mut partial, mut out) = (unset(chunks * channels), unset(channels));
            let (grid, block) = columns(chunks, channels);
            launch!(
                order, "column_sums", grid, block,
                x.as_ptr(), rows as i32, channels as i32, chunks as i32, partial.as_mut_ptr(),
            );
            launch!(
                order, "sum_chunks", line(1), STRIDE_BLOCK,
                partial.as_ptr(), chunks as i32, channels as i32, out.as_mut_ptr(),
            );
            [out]
        });
        let exact = sums(rows, channels, &wide(&x));
        let scale = sums(rows, channels, &sizes(&x));
        assert_close("column sums", &got, &exact, &scale, roundings(rows));
    }
}

#[test]
fn more_chunks_than_rows_leave_zeros() {
    or_return!();
    let (x, mut partial) = (numbers(1, 3), unset(7));
    let (grid, block) = columns(7, 1);
    launch!(
        Order::Forward,
        "column_sums",
        grid,
        block,
        x.as_ptr(),
        3_i32,
        1_i32,
        7_i32,
        partial.as_mut_ptr(),
    );
    assert_same_bits("sums", &partial, &[x[0], x[1], x[2], 0.0, 0.0, 0.0, 0.0]);
}

/// `stop` and `found` after a search.
fn search(x: &[f32], place: usize, cursor: i32, stop: i32) -> (i32, Vec<i32>) {
    let (mut stop, mut found) = (stop, vec![0_i32; 4]);
    launch!(
        Order::Forward,
        "check_finite",
        line(3),
        STRIDE_BLOCK,
        x.as_ptr(),
        x.len() as i32,
        place as i32,
        &raw const cursor,
        &raw mut stop,
        found.as_mut_ptr(),
    );
    (stop, found)
}

#[test]
fn one_number_that_is_not_finite_is_found_anywhere_and_stops_the_run() {
    or_return!();
    let mut x = numbers(5, 6000);
    x[7] = f32::MAX;
    x[8] = -f32::MAX;
    x[9] = 1e-45;
    assert_eq!(search(&x, 2, 41, 0), (0, vec![0; 4]));
    assert_eq!(search(&[], 2, 41, 0), (0, vec![0; 4]));
    for at in [0, 17, 3000, 5999] {
        for bad in [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::from_bits(0xff80_0001),
        ] {
            let was = std::mem::replace(&mut x[at], bad);
            assert_eq!(
                search(&x, 2, 41, 0),
                (42, vec![0, 0, 1, 0]),
                "{bad} at {at}"
            );
            // The first step that stopped the run stays the one that did.
            assert_eq!(search(&x, 3, 41, 7), (7, vec![0, 0, 0, 1]), "{bad} at {at}");
            x[at] = was;
        }
    }
}
