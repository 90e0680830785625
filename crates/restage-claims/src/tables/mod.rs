//! Compares result tables by rules: which columns must match, exactly or within what.
//!
//! # What is a difference
//! Files with equal bytes are equal. Otherwise `.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson`, `.yaml` and
//! `.toml` files, and those that the pipeline's `tables:` names, are compared as tables, by the rules
//! below, and all other files byte by byte.
//!
//! - **Exact** (the default): the same text. `1.0` is not `1.00`, `0` not `-0`, `NaN` not `nan`.
//! - **Absolute, relative**: the same text, or two numbers whose difference is at most the bound;
//!   a relative bound is a share of the *expected* value, so for 0 it allows nothing. With both bounds their
//!   sum is allowed, as in `numpy.isclose(actual, expected)`. Numbers are read as doubles; spaces around
//!   them don't matter. Where rounding could decide, as for 0.3 and 0.4 with a bound of 0.1, and beyond
//!   2^53, the decimals decide as they are written. NaN matches only NaN, an infinity only itself, -0 is 0. A number too large for a
//!   double is text.
//! - **Ignored**: any text. The column itself must be there.
//! - **Empty cells** match only empty cells: not 0, NaN or a space.
//! - **Quoting** doesn't matter: `"a"` is `a`, `""` in quotes is `"`. A quote that is not closed runs
//!   to the end of the file. Line ends between rows (LF, CRLF, a final one or none), blank lines and a
//!   byte order mark don't matter either; line ends *in* a quoted cell do. Nor does it matter whether
//!   commas, semicolons or tabs are between the cells of a CSV file.
//! - **JSON, YAML and TOML**: a document is a row, and a list of objects, or a file of JSON lines, has a
//!   row for each. Columns are the paths of values (`loss/train`, `layers/0`), cells the values as
//!   JSON writes them, numbers as they are written in the file. So neither layout nor the order of keys is
//!   a difference, but `1` is not `"1"`, nor a number by any tolerance; `null` is not `""`, nor a value
//!   that is missing, nor a list an object of the keys `0`, `1`, ... A key given twice is an error. Without any rule, a file that can't be read so is
//!   compared byte by byte.
//! - **Columns** are matched by name, without spaces around it, so their order doesn't matter. A missing
//!   or added column is a difference, even if it is ignored. Of columns that share a name the first is
//!   the first; if one table has more of them, or if they name rows, it is an error.
//! - **Rows** are matched in order, or with `key` by the texts of its columns, in any order. A
//!   missing or added row is a difference. Two rows of the same key are an error that names the key
//!   and both lines: either could be meant. A missing key column is an error too.
//! - **Files** that are missing or added are a difference.

mod cell;
mod columns;
mod compare;
mod content;
mod data;
mod decimal;
mod diff;
#[cfg(test)]
mod document_tests;
mod fault;
mod format;
mod lines;
mod lookup;
mod parse;
#[cfg(test)]
mod properties;
mod row_name;
mod rule;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use cell::Decimal;
pub use compare::{Comparison, compare_tables};
pub use content::Content;
pub use diff::{CellDiff, Problem, Row, Side, TableDiff};
pub use fault::Fault;
pub use format::Format;
pub use lookup::{Lookup, NotThere};
pub use parse::columns;
pub use row_name::RowName;
pub use rule::{EffectiveRule, applies, effective_rule, fits};
