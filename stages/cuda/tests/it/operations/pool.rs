//! Pools, and dropout behind the average.
//! It must not know networks.

use cuda::gpu::StepConstants;
use cuda::operations::{Channels, Dropout, Precision, Windows};
use nn::random::{Stream, StreamName};
use nn::reference::{layers, norm};

use super::{Bench, ULP};
use crate::compare::{assert_close, numbers, sizes, wide};
use crate::device::{Place, on_each_device};

on_each_device!(pools_equal_the_reference);

fn pools_equal_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (n, size, channels, seed) in [(2, 8, 33, 1), (1, 5, 7, 2), (3, 2, 64, 3)] {
        let over = Windows { n, size, channels };
        let x = numbers(seed, n * size * size * channels);
        let [mean, weight, bias] = [1, 2, 3].map(|i| numbers(seed + i, channels));
        let inv_std: Vec<f32> = numbers(seed + 4, channels)
            .iter()
            .map(|v| v.abs() + 0.5)
            .collect();
        let normalized = norm::normalize(&x, &mean, &inv_std, &weight, &bias);
        let winners = layers::winners(&normalized, n, size, channels);
        let mut want = layers::max_pool(&normalized, &winners);
        layers::relu(&mut want);
        let [gx, gmean, ginv, gweight, gbias] =
            [&x, &mean, &inv_std, &weight, &bias].map(|values| bench.put(values));
        let channels_of = Channels {
            mean: gmean.view(),
            inv_std: ginv.view(),
            weight: gweight.view(),
            bias: gbias.view(),
        };
        let places = bench.put(&vec![9_u8; want.len()]);
        let y = bench.filled(&vec![f32::NAN; want.len()], |y| {
            let done = operations.max_pool(over, gx.view(), channels_of, y, places.view());
            done.expect("a pool");
        });
        let scale: Vec<f64> = sizes(&want).iter().map(|v| v + 1.0).collect();
        assert_close("max pool", &y, &wide(&want), &scale, 4.0 * ULP);

        let dy = numbers(seed + 5, want.len());
        let mut through = dy.clone();
        layers::relu_backward(&y, &mut through);
        let want = layers::max_pool_backward(&through, &winners, x.len());
        let (gy, gdy) = (bench.put(&y), bench.put(&dy));
        let g = bench.filled(&vec![f32::NAN; x.len()], |g| {
            let done = operations.max_pool_gradient(over, gdy.view(), gy.view(), places.view(), g);
            done.expect("a gradient");
        });
        assert_eq!(g, want, "max pool's gradient");

        let (pixels, rate) = (size * size, 0.5);
        let stream = Stream::new(7, StreamName::Dropout, seed);
        let uniforms = stream.uniforms(0).take(n * channels);
        let keep: Vec<bool> = uniforms.map(|u| u >= rate).collect();
        let constants = [0, 1].map(|step| StepConstants {
            dropout_key: if step == 1 { stream.key() } else { [0; 2] },
            rate: 0.0,
        });
        let (constants, cursor) = (bench.put(&constants), bench.put(&[1_i32]));
        let dropped = Some(Dropout {
            constants: constants.view(),
            cursor: cursor.view(),
            rate,
        });
        let mut want = layers::average_pool(&x, pixels, channels);
        layers::dropout(&mut want, &keep, rate);
        let features = bench.filled(&vec![f32::NAN; n * channels], |to| {
            let done = operations.average_pool(gx.view(), n, pixels, channels, dropped, to);
            done.expect("a pool");
        });
        assert_close(
            "average",
            &features,
            &wide(&want),
            &vec![5.0; want.len()],
            4.0 * ULP,
        );
        let mut want = numbers(seed + 6, n * channels);
        let from = bench.put(&want);
        layers::dropout(&mut want, &keep, rate);
        let want = layers::average_pool_backward(&want, pixels, channels);
        let dx = bench.filled(&vec![f32::NAN; x.len()], |dx| {
            let done =
                operations.average_pool_gradient(from.view(), n, pixels, channels, dropped, dx);
            done.expect("a gradient");
        });
        assert_close(
            "average's gradient",
            &dx,
            &wide(&want),
            &sizes(&want),
            4.0 * ULP,
        );
    }
}
