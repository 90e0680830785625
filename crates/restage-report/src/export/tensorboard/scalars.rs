//! The columns of numbers of tables whose rows are steps.

use std::collections::BTreeMap;

use restage_claims::tables::Lookup;

/// By tag: steps, ascending, and their numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scalars(BTreeMap<String, Vec<(i64, f32)>>);

/// Why a table can't be read step by step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScalarsError {
    /// There is no such column.
    #[error("has no column `{0}` to number its steps by")]
    NoStep(String),
    /// A step that is not a whole number from 0, or less than the one before it, or has two numbers of
    /// one column.
    #[error("has step `{cell}` in row {row}, and steps must be increasing whole numbers")]
    BadStep {
        /// The cell.
        cell: String,
        /// From 1, without the header.
        row: usize,
    },
    /// Another table of the same run has a column of this name.
    #[error("has a column `{0}`, and so has another table of the same run")]
    Twice(String),
    /// No column has numbers.
    #[error("has no column of numbers besides `{0}`")]
    NoNumbers(String),
}

impl Scalars {
    /// Adds the columns of numbers of one table.
    ///
    /// # Errors
    /// The steps are wrong, there are no numbers, or a column is there already.
    pub fn add(&mut self, table: &Lookup, step: &str) -> Result<(), ScalarsError> {
        let no_step = || ScalarsError::NoStep(step.to_owned());
        let steps = steps(&table.column(step).map_err(|_| no_step())?)?;
        let mut found = BTreeMap::new();
        // The path of a value may be written with a `/` before it.
        let plain = step.strip_prefix('/').filter(|_| table.is_document());
        let is_step = |column: &&String| *column == step || Some(column.as_str()) == plain;
        for column in table.columns().iter().filter(|column| !is_step(column)) {
            let cells = table.column(column).unwrap_or_default();
            let Some(numbers) = numbers(table, &cells) else {
                continue;
            };
            if self.0.contains_key(column) {
                return Err(ScalarsError::Twice(column.clone()));
            }
            let rows = (1..).zip(steps.iter().zip(numbers));
            let mut points: Vec<(i64, f32)> = Vec::new();
            for (row, (step, number)) in rows {
                let Some(number) = number else { continue };
                if points.last().is_some_and(|(last, _)| last == step) {
                    let cell = step.to_string();
                    return Err(ScalarsError::BadStep { cell, row });
                }
                points.push((*step, number));
            }
            found.insert(column.clone(), points);
        }
        if found.is_empty() {
            return Err(ScalarsError::NoNumbers(step.to_owned()));
        }
        self.0.append(&mut found);
        Ok(())
    }

    /// The tags, sorted.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many different steps there are.
    pub fn steps(&self) -> usize {
        self.by_step().len()
    }

    /// Each step's tags and numbers.
    pub(super) fn by_step(&self) -> BTreeMap<i64, Vec<(&str, f32)>> {
        let mut steps: BTreeMap<i64, Vec<(&str, f32)>> = BTreeMap::new();
        for (tag, points) in &self.0 {
            for (step, number) in points {
                steps.entry(*step).or_default().push((tag, *number));
            }
        }
        steps
    }
}

/// They may repeat: a sparse log has a row for each kind of number of a step.
fn steps(cells: &[String]) -> Result<Vec<i64>, ScalarsError> {
    let mut steps: Vec<i64> = Vec::with_capacity(cells.len());
    for (row, cell) in (1..).zip(cells) {
        let step = cell.trim().parse().ok().filter(|step| *step >= 0);
        match step.filter(|step| steps.last().is_none_or(|last| last <= step)) {
            Some(step) => steps.push(step),
            None => {
                let cell = cell.clone();
                return Err(ScalarsError::BadStep { cell, row });
            }
        }
    }
    Ok(steps)
}

/// A column's numbers, `None` for an empty cell; `None` if any cell is something else, or all are
/// empty.
fn numbers(table: &Lookup, cells: &[String]) -> Option<Vec<Option<f32>>> {
    let mut some = false;
    let mut numbers = Vec::with_capacity(cells.len());
    for cell in cells {
        numbers.push(match cell.trim() {
            "" => None,
            cell => {
                some = true;
                // Via f64, as every other reader of the table sees it.
                Some(table.number(cell)? as f32)
            }
        });
    }
    some.then_some(numbers)
}
