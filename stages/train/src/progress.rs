//! Tells the runner how training goes: progress, metrics, time left.
//! It must not know how training is done; it listens.

use contract::{Progress, Stage};
use dataset::Dataset;

use crate::fit::{Observer, Step};
use crate::history::{EpochRecord, Score};
use crate::pace::{Extent, Pace, rough};

/// Turns training's events into the stage's.
#[derive(Debug)]
pub struct Reporter<'a> {
    stage: &'a Stage,
    extent: Extent,
    pace: Pace,
    batch_size: usize,
    announced: bool,
    train: Option<Score>,
    validation: Option<Score>,
}

impl<'a> Reporter<'a> {
    /// A listener that reports through `stage`.
    pub fn new(stage: &'a Stage, data: &Dataset, epochs: u64, batch_size: usize) -> Self {
        let extent = Extent {
            epochs,
            train_images: data.train.len(),
            validation_images: data.validation.len(),
            test_images: data.test.len(),
        };
        let pace = Pace::new(extent);
        Self {
            stage,
            extent,
            pace,
            batch_size,
            announced: false,
            train: None,
            validation: None,
        }
    }

    /// All is trained, evaluated and written, after this many epochs.
    pub fn finished(&mut self, epochs: u64) {
        self.extent.epochs = epochs;
        self.report(epochs, 1.0, Some(0.0));
    }

    fn announce(&mut self, epoch: u64, remaining: Option<f64>) {
        if self.announced {
            return;
        }
        if let (Some(seconds), Some(speed)) = (remaining, self.pace.images_per_second()) {
            let epochs = self.extent.epochs - (epoch - 1);
            let more = if epoch > 1 { "more " } else { "" };
            let plural = if epochs == 1 { "" } else { "s" };
            self.stage.message(&format!(
                "about {} for {epochs} {more}epoch{plural} at {speed:.0} images/s",
                rough(seconds)
            ));
            self.announced = true;
        }
    }

    /// Never quite 1: the test images, the weights and the tables are still to come.
    fn fraction(&self, images: u64) -> f64 {
        let all = self.extent.epochs * self.extent.train_images as u64;
        (images as f64 / all as f64).min(0.999)
    }

    fn report(&self, done: u64, fraction: f64, remaining_seconds: Option<f64>) {
        // What matters most comes first: a narrow terminal cuts the rest.
        let mut metrics = Vec::new();
        if let Some(score) = self.train {
            metrics.extend([("loss", score.loss), ("accuracy", score.accuracy)]);
        }
        if let Some(speed) = self.pace.images_per_second() {
            metrics.push(("images_per_second", speed));
        }
        if let Some(score) = self.validation {
            metrics.extend([("val_loss", score.loss), ("val_accuracy", score.accuracy)]);
        }
        self.stage.progress(Progress {
            done,
            total: self.extent.epochs,
            unit: "epoch",
            fraction,
            remaining_seconds,
            metrics: &metrics,
        });
    }
}

impl Observer for Reporter<'_> {
    fn message(&mut self, text: &str) {
        self.stage.message(text);
    }

    fn step(&mut self, step: &Step) {
        self.pace.step(step.images, step.seconds);
        self.train = Some(step.score);
        let images = (step.done * self.batch_size).min(self.extent.train_images);
        let images = (step.epoch - 1) * self.extent.train_images as u64 + images as u64;
        let remaining = self.pace.remaining(images, step.epoch - 1);
        self.announce(step.epoch, remaining);
        self.report(step.epoch - 1, self.fraction(images), remaining);
    }

    fn epoch(&mut self, record: &EpochRecord, validation_seconds: f64) {
        self.pace.validation(validation_seconds);
        self.validation = Some(record.validation);
        let images = record.epoch * self.extent.train_images as u64;
        let remaining = self.pace.remaining(images, record.epoch);
        self.report(record.epoch, self.fraction(images), remaining);
    }
}
