//! Batch norm, what follows it, and its gradients.
//! It must not know networks.

use cuda::array::Array;
use cuda::operations::{After, Channels, Normed, Precision};
use nn::reference::{layers, norm};

use super::{Bench, ULP};
use crate::compare::{assert_close, numbers, sizes, wide};
use crate::device::{Place, on_each_device};

on_each_device!(batch_norm_is_near_the_reference);

fn batch_norm_is_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (rows, channels, seed) in [(1, 3, 1), (300, 64, 2), (777, 70, 3), (5000, 8, 4)] {
        let len = rows * channels;
        let (x, dy, added) = (
            numbers(seed, len),
            numbers(seed + 1, len),
            numbers(seed + 2, len),
        );
        let (weight, bias) = (numbers(seed + 3, channels), numbers(seed + 4, channels));
        let want = norm::statistics(channels, &x, 1e-3_f32);
        let [gx, gdy, gadded, gweight, gbias] =
            [&x, &dy, &added, &weight, &bias].map(|values| bench.put(values));
        let [gmean, gvariance, ginv] = [(); 3].map(|()| bench.put(&vec![0.0_f32; channels]));
        operations
            .norm_statistics(
                gx.view(),
                rows,
                1e-3,
                gmean.view(),
                gvariance.view(),
                ginv.view(),
            )
            .expect("statistics");
        let read = |array: &Array<P::Gpu, f32>| array.read(&bench.gpu, channels).expect("a copy");
        let (mean, inv_std) = (read(&gmean), read(&ginv));
        let scale = vec![4.0; channels];
        assert_close("mean", &mean, &wide(&want.mean), &scale, 64.0 * ULP);
        let variance = read(&gvariance);
        assert_close(
            "variance",
            &variance,
            &wide(&want.variance),
            &scale,
            256.0 * ULP,
        );
        assert_close(
            "inverse",
            &inv_std,
            &wide(&want.inv_std),
            &sizes(&inv_std),
            256.0 * ULP,
        );

        // From here on with the device's own statistics, so that errors do not add up.
        let of = Normed {
            x: gx.view(),
            norm: Channels {
                mean: gmean.view(),
                inv_std: ginv.view(),
                weight: gweight.view(),
                bias: gbias.view(),
            },
            rows,
        };
        let plain = norm::normalize(&x, &mean, &inv_std, &weight, &bias);
        let sum = |other: &[f32]| -> Vec<f32> {
            let mut sum: Vec<f32> = plain.iter().zip(other).map(|(a, b)| a + b).collect();
            layers::relu(&mut sum);
            sum
        };
        let other = norm::normalize(&added, &mean, &inv_std, &weight, &bias);
        let unset = vec![f32::NAN; len];
        let residual = sum(&added);
        for (what, after, want) in [
            ("relu", After::Relu, sum(&vec![0.0; len])),
            ("residual", After::AddRelu(gadded.view()), residual.clone()),
            (
                "projected",
                After::AddNormRelu(gadded.view(), of.norm),
                sum(&other),
            ),
        ] {
            let y = bench.filled(&unset, |y| {
                operations.norm_apply(of, after, y).expect("a batch norm");
            });
            let scale: Vec<f64> = sizes(&want).iter().map(|v| v + 1.0).collect();
            assert_close(what, &y, &wide(&want), &scale, 8.0 * ULP);
        }

        let mut through = dy.clone();
        layers::relu_backward(&residual, &mut through);
        let want = norm::backward(&x, &through, &mean, &inv_std, &weight);
        let gy = bench.put(&residual);
        let [gdw, gdb] = [(); 2].map(|()| bench.put(&vec![0.0_f32; channels]));
        let passed = bench.put(&unset);
        let dx = bench.filled(&unset, |dx| {
            let y = Some(gy.view());
            let (dw, db) = (gdw.view(), gdb.view());
            operations
                .norm_gradient(of, gdy.view(), y, dx, Some(passed.view()), dw, db)
                .expect("a gradient");
        });
        let largest = |x: &[f32]| sizes(x).into_iter().fold(1.0, f64::max);
        let scale = vec![largest(&want.x); len];
        assert_close("gradient", &dx, &wide(&want.x), &scale, 256.0 * ULP);
        let scale = vec![rows as f64 * largest(&want.weight); channels];
        assert_close(
            "of weight",
            &read(&gdw),
            &wide(&want.weight),
            &scale,
            64.0 * ULP,
        );
        let scale = vec![rows as f64 * 2.5; channels];
        assert_close(
            "of bias",
            &read(&gdb),
            &wide(&want.bias),
            &scale,
            64.0 * ULP,
        );
        assert_eq!(passed.read(&bench.gpu, len).expect("a copy"), through);
    }
}
