//! What does not fit, and what is not finite, is refused, and changes nothing.
//! It must not know kernels.

use cuda::operations::Precision;
use nn::engine::{Batch, Engine};
use nn::native::Isa;

use crate::common::{self, Images, plain, small_networks};
use crate::device::{Place, engine, on_each_device};

on_each_device!(
    batches_that_do_not_fit_are_refused_in_the_native_engines_words,
    a_number_that_is_not_finite_is_blamed_as_by_the_native_engine_and_changes_nothing,
    a_state_of_another_network_is_refused,
    a_batch_beyond_all_bounds_is_refused,
);

fn batches_that_do_not_fit_are_refused_in_the_native_engines_words<P: Place>() {
    let network = plain(&[3], 0.0);
    let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
        return;
    };
    let mut native = common::engine(&network, 1, Isa::detect());
    let data = Images::new(2, 1);
    let (images, labels) = (data.images.as_slice(), data.labels.as_slice());
    for (images, labels) in [
        (&images[1..], labels),
        (images, &[3, 10][..]),
        (&[][..], &[][..]),
    ] {
        let batch = Batch { images, labels };
        let got = ours.train_step(batch, 0, 1e-3).expect_err("no batch");
        let want = native.train_step(batch, 0, 1e-3).expect_err("no batch");
        assert_eq!(got.to_string(), want.to_string());
        assert_eq!(
            ours.evaluate(batch).map_err(|error| error.to_string()),
            native.evaluate(batch).map_err(|error| error.to_string()),
        );
    }
}

fn a_number_that_is_not_finite_is_blamed_as_by_the_native_engine_and_changes_nothing<P: Place>() {
    for (name, network) in small_networks() {
        let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let mut native = common::engine(&network, 1, Isa::detect());
        let before = ours.export_state().expect("a state");
        for pixel in [f32::NAN, f32::INFINITY, 3e38] {
            let mut data = Images::new(3, 1);
            data.images[4000] = pixel;
            let got = ours
                .train_step(data.batch(), 7, 1e-3)
                .expect_err("not finite");
            let want = native
                .train_step(data.batch(), 7, 1e-3)
                .expect_err("not finite");
            assert_eq!(got.to_string(), want.to_string(), "{name}: {pixel}");
            assert_eq!(
                ours.export_state().expect("a state"),
                before,
                "{name}: {pixel}"
            );
        }
        let data = Images::new(3, 1);
        ours.train_step(data.batch(), 7, 1e-3)
            .expect("training goes on");
    }
}

fn a_state_of_another_network_is_refused<P: Place>() {
    let Some(mut ours) = engine::<P>(&plain(&[3], 0.0), Precision::F32) else {
        return;
    };
    let other = common::engine(&plain(&[4], 0.0), 1, Isa::detect());
    let before = ours.export_state().expect("a state");
    let error = ours
        .import_state(&other.state())
        .expect_err("another network");
    assert!(
        error
            .to_string()
            .starts_with("state does not fit the network")
    );
    assert_eq!(ours.export_state().expect("a state"), before);
}

fn a_batch_beyond_all_bounds_is_refused<P: Place>() {
    let Some(mut ours) = engine::<P>(&plain(&[3], 0.0), Precision::F32) else {
        return;
    };
    let data = Images {
        images: vec![0.0; 16_385 * 3072],
        labels: vec![0; 16_385],
    };
    let error = ours
        .train_step(data.batch(), 0, 1e-3)
        .expect_err("too large");
    assert_eq!(
        error.to_string(),
        "batch does not fit the network: 16385 images, and a step has 16384 at most"
    );
}
