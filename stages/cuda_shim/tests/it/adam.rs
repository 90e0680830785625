//! Adam's update with the bits of the reference.
//! It must not know schedules.

use crate::compare::{assert_same_bits, numbers};
use crate::pool::StepConstants;
use crate::support::{STRIDE_BLOCK, in_both_orders, launch, line, or_return};
use cuda_shim::Order;
use nn::config::AdamConfig;
use nn::reference::adam::{Coefficients, update};

#[repr(C)]
#[derive(Clone, Copy)]
struct AdamConstants {
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    epsilon: f32,
}

fn coefficients(step: u64) -> Coefficients<f32> {
    Coefficients::new(&AdamConfig::default(), step, 1e-3)
}

/// Of as many steps as a test takes.
fn constants() -> Vec<StepConstants> {
    let of = |step| StepConstants {
        dropout_key: [7, 9],
        rate: coefficients(step).rate,
    };
    (0..3).map(of).collect()
}

fn adam(order: Order, state: &mut [Vec<f32>; 3], g: &[f32], cursor: i32, stop: i32) {
    let c = coefficients(0);
    let shared = AdamConstants {
        one_minus_beta1: c.one_minus_beta1,
        one_minus_beta2: c.one_minus_beta2,
        epsilon: c.epsilon,
    };
    let constants = constants();
    let [w, m, v] = state;
    launch!(
        order,
        "adam_update",
        line(3),
        STRIDE_BLOCK,
        w.as_mut_ptr(),
        m.as_mut_ptr(),
        v.as_mut_ptr(),
        g.as_ptr(),
        g.len() as i32,
        constants.as_ptr(),
        &raw const cursor,
        shared,
        &raw const stop,
    );
}

#[test]
fn adam_has_the_bits_of_the_reference_over_several_steps() {
    or_return!();
    for len in [1, 2, 255, 7001] {
        let start = [numbers(1, len), vec![0.0; len], vec![0.0; len]];
        let mut want = start.clone();
        for step in 0..3 {
            let [w, m, v] = &mut want;
            update(w, m, v, &numbers(10 + step, len), &coefficients(step));
        }
        let got = in_both_orders(|order| {
            let mut state = start.clone();
            for step in 0..3 {
                adam(order, &mut state, &numbers(10 + step, len), step as i32, 0);
            }
            state
        });
        for (got, want) in got.iter().zip(&want) {
            assert_same_bits("adam", got, want);
        }
    }
}

#[test]
fn nothing_changes_once_the_run_has_stopped() {
    or_return!();
    let start = [1, 2, 3].map(|seed| numbers(seed, 300));
    let mut state = start.clone();
    adam(Order::Forward, &mut state, &numbers(4, 300), 0, 2);
    assert_eq!(state, start);
}
