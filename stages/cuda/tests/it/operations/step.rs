//! Losses and updates.
//! It must not know networks.

use cuda::array::Array;
use cuda::gpu::{AdamConstants, StepConstants};
use cuda::operations::Precision;
use nn::config::AdamConfig;
use nn::reference::{adam, layers};

use super::{Bench, ULP};
use crate::compare::{assert_close, numbers, sizes, wide};
use crate::device::{Place, on_each_device};

on_each_device!(losses_are_near_the_reference, adam_is_near_the_reference);

fn losses_are_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (n, classes, seed) in [(1, 2, 1), (300, 10, 2), (7, 256, 3)] {
        let logits = numbers(seed, n * classes);
        let labels: Vec<u8> = (0..n).map(|i| (i * 13 % classes) as u8).collect();
        let want = layers::softmax_cross_entropy(&logits, &labels, classes);
        let (glogits, glabels) = (bench.put(&logits), bench.put(&labels));
        let [probabilities, gradient] = [(); 2].map(|()| bench.put(&vec![0.0; logits.len()]));
        let predicted = bench.put(&vec![0_u8; n]);
        let losses = bench.filled(&vec![f32::NAN; n], |losses| {
            let done = operations.softmax_loss(
                glogits.view(),
                glabels.view(),
                n,
                classes,
                losses,
                Some(probabilities.view()),
                Some(gradient.view()),
                predicted.view(),
            );
            done.expect("losses");
        });
        let ones = vec![1.0; logits.len()];
        let all =
            |array: &Array<P::Gpu, f32>| array.read(&bench.gpu, logits.len()).expect("a copy");
        let scale: Vec<f64> = sizes(&want.losses).iter().map(|v| v + 1.0).collect();
        assert_close("loss", &losses, &wide(&want.losses), &scale, 16.0 * ULP);
        let exact = wide(&want.probabilities);
        assert_close(
            "probability",
            &all(&probabilities),
            &exact,
            &ones,
            16.0 * ULP,
        );
        assert_close(
            "gradient",
            &all(&gradient),
            &wide(&want.gradient),
            &ones,
            16.0 * ULP,
        );

        let (sum, correct) = (bench.put(&[0.5_f64]), bench.put(&[3_u32]));
        let given = bench.put(&losses);
        let (seen, told) = (given.view(), predicted.view());
        let done = operations.tally(seen, told, glabels.view(), n, sum.view(), correct.view());
        done.expect("sums");
        let exact: f64 = 0.5 + wide(&losses).iter().sum::<f64>();
        let got = sum.read(&bench.gpu, 1).expect("a copy")[0];
        assert!((got / exact - 1.0).abs() < 1e-12, "{got} is not {exact}");
        let said = predicted.read(&bench.gpu, n).expect("a copy");
        let hits = said.iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert_eq!(
            correct.read(&bench.gpu, 1).expect("a copy")[0] as usize,
            3 + hits
        );
    }
}

fn adam_is_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    let len = 70_001;
    let config = AdamConfig::default();
    let mut want = [numbers(1, len), vec![0.0; len], vec![0.0; len]];
    let got = [0, 1, 2].map(|i| bench.put(&want[i]));
    let stop = bench.put(&[0_i32]);
    for step in 0..3 {
        let g = numbers(10 + step, len);
        let c = adam::Coefficients::<f32>::new(&config, step, 1e-3);
        let [w, m, v] = &mut want;
        adam::update(w, m, v, &g, &c);
        let all = [StepConstants {
            dropout_key: [0; 2],
            rate: c.rate,
        }];
        let (constants, cursor, g) = (bench.put(&all), bench.put(&[0_i32]), bench.put(&g));
        let shared = AdamConstants {
            one_minus_beta1: c.one_minus_beta1,
            one_minus_beta2: c.one_minus_beta2,
            epsilon: c.epsilon,
        };
        let [w, m, v] = &got;
        let arrays = [w.view(), m.view(), v.view(), g.view()];
        operations
            .adam(arrays, constants.view(), cursor.view(), shared, stop.view())
            .expect("an update");
    }
    for (got, want) in got.iter().zip(&want) {
        let got = got.read(&bench.gpu, len).expect("a copy");
        assert_close("adam", &got, &wide(want), &sizes(want), 8.0 * ULP);
    }
    // Where a step was stopped nothing changes.
    stop.write(&bench.gpu, &[1]).expect("a copy");
    let before = got[0].read(&bench.gpu, len).expect("a copy");
    let (constants, cursor) = (
        bench.put(&[StepConstants {
            dropout_key: [0; 2],
            rate: 1.0,
        }]),
        bench.put(&[0_i32]),
    );
    let g = bench.put(&numbers(20, len));
    let [w, m, v] = &got;
    let arrays = [w.view(), m.view(), v.view(), g.view()];
    let shared = AdamConstants {
        one_minus_beta1: 0.1,
        one_minus_beta2: 0.001,
        epsilon: 1e-7,
    };
    operations
        .adam(arrays, constants.view(), cursor.view(), shared, stop.view())
        .expect("no update");
    assert_eq!(got[0].read(&bench.gpu, len).expect("a copy"), before);
    assert!(before.iter().all(|v| v.is_finite()));
}
