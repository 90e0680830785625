//! Reads a table: UTF-8, a header of distinct names, rows of equal length.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Why a file is not a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has no header.
    Empty,
    /// A byte that is not UTF-8, in this line.
    NotText {
        /// From 1.
        line: u64,
    },
    /// A row longer or shorter than the header.
    Ragged {
        /// Where the row starts, from 1.
        line: u64,
        /// Columns in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
    },
    /// Two columns have the same name.
    DuplicateColumn {
        /// The name.
        column: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: it has no header"),
            Self::NotText { line } => write!(f, "is not UTF-8 in line {line}"),
            Self::Ragged {
                line,
                expected,
                found,
            } => {
                let ending = |n| if n == 1 { "" } else { "s" };
                write!(
                    f,
                    "has {found} cell{} in line {line}, but {expected} column{}",
                    ending(*found),
                    ending(*expected)
                )
            }
            Self::DuplicateColumn { column } => write!(f, "has two columns `{column}`"),
        }
    }
}

/// A rectangular table of text.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Line>,
}

/// A row, and where it starts.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) line: u64,
    pub(super) cells: csv::StringRecord,
}

/// The names of a file's columns, in order; none if it is not a table.
pub fn columns(path: &str, bytes: &[u8]) -> Vec<String> {
    let Some(delimiter) = delimiter(path) else {
        return Vec::new();
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(bytes);
    let header = reader.headers();
    header.map_or_else(
        |_| Vec::new(),
        |header| header.iter().map(str::to_owned).collect(),
    )
}

/// The delimiter of a file of this name; `None` if it is not compared as a table.
pub(super) fn delimiter(path: &str) -> Option<u8> {
    let ending = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

impl Table {
    pub(super) fn parse(bytes: &[u8], delimiter: u8) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| Fault::NotText {
            line: line_of(bytes, error.valid_up_to()),
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        // From UTF-8 text in memory, with ragged rows allowed, the reader has no errors.
        let mut records = reader.records().map_while(Result::ok);
        let header = records.next().ok_or(Fault::Empty)?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let mut names = BTreeSet::new();
        if let Some(column) = columns.iter().find(|column| !names.insert(*column)) {
            return Err(Fault::DuplicateColumn {
                column: column.clone(),
            });
        }
        let mut rows = Vec::new();
        for cells in records {
            let line = cells.position().map_or(0, csv::Position::line);
            if cells.len() != columns.len() {
                return Err(Fault::Ragged {
                    line,
                    expected: columns.len(),
                    found: cells.len(),
                });
            }
            rows.push(Line { line, cells });
        }
        Ok(Self { columns, rows })
    }

    pub(super) fn index_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name == column)
    }
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u64 {
    let before = bytes.iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() as u64 + 1
}
