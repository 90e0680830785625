//! Reads a whole table into memory: UTF-8, a header of names, rows of equal length. JSON and its like
//! are tables of their values.

use super::content::Content;
use super::data::{self, Data};
use super::fault::Fault;
use super::format::{Format, Kind};
use super::lines::{Place, line_of};
use super::table::{Kinds, Line, Table};
use restage_core::fs::FsError;

/// Reads a table.
pub(super) fn table(bytes: &[u8], format: Format) -> Result<Table, Fault> {
    whole(bytes, format).map(|(table, _)| table)
}

/// Reads a table, and the document that it is of.
pub(super) fn whole(bytes: &[u8], format: Format) -> Result<(Table, Option<Data>), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| Fault::NotText {
        line: line_of(bytes, error.valid_up_to()),
    })?;
    match format.kind {
        Kind::Delimited(_) | Kind::Csv => Ok((delimited(text, format.delimiter(bytes))?, None)),
        kind => {
            let document = data::read(text, kind)?;
            Ok((data::rows(&document)?, Some(document.data)))
        }
    }
}

fn delimited(text: &str, delimiter: u8) -> Result<Table, Fault> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    // From UTF-8 text in memory, with ragged rows allowed, the reader has no errors.
    let mut records = reader.records().map_while(Result::ok);
    let header = records.next().ok_or(Fault::Empty)?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let mut place = Place::default();
    let mut rows = Vec::new();
    for cells in records {
        let start = cells.position().map_or(0, csv::Position::byte);
        let line = place.line_of_record(text.as_bytes(), start);
        if cells.len() != columns.len() {
            return Err(Fault::Ragged {
                line,
                expected: columns.len(),
                found: cells.len(),
            });
        }
        rows.push(Line {
            line,
            cells,
            kinds: Kinds::new(),
        });
    }
    Ok(Table::new(columns, rows, false))
}

/// The names of a file's columns, in order; none if it is not a table.
///
/// # Errors
/// The file can't be read.
pub fn columns(content: Content<'_>, format: Format) -> Result<Vec<String>, FsError> {
    if format.is_document() {
        let table = table(&content.bytes()?, format);
        return Ok(table.map_or_else(|_| Vec::new(), |table| table.columns));
    }
    // The rest of a long table is not looked at.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(format.delimiter(&content.beginning()?))
        .from_reader(content.open()?);
    let header = reader.headers().ok();
    Ok(header.map_or_else(Vec::new, |header| {
        header.iter().map(|name| name.trim().to_owned()).collect()
    }))
}
