//! Why a file is not a table, in words.

use std::fmt;

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
    /// Two columns have the same name, and the other table has not as many.
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// It is not what its name promises, or not an object or a list.
    NotData {
        /// Why.
        why: String,
    },
}

impl Fault {
    pub(super) fn data(why: impl Into<String>) -> Self {
        Self::NotData { why: why.into() }
    }
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
