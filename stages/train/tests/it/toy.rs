//! A small deterministic engine, data that it can learn, and an observer that remembers.
//! It must not know what the tests check.

use dataset::{Dataset, IMAGE_BYTES, Split};
use nn::engine::{Batch, Engine, EngineError, Evaluation, LayerNorm, State, StepStats, Tensor};
use nn::network::ParameterCount;
use train::checkpoint::Snapshot;
use train::config::{Params, TrainConfig};
use train::error::TrainError;
use train::fit::{Observer, Step, Task, fit};
use train::history::EpochRecord;
use train::scratch::Checkpoints;

/// Mean intensities of 4 x 4 blocks of pixels, all channels together.
const FEATURES: usize = 64;
pub(crate) const CLASSES: usize = 3;

/// Softmax regression with momentum. Its steps depend on their number, as dropout's do.
pub(crate) struct Toy {
    weights: Vec<f32>,
    momentum: Vec<f32>,
    /// Steps before this one work, it and later ones fail.
    pub(crate) dies_at: Option<u64>,
    /// This step's loss is undefined.
    pub(crate) diverges_at: Option<u64>,
    /// This step leaves an infinite momentum behind.
    pub(crate) explodes_at: Option<u64>,
    /// Every evaluated loss is this.
    pub(crate) blind_to: Option<f32>,
    pub(crate) steps: u64,
}

impl Toy {
    pub(crate) fn new() -> Self {
        let numbers = CLASSES * FEATURES;
        let weights = (0..numbers)
            .map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.1)
            .collect();
        Self {
            weights,
            momentum: vec![0.0; numbers],
            dies_at: None,
            diverges_at: None,
            explodes_at: None,
            blind_to: None,
            steps: 0,
        }
    }

    fn features(image: &[f32]) -> Vec<f32> {
        let mut features = vec![0.0; FEATURES];
        for (i, &value) in image.iter().enumerate() {
            let (row, column) = (i / 96, i % 96 / 3);
            features[row / 4 * 8 + column / 4] += value / 48.0;
        }
        features
    }

    fn probabilities(&self, features: &[f32]) -> Vec<f32> {
        let logits = self.weights.chunks_exact(FEATURES).map(|row| {
            row.iter()
                .zip(features)
                .fold(0.0f32, |sum, (weight, feature)| {
                    weight.mul_add(*feature, sum)
                })
        });
        let powers: Vec<f32> = logits.map(f32::exp).collect();
        let sum: f32 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }
}

impl Engine for Toy {
    fn train_step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        rate: f32,
    ) -> Result<StepStats, EngineError> {
        if self.dies_at.is_some_and(|last| step >= last) {
            return Err(EngineError::Batch("the power went out".to_owned()));
        }
        if self.diverges_at == Some(step) {
            return Err(EngineError::NonFinite {
                layer: "conv1".to_owned(),
                what: "gradient",
                step,
            });
        }
        self.steps += 1;
        let mut gradient = vec![0.0f32; self.weights.len()];
        let mut stats = StepStats {
            loss_sum: 0.0,
            correct: 0,
        };
        for (image, &label) in batch.images.chunks_exact(IMAGE_BYTES).zip(batch.labels) {
            let mut features = Self::features(image);
            features[(step % FEATURES as u64) as usize] = 0.0;
            let probabilities = self.probabilities(&features);
            stats.loss_sum -= f64::from(probabilities[usize::from(label)]).ln();
            stats.correct += usize::from(largest(&probabilities) == label);
            for (class, row) in gradient.chunks_exact_mut(FEATURES).enumerate() {
                let error = probabilities[class] - f32::from(u8::from(class == usize::from(label)));
                for (sum, feature) in row.iter_mut().zip(&features) {
                    *sum += error * feature;
                }
            }
        }
        let scale = 1.0 / batch.labels.len() as f32;
        for ((weight, momentum), gradient) in self
            .weights
            .iter_mut()
            .zip(&mut self.momentum)
            .zip(gradient)
        {
            *momentum = 0.9 * *momentum + gradient * scale;
            *weight -= rate * *momentum;
        }
        if self.explodes_at == Some(step) {
            self.momentum[7] = f32::INFINITY;
        }
        Ok(stats)
    }

    fn evaluate(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError> {
        let mut evaluation = Evaluation {
            losses: vec![],
            probabilities: vec![],
            predicted: vec![],
        };
        for (image, &label) in batch.images.chunks_exact(IMAGE_BYTES).zip(batch.labels) {
            let probabilities = self.probabilities(&Self::features(image));
            let loss = -probabilities[usize::from(label)].ln();
            evaluation.losses.push(self.blind_to.unwrap_or(loss));
            evaluation.predicted.push(largest(&probabilities));
            evaluation.probabilities.extend(probabilities);
        }
        Ok(evaluation)
    }

    fn gradient_norms(&mut self, _: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError> {
        Ok(vec![])
    }

    fn export_state(&self) -> Result<State, EngineError> {
        let tensor = |name: &str, values: &[f32]| Tensor {
            name: name.to_owned(),
            shape: vec![CLASSES, FEATURES],
            values: values.to_vec(),
        };
        Ok(State {
            tensors: vec![
                tensor("dense.weight", &self.weights),
                tensor("adam.m.dense.weight", &self.momentum),
            ],
        })
    }

    fn import_state(&mut self, state: &State) -> Result<(), EngineError> {
        let values = |name: &str| {
            let tensor = state.tensors.iter().find(|tensor| tensor.name == name);
            tensor.map(|tensor| tensor.values.clone())
        };
        let missing = || EngineError::State("no `dense.weight`".to_owned());
        self.weights = values("dense.weight").ok_or_else(missing)?;
        self.momentum =
            values("adam.m.dense.weight").unwrap_or_else(|| vec![0.0; self.weights.len()]);
        Ok(())
    }

    fn parameters(&self) -> ParameterCount {
        ParameterCount {
            trainable: self.weights.len(),
            moving: 0,
        }
    }
}

fn largest(probabilities: &[f32]) -> u8 {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best as u8
}

/// Noise, with a bright horizontal stripe at a height that tells the class.
pub(crate) fn data(train: usize, other: usize) -> Dataset {
    let mut noise = 12_345u32;
    let mut split = |count: usize| {
        let mut split = Split::default();
        for i in 0..count {
            let label = (i * 7 % CLASSES) as u8;
            split.labels.push(label);
            for byte in 0..IMAGE_BYTES {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let stripe = byte / 96 / 11 == usize::from(label);
                split
                    .images
                    .push((noise >> 25) as u8 + if stripe { 40 } else { 0 });
            }
        }
        split
    };
    let (train, validation, test) = (split(train), split(other), split(other));
    let classes = ["low", "middle", "high"].map(str::to_owned).to_vec();
    Dataset::new("stripes".to_owned(), classes, train, validation, test).unwrap()
}

/// The paper's way of training, cut to a few epochs, with `edits` to its JSON text.
pub(crate) fn config(edits: &[(&str, &str)]) -> TrainConfig {
    let mut text = PARAMS.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let params: Params = serde_json::from_str(&text).unwrap();
    params.train.check().unwrap();
    params.train
}

pub(crate) const PARAMS: &str = r#"{"seed":42,"train":{"engine":"native","device":"cpu","precision":"f32","epochs":5,"batch_size":16,
    "optimizer":{"name":"adam","learning_rate":0.05,"beta1":0.9,"beta2":0.999,"epsilon":1e-7},
    "reduce_lr_on_plateau":{"factor":0.2,"patience":3,"min_delta":1e-4,"min_learning_rate":0},
    "early_stopping":{"patience":7,"min_delta":0},"augment":{"flip":0.5,"brightness":0.1},
    "batch_norm":{"momentum":0.9,"epsilon":1e-3},"initializer":{"conv":"he_normal","dense":"glorot_uniform"}},
    "models":{"tiny":{"family":"plain_cnn","filters":[4,8],"conv_bias":true,"dropout":0.1}}}"#;

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) messages: Vec<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) epochs: Vec<EpochRecord>,
}

impl Observer for Notes {
    fn message(&mut self, text: &str) {
        self.messages.push(text.to_owned());
    }
    fn step(&mut self, step: &Step) {
        self.steps.push(*step);
    }
    fn epoch(&mut self, record: &EpochRecord, _: f64) {
        self.epochs.push(*record);
    }
}

/// Trains `engine` with checkpoints in `scratch`.
pub(crate) fn train(
    engine: &mut Toy,
    data: &Dataset,
    config: &TrainConfig,
    scratch: &std::path::Path,
) -> (Result<Snapshot, TrainError>, Notes) {
    let checkpoints = Checkpoints::open(scratch, "toy".to_owned()).unwrap();
    let mut notes = Notes::default();
    let result = fit(
        engine,
        Task {
            data,
            config,
            seed: 42,
        },
        &checkpoints,
        &mut notes,
    );
    (result, notes)
}

/// What must not differ: all but the times.
pub(crate) fn without_times(mut snapshot: Snapshot) -> Snapshot {
    for record in &mut snapshot.records {
        record.timing.seconds = 0.0;
        record.timing.images_per_second = 0.0;
        record.timing.peak_memory_mib = None;
    }
    snapshot
}
