//! Epochs that the engine cuts itself: the same bits as steps one by one.
//! It must not know kernels.

use cuda::operations::Precision;
use nn::engine::{Engine, EngineError, Epoch, Progress, RawEpoch};
use nn::native::Isa;
use nn::random::{Stream, StreamName};

use crate::common::{self, small_networks};
use crate::device::{Place, engine, on_each_device};

on_each_device!(
    epochs_on_the_device_have_the_bits_of_steps_one_by_one,
    training_goes_on_from_a_state_with_the_very_same_bits,
    an_epoch_that_diverges_names_batch_and_layer_as_the_native_engine_does,
);

/// Random bytes as images, in an order and with changes of its own.
struct Shown {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    order: Vec<u32>,
    flip: Vec<bool>,
    delta: Vec<f32>,
    batch: usize,
}

impl Shown {
    fn new(images: usize, batch: usize, epoch: u64) -> Self {
        let of = |name, a| Stream::new(11, name, a);
        let data = of(StreamName::Data, 0);
        let words = data.words(0);
        let changes = of(StreamName::Augment, epoch);
        Self {
            pixels: words.take(images * 3072).map(|word| word as u8).collect(),
            labels: (0..images).map(|i| (i * 7 % 10) as u8).collect(),
            order: of(StreamName::Shuffle, epoch)
                .permutation(images)
                .into_iter()
                .map(|i| i as u32)
                .collect(),
            flip: (0..images)
                .map(|i| changes.u32_at(i as u64) % 2 == 0)
                .collect(),
            delta: (0..images as u64)
                .map(|i| changes.uniform_at(i) - 0.5)
                .collect(),
            batch,
        }
    }
}

impl Epoch for Shown {
    fn batches(&self) -> usize {
        self.order.len().div_ceil(self.batch)
    }

    fn fill(&self, batch: usize, images: &mut Vec<f32>, labels: &mut Vec<u8>) {
        images.clear();
        labels.clear();
        for at in (batch * self.batch)..self.order.len().min((batch + 1) * self.batch) {
            let image = self.order[at] as usize;
            labels.push(self.labels[image]);
            for row in self.pixels[image * 3072..][..3072].chunks_exact(96) {
                for column in 0..32 {
                    let from = if self.flip[at] { 31 - column } else { column };
                    images.extend(row[3 * from..][..3].iter().map(|&byte| {
                        let shade = (f32::from(byte) / 255.0 + self.delta[at]).clamp(0.0, 1.0);
                        (shade - 0.5) / 0.5
                    }));
                }
            }
        }
    }

    fn raw(&self) -> RawEpoch<'_> {
        RawEpoch {
            pixels: &self.pixels,
            labels: &self.labels,
            order: self.order.clone(),
            flip: self.flip.clone(),
            delta: self.delta.clone(),
            batch_size: self.batch,
        }
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
        for (images, batch, number) in [(11, 4, 1), (11, 4, 2), (6, 3, 3), (3, 8, 4)] {
            let epoch = Shown::new(images, batch, number);
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
    let run = |engine: &mut dyn Engine, number: u64| {
        let epoch = Shown::new(7, 3, number);
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
    let epoch = Shown::new(12, 3, 1);
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
