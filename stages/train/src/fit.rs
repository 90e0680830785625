//! The training loop: epochs, validation, schedule, checkpoints.
//! It must not know files' formats, how progress is shown or what computes.

use std::time::Instant;

use dataset::Dataset;
use nn::engine::{Engine, State, StepStats};
use nn::epoch::{EpochError, ImageSet, Progress};
use training::fit::without_optimizer;

use crate::batches::{shuffled, steps_per_epoch};
use crate::checkpoint::Snapshot;
use crate::config::TrainConfig;
use crate::error::{Moment, TrainError};
use crate::evaluate::evaluate;
use crate::finite::{Culprit, culprit};
use crate::history::{self, EpochRecord, Score, Timing};
use crate::memory;
use crate::plateau::Plateau;
use crate::scratch::Checkpoints;
use crate::stopping::EarlyStopping;

/// Is told how training goes.
pub trait Observer {
    /// Something worth a line.
    fn message(&mut self, text: &str);

    /// One training step is done, or some.
    fn step(&mut self, step: &Step);

    /// An epoch is done, and its checkpoint written.
    fn epoch(&mut self, record: &EpochRecord, validation_seconds: f64);
}

/// Training steps, done: engines that work on a device of their own tell of several at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The epoch that they belong to, from 1.
    pub epoch: u64,
    /// Steps of this epoch so far, these included.
    pub done: usize,
    /// Their images.
    pub images: usize,
    /// Seconds that they took.
    pub seconds: f64,
    /// Means over the epoch's images so far.
    pub score: Score,
}

/// What is trained on, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Images and labels.
    pub data: &'a Dataset,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Of shuffling and augmentation.
    pub seed: u64,
}

/// Trains from the newest checkpoint, or from the engine's initial state, to the end.
///
/// What is returned holds the history and the best weights; its engine state is empty, for it
/// lies in `engine` itself. An interrupted and resumed training gives the same bits.
///
/// # Errors
/// Numbers that are no longer finite, a checkpoint that cannot be read or written.
pub fn fit(
    engine: &mut dyn Engine,
    task: Task<'_>,
    checkpoints: &Checkpoints,
    observer: &mut dyn Observer,
) -> Result<Snapshot, TrainError> {
    let config = task.config;
    let mut now = match checkpoints.newest(|note| observer.message(note))? {
        Some(mut snapshot) => {
            engine.import_state(&std::mem::take(&mut snapshot.engine))?;
            observer.message(&format!("resumed from epoch {}", snapshot.records.len()));
            snapshot
        }
        None => Snapshot {
            step: 0,
            plateau: Plateau::new(config.reduce_lr_on_plateau, config.optimizer.learning_rate),
            stopping: EarlyStopping::new(config.early_stopping),
            records: Vec::new(),
            engine: State::default(),
            best: State::default(),
        },
    };
    // One set for all epochs: a device need not take its images twice.
    let images = ImageSet::new(&task.data.train.images, &task.data.train.labels);
    while (now.records.len() as u64) < config.epochs && !now.stopping.stopped() {
        run_epoch(engine, task, images, &mut now, checkpoints, observer)?;
    }
    if (now.records.len() as u64) < config.epochs {
        observer.message(&format!(
            "stopped after epoch {}: no lower validation loss for {} epochs",
            now.records.len(),
            config.early_stopping.patience
        ));
    }
    Ok(now)
}

fn run_epoch(
    engine: &mut dyn Engine,
    task: Task<'_>,
    images: ImageSet<'_>,
    now: &mut Snapshot,
    checkpoints: &Checkpoints,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let epoch = now.records.len() as u64 + 1;
    let learning_rate = now.plateau.learning_rate();
    memory::reset_peak();
    let started = Instant::now();
    let train = train_epoch(engine, task, images, epoch, now, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    let peak_memory_mib = memory::peak_mib();
    now.engine = engine.export_state()?;
    if let Some(Culprit { layer, what }) = culprit(&now.engine) {
        let steps = steps_per_epoch(&task.data.train, task.config.batch_size);
        let after = Moment {
            epoch,
            place: format!("after step {steps} of {steps}"),
            learning_rate,
        };
        return Err(after.diverged(layer, what));
    }

    let started = Instant::now();
    let at_validation = Moment {
        epoch,
        place: "validation".to_owned(),
        learning_rate,
    };
    let Dataset {
        validation,
        classes,
        ..
    } = task.data;
    let validation = evaluate(engine, validation, classes.len())
        .map_err(|error| at_validation.error(error))?
        .score;
    let validation_seconds = started.elapsed().as_secs_f64();

    let images_per_second = task.data.train.len() as f64 / seconds.max(1e-9);
    let timing = Timing {
        seconds,
        images_per_second,
        peak_memory_mib,
    };
    let record = EpochRecord {
        epoch,
        train,
        validation,
        learning_rate,
        timing,
    };
    now.records.push(record);
    now.plateau.observe(validation.loss);
    now.stopping.observe(validation.loss);
    if history::best(&now.records).is_some_and(|best| best.epoch == epoch) {
        now.best = without_optimizer(now.engine.clone());
    }
    checkpoints.save(now)?;
    // A copy of all that the engine holds: not kept while training goes on.
    now.engine = State::default();
    observer.epoch(&record, validation_seconds);
    Ok(())
}

fn train_epoch(
    engine: &mut dyn Engine,
    task: Task<'_>,
    images: ImageSet<'_>,
    epoch: u64,
    now: &mut Snapshot,
    observer: &mut dyn Observer,
) -> Result<Score, TrainError> {
    let Task { config, seed, .. } = task;
    let learning_rate = now.plateau.learning_rate();
    let shuffled = shuffled(images, config.batch_size, config.augment, seed, epoch);
    let steps = shuffled.batches();
    let mut mean = RunningMean::default();
    let (mut done, mut started) = (0, Instant::now());
    let mut after = |progress: Progress| {
        mean.add(progress.stats, progress.images);
        done += progress.batches;
        observer.step(&Step {
            epoch,
            done,
            images: progress.images,
            seconds: started.elapsed().as_secs_f64(),
            score: mean.score(),
        });
        started = Instant::now();
    };
    engine
        .train_epoch(&shuffled, now.step, learning_rate, &mut after)
        .map_err(|EpochError { batch, error }| {
            let at = Moment {
                epoch,
                place: format!("step {} of {steps}", batch + 1),
                learning_rate,
            };
            at.error(error)
        })?;
    now.step += steps as u64;
    Ok(mean.score())
}

/// Keras's running mean: over the epoch's images, each seen by the weights of its time.
#[derive(Debug, Default)]
struct RunningMean {
    loss_sum: f64,
    correct: usize,
    images: usize,
}

impl RunningMean {
    fn add(&mut self, stats: StepStats, images: usize) {
        self.loss_sum += stats.loss_sum;
        self.correct += stats.correct;
        self.images += images;
    }

    fn score(&self) -> Score {
        let images = self.images as f64;
        Score {
            loss: self.loss_sum / images,
            accuracy: self.correct as f64 / images,
        }
    }
}
