//! Writes what training found as tables; the README of the columns is this file.
//! It must not know how the numbers were found.

use std::path::Path;

use contract::table::{Cell, Table, TableError};
use nn::engine::ParameterCount;

use crate::evaluate::Predictions;
use crate::history::{EpochRecord, Score};
use crate::latency::Latency;
use crate::scores::{ClassScore, Confusion};

/// Digits of losses and shares.
const DECIMALS: usize = 6;

fn share(value: f64) -> Cell {
    Cell::float(value, DECIMALS)
}

/// `history.csv`: an epoch a row, from 1.
///
/// # Errors
/// A table that cannot be written.
pub fn write_history(path: &Path, records: &[EpochRecord]) -> Result<(), TableError> {
    let mut table = Table::new(&[
        "epoch",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
    ]);
    for record in records {
        let EpochRecord {
            epoch,
            train,
            validation,
            learning_rate,
            ..
        } = *record;
        table.row(&[
            epoch.into(),
            share(train.loss),
            share(train.accuracy),
            share(validation.loss),
            share(validation.accuracy),
            Cell::Scientific {
                value: f64::from(learning_rate),
                decimals: DECIMALS,
            },
        ])?;
    }
    table.write(path)
}

/// `timings.csv`, volatile: an epoch a row; memory is empty where the system does not tell.
///
/// # Errors
/// A table that cannot be written.
pub fn write_timings(path: &Path, records: &[EpochRecord]) -> Result<(), TableError> {
    let mut table = Table::new(&["epoch", "seconds", "images_per_second", "peak_memory_mib"]);
    for record in records {
        let timing = record.timing;
        table.row(&[
            record.epoch.into(),
            Cell::float(timing.seconds, 3),
            Cell::float(timing.images_per_second, 1),
            timing
                .peak_memory_mib
                .map_or(Cell::from(""), |memory| Cell::float(memory, 1)),
        ])?;
    }
    table.write(path)
}

/// `test_predictions.csv`: a test image a row, from 0.
///
/// # Errors
/// A table that cannot be written.
pub fn write_predictions(
    path: &Path,
    labels: &[u8],
    predictions: &Predictions,
) -> Result<(), TableError> {
    let mut table = Table::new(&["index", "label", "predicted", "confidence"]);
    let guesses = predictions.predicted.iter().zip(&predictions.confidence);
    for (index, (&label, (&predicted, &confidence))) in labels.iter().zip(guesses).enumerate() {
        let row = [
            index.into(),
            label.into(),
            predicted.into(),
            share(confidence.into()),
        ];
        table.row(&row)?;
    }
    table.write(path)
}

/// `confusion.csv`: a true class a row, a predicted class a column.
///
/// # Errors
/// A table that cannot be written.
pub fn write_confusion(
    path: &Path,
    classes: &[String],
    confusion: &Confusion,
) -> Result<(), TableError> {
    let mut columns = vec!["true_class"];
    columns.extend(classes.iter().map(String::as_str));
    let mut table = Table::new(&columns);
    for (class, counts) in classes.iter().zip(confusion.rows()) {
        let mut row = vec![Cell::from(class.as_str())];
        row.extend(counts.iter().map(|&count| Cell::from(count)));
        table.row(&row)?;
    }
    table.write(path)
}

/// `class_report.csv`: a class a row, then the two averages.
///
/// # Errors
/// A table that cannot be written.
pub fn write_class_report(
    path: &Path,
    classes: &[String],
    confusion: &Confusion,
) -> Result<(), TableError> {
    let mut table = Table::new(&["class", "precision", "recall", "f1", "support"]);
    let mut row = |name: &str, score: ClassScore| {
        let ClassScore {
            precision,
            recall,
            f1,
            support,
        } = score;
        table.row(&[
            name.into(),
            share(precision),
            share(recall),
            share(f1),
            support.into(),
        ])
    };
    for (class, score) in classes.iter().zip(confusion.class_scores()) {
        row(class, score)?;
    }
    row("macro_average", confusion.macro_average())?;
    row("weighted_average", confusion.weighted_average())?;
    table.write(path)
}

/// The one row of `summary.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// The variant's key in `models`.
    pub variant: &'a str,
    /// What the data is called.
    pub data: &'a str,
    /// The network's size.
    pub parameters: ParameterCount,
    /// Epochs that were run.
    pub epochs_run: u64,
    /// The epoch whose weights were kept.
    pub best: &'a EpochRecord,
    /// Those weights on the test images.
    pub test: Score,
    /// Images of the three splits.
    pub images: [usize; 3],
}

/// `summary.csv`.
///
/// # Errors
/// A table that cannot be written.
pub fn write_summary(path: &Path, summary: &Summary<'_>) -> Result<(), TableError> {
    let mut table = Table::new(&[
        "variant",
        "data",
        "parameters",
        "parameters_with_moving",
        "epochs_run",
        "best_epoch",
        "best_val_loss",
        "best_val_accuracy",
        "test_loss",
        "test_accuracy",
        "train_images",
        "validation_images",
        "test_images",
    ]);
    let Summary {
        parameters,
        best,
        test,
        images: [train, validation, tested],
        ..
    } = *summary;
    table.row(&[
        summary.variant.into(),
        summary.data.into(),
        parameters.trainable.into(),
        (parameters.trainable + parameters.moving).into(),
        summary.epochs_run.into(),
        best.epoch.into(),
        share(best.validation.loss),
        share(best.validation.accuracy),
        share(test.loss),
        share(test.accuracy),
        train.into(),
        validation.into(),
        tested.into(),
    ])?;
    table.write(path)
}

/// `latency.csv`, volatile: a batch size a row.
///
/// # Errors
/// A table that cannot be written.
pub fn write_latency(path: &Path, latencies: &[Latency]) -> Result<(), TableError> {
    let mut table = Table::new(&[
        "batch_size",
        "repetitions",
        "median_ms",
        "p90_ms",
        "ms_per_image",
    ]);
    for latency in latencies {
        table.row(&[
            latency.batch_size.into(),
            latency.repetitions.into(),
            Cell::float(latency.median_ms, 4),
            Cell::float(latency.p90_ms, 4),
            Cell::float(latency.ms_per_image(), 4),
        ])?;
    }
    table.write(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record;

    /// What `write` writes.
    fn written(write: impl FnOnce(&Path) -> Result<(), TableError>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write(&path).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    fn classes() -> Vec<String> {
        ["cat", "dog"].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_history_has_six_decimals_and_rates_with_exponents() {
        assert_eq!(
            written(|path| write_history(path, &[record(1, 2.0), record(2, 0.125)])),
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n\
             1,0.333333,0.100000,2.000000,0.200000,1.000000e-3\n\
             2,0.333333,0.100000,0.125000,0.200000,1.000000e-3\n"
        );
    }

    #[test]
    fn unknown_memory_is_an_empty_cell() {
        let mut unknown = record(2, 1.0);
        unknown.timing.peak_memory_mib = None;
        assert_eq!(
            written(|path| write_timings(path, &[record(1, 1.0), unknown])),
            "epoch,seconds,images_per_second,peak_memory_mib\n1,0.700,1000.0,12.5\n2,0.700,1000.0,\n"
        );
    }

    #[test]
    fn predictions_are_numbered_from_nought() {
        let predictions = Predictions {
            score: Score {
                loss: 0.0,
                accuracy: 0.0,
            },
            predicted: vec![1, 0],
            confidence: vec![0.75, 0.5],
        };
        assert_eq!(
            written(|path| write_predictions(path, &[1, 1], &predictions)),
            "index,label,predicted,confidence\n0,1,1,0.750000\n1,1,0,0.500000\n"
        );
    }

    #[test]
    fn confusion_and_report_name_the_classes() {
        let confusion = Confusion::new(2, &[0, 0, 0, 1], &[0, 0, 1, 0]);
        assert_eq!(
            written(|path| write_confusion(path, &classes(), &confusion)),
            "true_class,cat,dog\ncat,2,1\ndog,1,0\n"
        );
        assert_eq!(
            written(|path| write_class_report(path, &classes(), &confusion)),
            "class,precision,recall,f1,support\n\
             cat,0.666667,0.666667,0.666667,3\n\
             dog,0.000000,0.000000,0.000000,1\n\
             macro_average,0.333333,0.333333,0.333333,4\n\
             weighted_average,0.500000,0.500000,0.500000,4\n"
        );
    }

    #[test]
    fn the_summary_is_one_row() {
        let summary = Summary {
            variant: "tiny",
            data: "synthetic",
            parameters: ParameterCount {
                trainable: 100,
                moving: 7,
            },
            epochs_run: 4,
            best: &record(3, 0.5),
            test: Score {
                loss: 0.75,
                accuracy: 0.8,
            },
            images: [50, 6, 10],
        };
        assert_eq!(
            written(|path| write_summary(path, &summary)),
            "variant,data,parameters,parameters_with_moving,epochs_run,best_epoch,best_val_loss,\
             best_val_accuracy,test_loss,test_accuracy,train_images,validation_images,test_images\n\
             tiny,synthetic,100,107,4,3,0.500000,0.200000,0.750000,0.800000,50,6,10\n"
        );
    }
}
