//! Reads a table: UTF-8, a header of names, rows of equal length. JSON and YAML are tables of their
//! values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::data;

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
    /// It is not the JSON or YAML that its name promises, or not an object or a list.
    NotData {
        /// Why.
        why: String,
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
            Self::NotData { why } => f.write_str(why),
        }
    }
}

/// How a file is read as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Cells between these bytes.
    Delimited(u8),
    /// A JSON document.
    Json,
    /// A YAML document.
    Yaml,
}

impl Format {
    /// Of a file of this name; `None` if it is not compared as a table.
    pub(super) fn of(path: &str) -> Option<Self> {
        let ending = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Self::Delimited(b',')),
            "tsv" => Some(Self::Delimited(b'\t')),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Whether columns are the paths of values.
    pub(super) fn is_data(self) -> bool {
        !matches!(self, Self::Delimited(_))
    }
}

/// A rectangular table of text; of JSON and YAML, of values as JSON writes them.
#[derive(Debug)]
pub(super) struct Table {
    /// As written, but for spaces around them.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Line>,
    /// Where each name is first.
    index: BTreeMap<String, usize>,
    /// Names of several columns.
    repeated: BTreeSet<String>,
    paths: bool,
}

/// A row, and where it starts.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1; 1 for JSON and YAML.
    pub(super) line: u64,
    pub(super) cells: csv::StringRecord,
}

/// The names of a file's columns, in order; none if it is not a table.
pub fn columns(path: &str, bytes: &[u8]) -> Vec<String> {
    let header = match Format::of(path) {
        // The rest of a long table is not looked at.
        Some(Format::Delimited(delimiter)) => csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(bytes)
            .headers()
            .ok()
            .map(|header| header.iter().map(|name| name.trim().to_owned()).collect()),
        Some(format) => Table::parse(bytes, format).ok().map(|table| table.columns),
        None => None,
    };
    header.unwrap_or_default()
}

impl Table {
    pub(super) fn parse(bytes: &[u8], format: Format) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| Fault::NotText {
            line: line_of(bytes, error.valid_up_to()),
        })?;
        match format {
            Format::Delimited(delimiter) => Self::delimited(text, delimiter),
            Format::Json => data::rows(&data::json(text)?),
            Format::Yaml => data::rows(&data::yaml(text)?),
        }
    }

    fn delimited(text: &str, delimiter: u8) -> Result<Self, Fault> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        // From UTF-8 text in memory, with ragged rows allowed, the reader has no errors.
        let mut records = reader.records().map_while(Result::ok);
        let header = records.next().ok_or(Fault::Empty)?;
        let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut place = Place::default();
        let mut rows = Vec::new();
        for cells in records {
            let start = cells.position().map_or(0, csv::Position::byte);
            let line = place.line_of_record(text.as_bytes(), start);
            if cells.len() != columns.len() {
                return Err(Fault::Ragged {
                    line,
                    expected: columns.len(),
                    found: cells.len(),
                });
            }
            rows.push(Line { line, cells });
        }
        Ok(Self::new(columns, rows, false))
    }

    /// Of rows that are as long as the header; `paths`: columns are paths of values.
    pub(super) fn new(columns: Vec<String>, rows: Vec<Line>, paths: bool) -> Self {
        let (mut index, mut repeated) = (BTreeMap::new(), BTreeSet::new());
        for (at, name) in columns.iter().enumerate() {
            if *index.entry(name.clone()).or_insert(at) != at {
                repeated.insert(name.clone());
            }
        }
        Self {
            columns,
            rows,
            index,
            repeated,
            paths,
        }
    }

    /// The first column of this name.
    pub(super) fn named(&self, column: &str) -> Option<usize> {
        self.index.get(column).copied()
    }

    /// The first column that a person means by this name: a path may begin with `/`.
    pub(super) fn index_of(&self, column: &str) -> Option<usize> {
        let plain = column.strip_prefix('/').filter(|_| self.paths);
        self.named(column).or_else(|| self.named(plain?))
    }

    /// This table with what its cells say, without their kinds.
    pub(super) fn plain(mut self) -> Self {
        if self.paths {
            for row in &mut self.rows {
                row.cells = row.cells.iter().map(data::plain).collect();
            }
        }
        self
    }

    /// Whether a name says which column is meant.
    pub(super) fn is_repeated(&self, column: &str) -> bool {
        self.repeated.contains(column)
    }

    /// This table, if each of its columns has another name.
    pub(super) fn distinct(self) -> Result<Self, Fault> {
        match self.repeated.first() {
            Some(column) => Err(Fault::DuplicateColumn {
                column: column.clone(),
            }),
            None => Ok(self),
        }
    }
}

/// Where in a text records were found so far.
#[derive(Default)]
struct Place {
    at: usize,
    ends: u64,
}

impl Place {
    /// The line, from 1, of a record that a reader found at `start`, where the end of the record before
    /// it and blank lines may still come.
    fn line_of_record(&mut self, bytes: &[u8], start: u64) -> u64 {
        let start = usize::try_from(start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let ends = bytes[start..]
            .iter()
            .take_while(|byte| b"\r\n".contains(byte));
        let to = start + ends.count();
        self.ends += line_ends(bytes, self.at, to);
        self.at = to.max(self.at);
        self.ends + 1
    }
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u64 {
    line_ends(bytes, 0, offset) + 1
}

/// Line ends (LF, CRLF, CR) in a part of a text.
fn line_ends(bytes: &[u8], from: usize, to: usize) -> u64 {
    let ends = (from..to).filter(|at| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count() as u64
}
