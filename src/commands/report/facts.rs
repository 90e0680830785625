//! The facts at the top of a page, from the cells that `facts:` names.

use crate::error::CliError;
use crate::session::Loaded;
use restage_claims::tables::Lookup;
use restage_core::fs;
use restage_pipeline::{self as spec, Diagnostic};
use restage_report::Fact;

/// The text of each cell, in order.
///
/// # Errors
/// Every missing cell, with its place in the pipeline's file; a file that can't be read.
pub(super) fn read(loaded: &Loaded, wanted: &spec::Report) -> Result<Vec<Fact>, CliError> {
    let (mut facts, mut mistakes) = (Vec::new(), Vec::new());
    for fact in &wanted.facts {
        let path = fact.table.under(&loaded.root);
        let bytes = fs::read_if_exists(&path);
        let bytes = bytes?;
        match value(fact, bytes.as_deref(), &loaded.pipeline().tables) {
            Ok(value) => facts.push(Fact {
                name: fact.name.clone(),
                value,
                full: None,
            }),
            Err(reason) => mistakes.push(
                Diagnostic::new(
                    fact.location,
                    format!("fact `{}` of the page has no value", fact.name),
                    reason,
                )
                .hint("run `restage reproduce` if a stage writes it"),
            ),
        }
    }
    match mistakes.is_empty() {
        true => Ok(facts),
        false => Err(loaded.invalid(mistakes)),
    }
}

fn value(
    fact: &spec::Fact,
    bytes: Option<&[u8]>,
    tables: &[spec::TableFormat],
) -> Result<String, String> {
    let name = fact.table.as_str();
    let bytes = bytes.ok_or_else(|| format!("`{name}` does not exist"))?;
    let table = Lookup::parse(name, bytes, tables)?;
    let row = table.row_name(&fact.row);
    let cell = table.cell(&row, &fact.column);
    cell.map(ToOwned::to_owned)
        .map_err(|missing| missing.why().to_owned())
}
