//! What differs between two tables, as data.

use std::fmt;

use super::cell::Decimal;
use super::fault::Fault;
use restage_pipeline::ColumnRule;

/// How a file differs from the expected one.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDiff {
    /// The file, as its caller names it.
    pub path: String,
    /// Differences of the whole file: the first ones.
    pub problems: Vec<Problem>,
    /// Cells that differ by more than their rule allows, in the order of the expected table: the first
    /// ones.
    pub cells: Vec<CellDiff>,
    /// Rows that were compared.
    pub rows_compared: usize,
    /// How many differences of the whole file there are.
    pub problems_found: usize,
    /// How many cells differ.
    pub cells_differing: usize,
    /// How many rows have a cell that differs.
    pub rows_differing: usize,
    /// Rows that are missing or added.
    pub rows_unmatched: usize,
    /// Columns that are missing or added.
    pub columns_unmatched: usize,
    incomparable: bool,
    /// At most so many problems and cells are kept.
    most: usize,
}

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one to compare with.
    Expected,
    /// The one that is there.
    Actual,
}

/// A difference that is not one of a single cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file is expected but missing.
    MissingFile,
    /// The file is there but not expected.
    UnexpectedFile,
    /// One of the two is not a table.
    Malformed {
        /// Which.
        side: Side,
        /// Why.
        fault: Fault,
    },
    /// A column is expected but missing.
    MissingColumn(String),
    /// A column is there but not expected.
    ExtraColumn(String),
    /// A key column is missing, so that no row has a name.
    NoKeyColumn {
        /// Where it is missing.
        side: Side,
        /// Its name.
        column: String,
    },
    /// Two rows have the same name.
    DuplicateKey {
        /// Where.
        side: Side,
        /// The name.
        row: Row,
        /// Lines of the first two.
        lines: (u64, u64),
    },
    /// A row, by name, is expected but missing.
    MissingRow(Row),
    /// A row, by name, is there but not expected.
    ExtraRow(Row),
    /// Tables compared in order have different numbers of rows.
    RowCount {
        /// In the expected table.
        expected: usize,
        /// In the actual one.
        actual: usize,
    },
    /// Files that are not tables have different bytes.
    Bytes {
        /// The first byte that differs, from 0.
        offset: usize,
        /// Its line, from 1.
        line: u64,
        /// That line of the expected file; `None` if it is not text, or missing.
        expected: Option<String>,
        /// That line of the actual file.
        actual: Option<String>,
    },
}

impl Problem {
    /// Whether cells can't be compared: rows or columns have no names to match them by.
    pub(super) fn prevents_comparison(&self) -> bool {
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
    /// The expected text.
    pub expected: String,
    /// The actual text.
    pub actual: String,
    /// The line where the row starts in the expected table, from 1.
    pub expected_line: u64,
    /// And in the actual one.
    pub actual_line: u64,
    /// The rule that it breaks.
    pub rule: ColumnRule,
    /// How numbers are written.
    pub decimal: Decimal,
    /// The absolute difference, if both are finite numbers.
    pub difference: Option<f64>,
}

impl CellDiff {
    /// The difference as a share of the expected value; `None` if that is 0 or not a number.
    pub fn share(&self) -> Option<f64> {
        let share = self.difference? / self.decimal.number(&self.expected)?.abs();
        share.is_finite().then_some(share)
    }
}

impl TableDiff {
    /// A file without differences so far, of which at most so many of each kind are kept.
    pub(super) fn new(path: &str, most: usize) -> Self {
        Self {
            path: path.to_owned(),
            problems: Vec::new(),
            cells: Vec::new(),
            rows_compared: 0,
            problems_found: 0,
            cells_differing: 0,
            rows_differing: 0,
            rows_unmatched: 0,
            columns_unmatched: 0,
            incomparable: false,
            most,
        }
    }

    fn of(path: &str, problem: Problem) -> Self {
        let mut diff = Self::new(path, 1);
        diff.add(problem);
        diff
    }

    /// A file that is expected but missing.
    pub fn missing(path: &str) -> Self {
        Self::of(path, Problem::MissingFile)
    }

    /// A file that is there but not expected.
    pub fn unexpected(path: &str) -> Self {
        Self::of(path, Problem::UnexpectedFile)
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.problems_found += 1;
        self.incomparable |= problem.prevents_comparison();
        match &problem {
            Problem::MissingRow(_) | Problem::ExtraRow(_) => self.rows_unmatched += 1,
            Problem::RowCount { expected, actual } => {
                self.rows_unmatched += expected.abs_diff(*actual);
            }
            Problem::MissingColumn(_) | Problem::ExtraColumn(_) => self.columns_unmatched += 1,
            _ => {}
        }
        if self.problems.len() < self.most {
            self.problems.push(problem);
        }
    }

    pub(super) fn add_cell(&mut self, cell: impl FnOnce() -> CellDiff) {
        self.cells_differing += 1;
        if self.cells.len() < self.most {
            self.cells.push(cell());
        }
    }

    /// How many differences there are.
    pub fn found(&self) -> usize {
        self.problems_found + self.cells_differing
    }

    /// Whether the two can't be compared, so that no cell was.
    pub fn is_incomparable(&self) -> bool {
        self.incomparable
    }

    /// Whether the file is as expected.
    pub fn is_same(&self) -> bool {
        self.found() == 0
    }
}
