//! What training found, as rows of its tables; the crate `results` defines them.

use std::path::Path;

use contract::table::{Cell, Table, TableError};
use nn::network::ParameterCount;
use results::{ClassRow, EpochRow, Fixed, LatencyRow, Measured, Scientific, SummaryRow, TimingRow};

use crate::evaluate::Predictions;
use crate::history::{EpochRecord, Score};
use crate::latency::Latency;
use crate::scores::{ClassScore, Confusion};

/// An epoch's losses and accuracies.
pub fn epoch(record: &EpochRecord) -> EpochRow {
    let (train, validation) = (record.train, record.validation);
    EpochRow {
        epoch: record.epoch,
        train_loss: Fixed(train.loss),
        train_accuracy: Fixed(train.accuracy),
        val_loss: Fixed(validation.loss),
        val_accuracy: Fixed(validation.accuracy),
        learning_rate: Scientific(f64::from(record.learning_rate)),
    }
}

/// An epoch's cost.
pub fn timing(record: &EpochRecord) -> TimingRow {
    let timing = record.timing;
    TimingRow {
        epoch: record.epoch,
        seconds: Fixed(timing.seconds),
        images_per_second: Fixed(timing.images_per_second),
        peak_memory_mib: Measured(timing.peak_memory_mib.map(Fixed)),
    }
}

/// A batch size's latency.
pub fn latency(latency: &Latency) -> LatencyRow {
    LatencyRow {
        batch_size: latency.batch_size as u64,
        repetitions: latency.repetitions as u64,
        median_ms: Fixed(latency.median_ms),
        p90_ms: Fixed(latency.p90_ms),
        ms_per_image: Fixed(latency.ms_per_image()),
    }
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
            Cell::from(Fixed::<6>(confidence.into())),
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

/// A row for each class, then the two averages.
pub fn class_report(classes: &[String], confusion: &Confusion) -> Vec<ClassRow> {
    let row = |class: &str, score: ClassScore| ClassRow {
        class: class.to_owned(),
        precision: Fixed(score.precision),
        recall: Fixed(score.recall),
        f1: Fixed(score.f1),
        support: score.support,
    };
    let scores = confusion.class_scores();
    let classes = classes
        .iter()
        .zip(scores)
        .map(|(class, score)| row(class, score));
    let averages = [
        row("macro_average", confusion.macro_average()),
        row("weighted_average", confusion.weighted_average()),
    ];
    classes.chain(averages).collect()
}

/// What a training came to.
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

impl Summary<'_> {
    /// The row of it.
    pub fn row(&self) -> SummaryRow {
        let (parameters, best, test) = (self.parameters, self.best, self.test);
        let [train, validation, tested] = self.images.map(|images| images as u64);
        SummaryRow {
            variant: self.variant.to_owned(),
            data: self.data.to_owned(),
            parameters: parameters.trainable as u64,
            parameters_with_moving: (parameters.trainable + parameters.moving) as u64,
            epochs_run: self.epochs_run,
            best_epoch: best.epoch,
            best_val_loss: Fixed(best.validation.loss),
            best_val_accuracy: Fixed(best.validation.accuracy),
            test_loss: Fixed(test.loss),
            test_accuracy: Fixed(test.accuracy),
            train_images: train,
            validation_images: validation,
            test_images: tested,
        }
    }
}

#[cfg(test)]
mod tests {
    use results::Row;

    use super::*;
    use crate::history::record;

    /// The file of these rows.
    fn file<R: Row>(rows: impl IntoIterator<Item = R>) -> String {
        let folder = tempfile::tempdir().unwrap();
        R::write(folder.path(), rows).unwrap();
        std::fs::read_to_string(folder.path().join(R::FILE)).unwrap()
    }

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
            file([record(1, 2.0), record(2, 0.125)].iter().map(epoch)),
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
            file([record(1, 1.0), unknown].iter().map(timing)),
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
            file(class_report(&classes(), &confusion)),
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
            file([summary.row()]),
            "variant,data,parameters,parameters_with_moving,epochs_run,best_epoch,best_val_loss,\
             best_val_accuracy,test_loss,test_accuracy,train_images,validation_images,test_images\n\
             tiny,synthetic,100,107,4,3,0.500000,0.200000,0.750000,0.800000,50,6,10\n"
        );
    }
}
