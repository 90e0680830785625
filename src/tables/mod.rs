//! Compares result tables by rules: which columns must match, exactly or within what.
//! It must not know where tables come from, nor how differences are shown.
//!
//! # What is a difference
//! Equal bytes are the same file, whatever they hold. Otherwise `.csv` and `.tsv` are compared as
//! tables, by the rules below, and all other files byte by byte.
//!
//! - **Exact** (the default): the same text. `1.0` is not `1.00`, `0` not `-0`, `NaN` not `nan`.
//! - **Absolute, relative**: the same text, or two numbers at most so far apart, the bound included;
//!   a relative bound is a share of the *expected* value, so of 0 it allows nothing. Numbers are
//!   read as doubles (integers are exact up to 2^53), spaces around them don't matter, and where the
//!   bound is above 0 the rounding of a double is forgiven. NaN matches NaN alone, an infinity the
//!   same one, -0 is 0. What is too large for a double is text.
//! - **Ignored**: any text. The column itself must be there.
//! - **Empty cells** match empty cells alone: neither 0, NaN nor a space.
//! - **Quoting** is no content: `"a"` is `a`, `""` in quotes is `"`. A quote that is not closed runs
//!   to the end of the file. Neither are line ends between rows (LF, CRLF, a last one or none), blank
//!   lines and a byte order mark; line ends *in* a quoted cell are.
//! - **Columns** are matched by name, so their order is no difference. One that is missing or added
//!   is, even if it is ignored. Two of one name are an error.
//! - **Rows** are matched in order, or with `key` by the texts of its columns, in any order. A row
//!   that is missing or added is a difference. Two rows of one key are an error that names the key and
//!   both lines: nothing says which is meant. So is a key column that is not there.
//! - **Files** that are missing or added are a difference.

mod cell;
mod compare;
mod diff;
mod lookup;
mod parse;
#[cfg(test)]
mod properties;
mod row_name;
mod rule;
#[cfg(test)]
mod tests;

pub use compare::{compare_tables, is_table};
pub use diff::{CellDiff, Problem, Row, Side, TableDiff};
pub use lookup::Lookup;
pub use parse::{Fault, columns};
pub use row_name::RowName;
pub use rule::{EffectiveRule, applies, effective_rule};
