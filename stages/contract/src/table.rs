//! CSV tables: fixed float formatting out, located errors in.
//! It must not know any table's columns.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::files::{FileError, write_atomic};

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A whole number.
    Int(i128),
    /// Text; empty for a value that is not there.
    Text(String),
    /// A number with a fixed count of digits after the point: `0.5000`.
    Float {
        /// The number, finite.
        value: f64,
        /// Digits after the point.
        decimals: usize,
    },
    /// A number with an exponent: `1.250e-5`.
    Scientific {
        /// The number, finite.
        value: f64,
        /// Digits after the point.
        decimals: usize,
    },
}

impl Cell {
    /// A number with a fixed count of digits after the point.
    #[must_use]
    pub fn float(value: impl Into<f64>, decimals: usize) -> Self {
        Self::Float {
            value: value.into(),
            decimals,
        }
    }

    /// Rust formats floats by its own exact algorithm, so this is the same everywhere.
    fn format(&self) -> Option<String> {
        match self {
            Self::Int(value) => Some(value.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Float { value, decimals } => value
                .is_finite()
                .then(|| without_negative_zero(format!("{value:.decimals$}"))),
            Self::Scientific { value, decimals } => value
                .is_finite()
                .then(|| without_negative_zero(format!("{value:.decimals$e}"))),
        }
    }
}

/// `-0.0000` is what a tiny negative number rounds to; its sign means nothing.
fn without_negative_zero(text: String) -> String {
    let digits = text.split('e').next().unwrap_or(&text);
    match text.strip_prefix('-') {
        Some(positive)
            if digits
                .bytes()
                .all(|byte| matches!(byte, b'-' | b'0' | b'.')) =>
        {
            positive.to_owned()
        }
        _ => text,
    }
}

macro_rules! cell_from_integer {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Cell {
            fn from(value: $integer) -> Self {
                // Lossless: every one of these types is narrower than 128 bits.
                Self::Int(value as i128)
            }
        })*
    };
}
cell_from_integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A table that cannot be built, written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A row with too few or too many cells.
    #[error("row {row} has {found} cells for {expected} columns")]
    Width {
        /// Which row, from 1.
        row: usize,
        /// Cells given.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
    /// A number that is NaN or infinite.
    #[error("column `{column}` of row {row} is {value}, which a table cannot hold")]
    NotFinite {
        /// The column's name.
        column: String,
        /// Which row, from 1.
        row: usize,
        /// The number.
        value: f64,
    },
    /// A file that cannot be opened, read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row that does not fit the type it is read as.
    #[error("`{}`, line {line}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// A table in memory, written as CSV.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns; units belong into their names.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A count of cells other than the columns', or a number that is not finite.
    pub fn row(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        let row = self.rows.len() + 1;
        if cells.len() != self.columns.len() {
            return Err(TableError::Width {
                row,
                found: cells.len(),
                expected: self.columns.len(),
            });
        }
        let texts = cells.iter().zip(&self.columns).map(|(cell, column)| {
            cell.format().ok_or_else(|| TableError::NotFinite {
                column: column.clone(),
                row,
                value: match cell {
                    Cell::Float { value, .. } | Cell::Scientific { value, .. } => *value,
                    Cell::Int(_) | Cell::Text(_) => 0.0,
                },
            })
        });
        self.rows.push(texts.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Writes the header and all rows, whole or not at all.
    ///
    /// # Errors
    /// The system's error, with the path.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), TableError> {
        write_atomic(path, |out| {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(&self.columns)?;
            for row in &self.rows {
                writer.write_record(row)?;
            }
            writer.flush()
        })?;
        Ok(())
    }
}

/// Reads a CSV file with a header, a `T` a row.
///
/// # Errors
/// A file that cannot be read, or a row that does not fit `T`: names file and line.
pub fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>, TableError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(FileError::new("read", path))?;
    csv::Reader::from_reader(io::BufReader::new(file))
        .into_deserialize()
        .map(|row| row.map_err(|error| located(path, error)))
        .collect()
}

fn located(path: &Path, error: csv::Error) -> TableError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.into_kind() {
        csv::ErrorKind::Io(source) => return FileError::new("read", path)(source).into(),
        csv::ErrorKind::Deserialize { err, .. } => match err.field() {
            Some(field) => format!("column {}: {}", field + 1, err.kind()),
            None => err.kind().to_string(),
        },
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} values for {expected_len} columns"),
        csv::ErrorKind::Utf8 { .. } => "not valid UTF-8".to_owned(),
        other => format!("{other:?}"),
    };
    TableError::Row {
        path: path.to_owned(),
        line,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(value: f64, decimals: usize) -> Cell {
        Cell::Float { value, decimals }
    }

    #[test]
    fn a_table_is_written_with_fixed_formatting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut table = Table::new(&["epoch", "model", "loss", "norm"]);
        let norm = |value| Cell::Scientific { value, decimals: 2 };
        table
            .row(&[
                1_u32.into(),
                "a, b".into(),
                float(1.0 / 3.0, 4),
                norm(1.234e-5),
            ])
            .unwrap();
        table
            .row(&[2_u32.into(), "".into(), float(-1e-9, 4), norm(-0.0)])
            .unwrap();
        table.write(&path).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
        epoch,model,loss,norm
        1,"a, b",0.3333,1.23e-5
        2,,0.0000,0.00e0
        "#);
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let mut table = Table::new(&["epoch", "loss"]);
        let error = table.row(&[1_u32.into(), float(f64::NAN, 4)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `loss` of row 1 is NaN, which a table cannot hold"
        );
        let error = table.row(&[1_u32.into()]).unwrap_err();
        assert_eq!(error.to_string(), "row 1 has 1 cells for 2 columns");
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Row {
        epoch: u32,
        loss: f64,
    }

    #[test]
    fn a_row_that_does_not_fit_is_located() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let cases = [
            (
                "epoch,loss\n1,0.5\nx,0.5\n",
                "line 3: column 1: invalid digit found in string",
            ),
            ("epoch,loss\n1\n", "line 2: 1 values for 2 columns"),
            ("epoch\n1\n", "line 2: missing field `loss`"),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).unwrap();
            let error = read::<Row>(&path).unwrap_err().to_string();
            assert_eq!(error, format!("`{}`, {expected}", path.display()));
        }
        let missing = folder.path().join("missing.csv");
        let error = read::<Row>(&missing).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read `{}`", missing.display()));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(rows in prop::collection::vec((any::<u32>(), -1e6..1e6_f64), 0..8)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("table.csv");
            let mut table = Table::new(&["epoch", "loss"]);
            for &(epoch, loss) in &rows {
                table.row(&[epoch.into(), float(loss, 17)]).unwrap();
            }
            table.write(&path).unwrap();
            let back: Vec<Row> = read(&path).unwrap();
            prop_assert_eq!(back.len(), rows.len());
            for (row, (epoch, loss)) in back.iter().zip(rows) {
                prop_assert_eq!(row.epoch, epoch);
                prop_assert!((row.loss - loss).abs() < 1e-9);
            }
        }
    }
}
