//! The tables of one training, each defined once for the stages that write it and those that read it.
//!
//! A file's name, its columns, their order and their digits are a type's: see [`Row`]. Nothing else
//! belongs here, because `train` is built from this crate: a change runs every training again.

mod number;

pub use number::{Fixed, Norm, Scientific};

use std::path::Path;

use contract::table::{Cell, Table, TableError, read};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A row of one of the tables.
pub trait Row: DeserializeOwned {
    /// The file in a training's folder.
    const FILE: &'static str;
    /// The file's columns, in order.
    const COLUMNS: &'static [&'static str];

    /// A cell for each column.
    fn cells(self) -> Vec<Cell>;

    /// Writes the whole file into `folder`.
    ///
    /// # Errors
    /// A number that is not finite, or the system's error: names the file.
    fn write(folder: &Path, rows: impl IntoIterator<Item = Self>) -> Result<(), TableError> {
        let mut table = Table::new(Self::COLUMNS);
        for row in rows {
            table.row(&row.cells())?;
        }
        table.write(folder.join(Self::FILE))
    }

    /// Reads the whole file in `folder`.
    ///
    /// # Errors
    /// A file that cannot be read, or a row that does not fit: names file and line.
    fn read(folder: &Path) -> Result<Vec<Self>, TableError> {
        read(folder.join(Self::FILE))
    }
}

macro_rules! row {
    (
        $(#[$about:meta])*
        $name:ident in $file:literal { $($(#[$what:meta])* $column:ident: $kind:ty,)+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        pub struct $name { $($(#[$what])* pub $column: $kind,)+ }

        impl Row for $name {
            const FILE: &'static str = $file;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn cells(self) -> Vec<Cell> {
                vec![$(self.$column.into()),+]
            }
        }
    };
}

row! {
    /// One epoch. Losses are means of cross-entropies in nats, accuracies shares from 0 to 1.
    EpochRow in "history.csv" {
        /// Counted from 1.
        epoch: u64,
        /// Of the training images, while the weights changed.
        train_loss: Fixed<6>,
        /// Of the training images, while the weights changed.
        train_accuracy: Fixed<6>,
        /// Of the validation images, after the epoch's last step.
        val_loss: Fixed<6>,
        /// Of the validation images, after the epoch's last step.
        val_accuracy: Fixed<6>,
        /// Of the epoch's steps.
        learning_rate: Scientific,
    }
}

row! {
    /// What one epoch cost; it differs from run to run.
    TimingRow in "timings.csv" {
        /// Counted from 1.
        epoch: u64,
        /// Seconds of the training steps; validation is not in it.
        seconds: Fixed<3>,
        /// Training images per second.
        images_per_second: Fixed<1>,
        /// The process's largest resident memory so far; empty where the system doesn't say.
        peak_memory_mib: Measured,
    }
}

row! {
    /// The one row about a whole training.
    SummaryRow in "summary.csv" {
        /// The network's name in `models`.
        variant: String,
        /// What the data is called.
        data: String,
        /// Numbers that the optimiser changes.
        parameters: u64,
        /// Those and batch norm's moving statistics.
        parameters_with_moving: u64,
        /// Epochs that were run.
        epochs_run: u64,
        /// The epoch whose weights were kept, from 1.
        best_epoch: u64,
        /// That epoch's, in nats.
        best_val_loss: Fixed<6>,
        /// That epoch's, from 0 to 1.
        best_val_accuracy: Fixed<6>,
        /// Of the kept weights, in nats.
        test_loss: Fixed<6>,
        /// Of the kept weights, from 0 to 1.
        test_accuracy: Fixed<6>,
        /// Images trained on.
        train_images: u64,
        /// Images that chose the epoch.
        validation_images: u64,
        /// Images tested on.
        test_images: u64,
    }
}

row! {
    /// How well the kept weights recognise one class of the test images, or an average of classes.
    ClassRow in "class_report.csv" {
        /// The class, `macro_average` or `weighted_average`.
        class: String,
        /// From 0 to 1.
        precision: Fixed<6>,
        /// From 0 to 1.
        recall: Fixed<6>,
        /// From 0 to 1.
        f1: Fixed<6>,
        /// The class's images.
        support: u64,
    }
}

row! {
    /// How long predictions take, by batch size; it differs from run to run.
    LatencyRow in "latency.csv" {
        /// Images at a time: 1 or [`LatencyRow::BATCH`].
        batch_size: u64,
        /// How often it was measured.
        repetitions: u64,
        /// Milliseconds of a batch.
        median_ms: Fixed<4>,
        /// Milliseconds of a batch, exceeded by a tenth of the measurements.
        p90_ms: Fixed<4>,
        /// The median of a batch, divided by its images.
        ms_per_image: Fixed<4>,
    }
}

impl LatencyRow {
    /// The batch size, besides 1, at which predictions are timed.
    pub const BATCH: u64 = 64;
}

row! {
    /// The size of the gradient in one layer: L2 norms over its weights.
    GradientRow in "gradients.csv" {
        /// Counted from the input, from 1.
        layer_index: u64,
        /// Such as `stage2.block1.conv1`.
        layer: String,
        /// At the kept weights.
        trained_l2: Norm,
        /// At the initial weights.
        initial_l2: Norm,
    }
}

/// A measurement with one digit after the point, or an empty cell where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Measured(pub Option<Fixed<1>>);

impl From<Measured> for Cell {
    fn from(measured: Measured) -> Self {
        measured.0.map_or_else(|| "".into(), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is written of these rows; what is read back must be the same rows.
    fn written<R: Row + Clone + PartialEq + std::fmt::Debug>(rows: &[R]) -> String {
        let folder = tempfile::tempdir().unwrap();
        R::write(folder.path(), rows.iter().cloned()).unwrap();
        assert_eq!(R::read(folder.path()).unwrap(), rows);
        fs::read_to_string(folder.path().join(R::FILE)).unwrap()
    }

    #[test]
    fn every_table_is_read_back_as_it_was_written() {
        let epoch = EpochRow {
            epoch: 1,
            train_loss: Fixed(0.333_333),
            train_accuracy: Fixed(0.1),
            val_loss: Fixed(2.0),
            val_accuracy: Fixed(0.2),
            learning_rate: Scientific(1e-3),
        };
        assert_eq!(
            written(&[epoch]),
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n\
             1,0.333333,0.100000,2.000000,0.200000,1.000000e-3\n"
        );
        let timing = |epoch, memory| TimingRow {
            epoch,
            seconds: Fixed(0.7),
            images_per_second: Fixed(1000.0),
            peak_memory_mib: Measured(memory),
        };
        assert_eq!(
            written(&[timing(1, Some(Fixed(12.5))), timing(2, None)]),
            "epoch,seconds,images_per_second,peak_memory_mib\n1,0.700,1000.0,12.5\n2,0.700,1000.0,\n"
        );
        let summary = SummaryRow {
            variant: "tiny".to_owned(),
            data: "synthetic".to_owned(),
            parameters: 100,
            parameters_with_moving: 107,
            epochs_run: 4,
            best_epoch: 3,
            best_val_loss: Fixed(0.5),
            best_val_accuracy: Fixed(0.2),
            test_loss: Fixed(0.75),
            test_accuracy: Fixed(0.8),
            train_images: 50,
            validation_images: 6,
            test_images: 10,
        };
        assert_eq!(
            written(&[summary]),
            "variant,data,parameters,parameters_with_moving,epochs_run,best_epoch,best_val_loss,\
             best_val_accuracy,test_loss,test_accuracy,train_images,validation_images,test_images\n\
             tiny,synthetic,100,107,4,3,0.500000,0.200000,0.750000,0.800000,50,6,10\n"
        );
        let latency = LatencyRow {
            batch_size: LatencyRow::BATCH,
            repetitions: 5,
            median_ms: Fixed(6.4),
            p90_ms: Fixed(7.0),
            ms_per_image: Fixed(0.1),
        };
        assert_eq!(
            written(&[latency]),
            "batch_size,repetitions,median_ms,p90_ms,ms_per_image\n64,5,6.4000,7.0000,0.1000\n"
        );
        let gradient = GradientRow {
            layer_index: 1,
            layer: "stem.conv".to_owned(),
            trained_l2: Norm(0.25),
            initial_l2: Norm(0.0),
        };
        assert_eq!(
            written(&[gradient]),
            "layer_index,layer,trained_l2,initial_l2\n1,stem.conv,2.500000e-1,0.000000e0\n"
        );
    }

    #[test]
    fn what_no_table_can_show_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let header = "layer_index,layer,trained_l2,initial_l2\n";
        for (number, why) in [
            ("NaN", "`NaN` is not a finite number"),
            ("inf", "`inf` is not a finite number"),
            ("-1", "`-1` is negative, which no norm is"),
        ] {
            let path = folder.path().join("gradients.csv");
            fs::write(&path, format!("{header}1,conv,{number},1\n")).unwrap();
            let error = GradientRow::read(folder.path()).unwrap_err().to_string();
            assert_eq!(error, format!("`{}`, line 2: {why}", path.display()));
        }
    }
}
