//! Precision, recall and F1 by model and class.
//! It must not know how several seeds become one row.

use contract::table::{Table, TableError};

use crate::input::Model;
use crate::over_seeds;

/// The table for programs: a row a class of each model, means over its seeds.
///
/// # Errors
/// None in practice: the inputs are finite.
pub(crate) fn csv(models: &[Model]) -> Result<Table, TableError> {
    let mut table = Table::new(&["model", "class", "precision", "recall", "f1", "support"]);
    for model in models {
        for row in over_seeds::classes(&model.runs) {
            table.row(&[
                model.name.as_str().into(),
                row.class.as_str().into(),
                row.precision.into(),
                row.recall.into(),
                row.f1.into(),
                row.support.into(),
            ])?;
        }
    }
    Ok(table)
}
