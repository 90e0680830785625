//! How a row is named, in claims, in `report: facts` and in `trace --row`:
//! `model=a, split=test` by the values of columns, `3` or `-1` by number, and, where the table is
//! at hand, `a` by the value of its first column.

use std::fmt;

use super::table::Table;

/// Which row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowName {
    /// From 1; -1 is the last.
    Number(i64),
    /// The only row whose columns have these values.
    Key(Vec<(String, String)>),
}

impl RowName {
    /// Reads `column=value` pairs. `None`: it takes the table to say which row is meant.
    pub fn key(text: &str) -> Option<Self> {
        let pairs = text.split(',').map(|pair| {
            let (column, value) = pair.split_once('=')?;
            Some((column.trim().to_owned(), value.trim().to_owned()))
        });
        pairs.collect::<Option<_>>().map(Self::Key)
    }

    /// Reads any name: pairs of columns that the table has, a value of its first column, or a
    /// number.
    pub(super) fn of(text: &str, table: &Table) -> Self {
        let known = |(column, _): &(String, _)| table.index_of(column).is_some();
        match Self::key(text) {
            Some(Self::Key(pairs)) if pairs.iter().all(known) => return Self::Key(pairs),
            _ => {}
        }
        let text = text.trim();
        let mut first_cells = table.rows.iter().map(|line| line.cells[0].trim());
        match text.parse() {
            Ok(number) if !first_cells.any(|cell| cell == text) => Self::Number(number),
            _ => Self::Key(vec![(table.columns[0].clone(), text.to_owned())]),
        }
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "row {number}"),
            Self::Key(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(column, value)| format!("{column}={value}"));
                f.write_str(&pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
