//! A rectangular table in memory: named columns and rows of equal length.

use std::collections::{BTreeMap, BTreeSet};

use super::data::plain;

/// A rectangular table of text; of JSON and its like, of values as JSON writes them.
#[derive(Debug)]
pub(super) struct Table {
    /// As written, but for spaces around them.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Line>,
    /// Where each name is first.
    index: BTreeMap<String, usize>,
    /// Names of several columns.
    repeated: BTreeSet<String>,
    /// Whether columns are the paths of values.
    pub(super) paths: bool,
}

/// A row, and where it starts.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1; 1 in a document.
    pub(super) line: u64,
    pub(super) cells: csv::StringRecord,
    pub(super) kinds: Kinds,
}

/// Of a document's row: whether what has other paths inside is "an object" or "a list". Their paths may be
/// the same: `a/0`.
pub(super) type Kinds = BTreeMap<String, &'static str>;

impl Table {
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

    /// The first column that a person means by this name: a path may begin with `/`.
    pub(super) fn index_of(&self, column: &str) -> Option<usize> {
        let named = |name: &str| self.index.get(name).copied();
        let plain = column.strip_prefix('/').filter(|_| self.paths);
        named(column).or_else(|| named(plain?))
    }

    /// This table with what its cells say, without their kinds.
    pub(super) fn plain(mut self) -> Self {
        if self.paths {
            for row in &mut self.rows {
                row.cells = row.cells.iter().map(plain).collect();
            }
        }
        self
    }

    /// Whether several columns have this name.
    pub(super) fn is_repeated(&self, column: &str) -> bool {
        self.repeated.contains(column)
    }
}
