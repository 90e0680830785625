//! Compares result tables by rules: which columns must match, exactly or within what.
//!
//! # What is a difference
//! Files with equal bytes are equal. Otherwise `.csv`, `.tsv`, `.json` and `.yaml` files are compared as
//! tables, by the rules below, and all other files byte by byte.
//!
//! - **Exact** (the default): the same text. `1.0` is not `1.00`, `0` not `-0`, `NaN` not `nan`.
//! - **Absolute, relative**: the same text, or two numbers whose difference is at most the bound;
//!   a relative bound is a share of the *expected* value, so for 0 it allows nothing. Numbers are
//!   read as doubles (integers are exact up to 2^53), spaces around them don't matter, and a bound
//!   above 0 also forgives the rounding of doubles. With both bounds their sum is allowed. NaN matches only NaN, an infinity only itself,
//!   -0 is 0. A number too large for a double is text.
//! - **Ignored**: any text. The column itself must be there.
//! - **Empty cells** match only empty cells: not 0, NaN or a space.
//! - **Quoting** doesn't matter: `"a"` is `a`, `""` in quotes is `"`. A quote that is not closed runs
//!   to the end of the file. Line ends between rows (LF, CRLF, a final one or none), blank lines and a
//!   byte order mark don't matter either; line ends *in* a quoted cell do.
//! - **JSON and YAML**: a document is a row, and a list of objects has a row for each. Columns are the
//!   paths of values (`loss/train`, `layers/0`), cells the values as JSON writes them, numbers as they are
//!   written in the file. So neither layout nor the order of keys is a difference, but `1` is not `"1"`,
//!   nor a number by any tolerance; `null` is not `""`, nor a value that is missing. A key given twice is
//!   an error. Without any rule, a file that can't be read so is compared byte by byte.
//! - **Columns** are matched by name, without spaces around it, so their order doesn't matter. A missing or added column is a
//!   difference, even if it is ignored. Two columns of the same name are an error.
//! - **Rows** are matched in order, or with `key` by the texts of its columns, in any order. A
//!   missing or added row is a difference. Two rows of the same key are an error that names the key
//!   and both lines: either could be meant. A missing key column is an error too.
//! - **Files** that are missing or added are a difference.

mod cell;
mod compare;
mod data;
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
