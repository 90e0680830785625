//! Epochs that the engine cuts itself: the same bits as steps one by one.
//! It must not know kernels.

use cuda::operations::Precision;
use nn::engine::{Engine, EngineError};
use nn::epoch::{Epoch, ImageSet, Progress};
use nn::native::Isa;
use nn::pixels::Change;
use nn::random::{Stream, StreamName};

use crate::common::{self, small_networks};
use crate::device::{Place, engine, on_each_device};

on_each_device!(
    epochs_on_the_device_have_the_bits_of_steps_one_by_one,
    training_goes_on_from_a_state_with_the_very_same_bits,
    an_epoch_that_diverges_names_batch_and_layer_as_the_native_engine_does,
);

/// Random bytes as images, and labels.
fn data(images: usize) -> (Vec<u8>, Vec<u8>) {
    let data = Stream::new(11, StreamName::Data, 0);
    let words = data.words(0);
    (
        words.take(images * 3072).map(|word| word as u8).collect(),
        (0..images).map(|i| (i * 7 % 10) as u8).collect(),
    )
}

/// In an order and with changes of its own.
fn shown(images: ImageSet<'_>, batch_size: usize, epoch: u64) -> Epoch<'_> {
    let of = |name| Stream::new(11, name, epoch);
    let (count, changes) = (images.labels().len(), of(StreamName::Augment));
    let order = of(StreamName::Shuffle).permutation(count);
    let change = |i| Change {
        flip: changes.u32_at(i) % 2 == 0,
        delta: changes.uniform_at(i) - 0.5,
    };
    Epoch {
        images,
        order: order.into_iter().map(|i| i as u32).collect(),
        changes: (0..count as u64).map(change).collect(),
        batch_size,
    }
}

fn total(told: &[Progress]) -> (usize, usize, f64, usize) {
    told.iter()
        .fold((0, 0, 0.0, 0), |(batches, images, loss, correct), p| {
            (
                batches + p.batches,
                images + p.images,
                loss + p.stats.loss_sum,
                correct + p.stats.correct,
            )
        })
}

fn epochs_on_the_device_have_the_bits_of_steps_one_by_one<P: Place>() {
    for (name, network) in [0, 1].map(|i| small_networks()[i].clone()) {
        let Some(mut whole) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let mut steps = engine::<P>(&network, Precision::F32).expect("an engine");
        let mut first_step = 0;
        // The last batch has fewer images; the second epoch repeats what the first recorded; an
        // evaluation between them and other images behind them leave nothing behind.
        let [many, some, few] = [11, 6, 3].map(data);
        let [many, some, few] = [&many, &some, &few].map(|(p, l)| ImageSet::new(p, l));
        for (images, batch, number) in [(many, 4, 1), (many, 4, 2), (some, 3, 3), (few, 8, 4)] {
            let epoch = shown(images, batch, number);
            let images = images.labels().len();
            let mut told = Vec::new();
            whole
                .train_epoch(&epoch, first_step, 1e-3, &mut |p| told.push(p))
                .expect("finite");
            let (mut pixels, mut labels) = (Vec::new(), Vec::new());
            let (mut loss, mut correct) = (0.0, 0);
            for step in 0..epoch.batches() {
                epoch.fill(step, &mut pixels, &mut labels);
                let part = nn::engine::Batch {
                    images: &pixels,
                    labels: &labels,
                };
                let stats = steps.train_step(part, first_step + step as u64, 1e-3);
                let stats = stats.expect("finite");
                loss += stats.loss_sum;
                correct += stats.correct;
            }
            let got = total(&told);
            assert_eq!((got.0, got.1, got.3), (epoch.batches(), images, correct));
            assert!((got.2 / loss - 1.0).abs() < 1e-12, "{name}");
            first_step += epoch.batches() as u64;
            let data = common::Images::new(2, number);
            whole.evaluate(data.batch()).expect("fitting batch");
            assert_eq!(
                whole.export_state().expect("a state"),
                steps.export_state().expect("a state"),
                "{name}, epoch {number}"
            );
        }
    }
}

fn training_goes_on_from_a_state_with_the_very_same_bits<P: Place>() {
    let (_, network) = &small_networks()[1];
    let Some(mut whole) = engine::<P>(network, Precision::F32) else {
        return;
    };
    let mut resumed = engine::<P>(network, Precision::F32).expect("an engine");
    let (pixels, labels) = data(7);
    let run = |engine: &mut dyn Engine, number: u64| {
        let epoch = shown(ImageSet::new(&pixels, &labels), 3, number);
        engine
            .train_epoch(&epoch, 3 * number, 1e-3, &mut |_| {})
            .expect("finite");
    };
    run(&mut whole, 0);
    let half = whole.export_state().expect("a state");
    resumed.import_state(&half).expect("the same network");
    assert_eq!(resumed.export_state().expect("a state"), half);
    run(&mut whole, 1);
    run(&mut resumed, 1);
    assert_eq!(
        resumed.export_state().expect("a state"),
        whole.export_state().expect("a state")
    );
}

fn an_epoch_that_diverges_names_batch_and_layer_as_the_native_engine_does<P: Place>() {
    let (_, network) = &small_networks()[1];
    let Some(mut ours) = engine::<P>(network, Precision::F32) else {
        return;
    };
    let mut native = common::engine(network, 1, Isa::detect());
    let (pixels, labels) = data(12);
    let epoch = shown(ImageSet::new(&pixels, &labels), 3, 1);
    // The first update throws weights as far that the second step's variances overflow.
    let got = ours
        .train_epoch(&epoch, 5, 1e30, &mut |_| {})
        .expect_err("diverges");
    let want = native
        .train_epoch(&epoch, 5, 1e30, &mut |_| {})
        .expect_err("diverges");
    assert_eq!(got.to_string(), want.to_string());
    assert!(matches!(got.error, EngineError::NonFinite { step: 6, .. }));
    // Nothing changed behind the first step, and training can go on from there.
    let state = ours.export_state().expect("a state");
    let finite = |v: &f32| v.is_finite();
    assert!(
        state
            .tensors
            .iter()
            .all(|tensor| tensor.values.iter().all(finite))
    );
    assert_eq!(state.tensors.len(), native.state().tensors.len());
}
