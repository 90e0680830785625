//! What differs between two tables, as data.
//! It must not know how it is shown.

use std::fmt;

use super::cell;
use super::parse::Fault;
use crate::spec::ColumnRule;

/// How a file differs from the expected one.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDiff {
    /// The file, as its caller names it.
    pub path: String,
    /// What is wrong with the whole.
    pub problems: Vec<Problem>,
    /// Cells that differ by more than their rule allows, in the order of the expected table.
    pub cells: Vec<CellDiff>,
    /// Rows of the expected table that were held against one of the actual.
    pub rows_compared: usize,
}

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that should be.
    Expected,
    /// The one that is.
    Actual,
}

/// A difference that is no single cell's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file is expected and not there.
    MissingFile,
    /// The file is there and not expected.
    UnexpectedFile,
    /// One of the two is no table.
    Malformed {
        /// Which.
        side: Side,
        /// Why.
        fault: Fault,
    },
    /// A column is expected and not there.
    MissingColumn(String),
    /// A column is there and not expected.
    ExtraColumn(String),
    /// A key column that the table does not have, so that no row has a name.
    NoKeyColumn {
        /// Where it is missing.
        side: Side,
        /// Its name.
        column: String,
    },
    /// Two rows of one name.
    DuplicateKey {
        /// Where.
        side: Side,
        /// The name.
        row: Row,
        /// Lines of the first two.
        lines: (u64, u64),
    },
    /// A row, by name, is expected and not there.
    MissingRow(Row),
    /// A row, by name, is there and not expected.
    ExtraRow(Row),
    /// Tables compared in order have different numbers of rows.
    RowCount {
        /// Rows that should be.
        expected: usize,
        /// Rows that are.
        actual: usize,
    },
    /// Files that are no tables have different bytes.
    Bytes {
        /// The first byte that differs, from 0.
        offset: usize,
        /// Its line, from 1.
        line: u64,
        /// That line as it should be; `None` if it is not text, or not there.
        expected: Option<String>,
        /// That line as it is.
        actual: Option<String>,
    },
}

impl Problem {
    /// Whether it leaves open which cells differ: rows or columns have no names to match them by.
    pub fn prevents_comparison(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. } | Self::NoKeyColumn { .. } | Self::DuplicateKey { .. }
        )
    }
}

/// What names a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Key columns and their values.
    Key(Vec<(String, String)>),
    /// Its number, from 1, the header not counted.
    Number(usize),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Key(key) => {
                for (at, (column, value)) in key.iter().enumerate() {
                    let space = if at == 0 { "" } else { " " };
                    write!(f, "{space}{column}={value}")?;
                }
                Ok(())
            }
        }
    }
}

/// A cell that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct CellDiff {
    /// Its row.
    pub row: Row,
    /// Its column.
    pub column: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// The line in which the row starts in the expected table, from 1.
    pub expected_line: u64,
    /// And in the actual one.
    pub actual_line: u64,
    /// The rule that it breaks.
    pub rule: ColumnRule,
    /// How far the two lie apart, if both are finite numbers.
    pub difference: Option<f64>,
}

impl CellDiff {
    /// The difference as a share of the expected value; `None` where that is 0 or no number.
    pub fn share(&self) -> Option<f64> {
        let share = self.difference? / cell::number(&self.expected)?.abs();
        share.is_finite().then_some(share)
    }
}

impl TableDiff {
    /// A file without differences so far.
    pub(super) fn new(path: &str) -> Self {
        let (problems, cells) = (Vec::new(), Vec::new());
        Self {
            path: path.to_owned(),
            problems,
            cells,
            rows_compared: 0,
        }
    }

    /// A file that is expected and not there.
    pub fn missing(path: &str) -> Self {
        Self {
            problems: vec![Problem::MissingFile],
            ..Self::new(path)
        }
    }

    /// A file that is there and not expected.
    pub fn unexpected(path: &str) -> Self {
        Self {
            problems: vec![Problem::UnexpectedFile],
            ..Self::new(path)
        }
    }

    /// Whether the two can't be held against each other, so that no cell was.
    pub fn is_incomparable(&self) -> bool {
        self.problems.iter().any(Problem::prevents_comparison)
    }

    /// Whether the file is as expected.
    pub fn is_same(&self) -> bool {
        self.problems.is_empty() && self.cells.is_empty()
    }
}
