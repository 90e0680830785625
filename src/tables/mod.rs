//! Compares result tables by rules: which columns must match, exactly or within what.
//! It must not know where tables come from.

mod cell;
mod compare;
mod diff;
mod lookup;
mod parse;
#[cfg(test)]
mod properties;
mod render;
mod rule;
#[cfg(test)]
mod tests;

pub use compare::{compare_tables, is_table};
pub use diff::{CellDiff, Problem, Row, Side, TableDiff};
pub use lookup::Lookup;
pub use parse::Fault;
pub use render::render;
pub use rule::{EffectiveRule, effective_rule};
