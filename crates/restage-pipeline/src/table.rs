//! `foreach: {table: samples.csv, key: sample}`: the rows of a table, as instances.

use std::collections::HashMap;

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Key, Kind, Mapping, expected};
use super::node::{Entry, Node, Value, printable};
use super::scalar;
use super::sources::{Mention, NoText};
use super::template::Templates;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;
use restage_core::suggest;

/// `foreach` over a table. Its two fields are read together, by hand.
pub(crate) static TABLE: Mapping<()> = Mapping {
    about: About::new(
        "Table",
        "A table of instances",
        "a table",
        "A table with a header: each row is an instance. Cells are separated by commas, by the semicolons or tabs \
         of a header that has no comma, or by tabs where the name ends in `.tsv`. `${item.COLUMN}` is \
         a cell of its row, without the spaces around it: a number if it is written as one, and text \
         otherwise. A row's values enter the key of its own instance alone, and only those that the \
         stage uses: adding or editing a row runs that instance. The file is read before any stage \
         runs, so that no stage can write it.",
    ),
    fields: &[
        (
            Field::required(
                "table",
                Kind::Text,
                "write `foreach: {table: samples.csv, key: sample}`",
                "The file, below the pipeline's folder.",
            )
            .key(Key::Outside)
            .words(&["file", "path", "csv", "tsv", "samples"]),
            None,
        ),
        (
            Field::required(
                "key",
                Kind::Text,
                "name the column that names the instances, as in `{table: samples.csv, key: sample}`",
                "The column whose cells are the instances' names, each once. They are made of letters, \
                 digits, `_`, `.` and `-`.",
            )
            .key(Key::Outside)
            .example("foreach: {table: samples.csv, key: sample}   # align@s1, align@s2, ..")
            .words(&["column", "id", "name", "index", "by"]),
            None,
        ),
    ],
};

/// A row: its key, where that stands, and its cells.
pub(crate) type Row = (String, Location, Node);

type Report = Vec<Diagnostic>;

/// Whether this is a table and not a map of instances that are called `table` and so on.
pub(crate) fn is_meant(foreach: &Node) -> bool {
    let Some(Value::Text(file)) = foreach.get("table").map(|node| &node.value) else {
        return false;
    };
    let file = file.to_ascii_lowercase();
    foreach.keys().all(|key| ["table", "key"].contains(&key))
        || [".csv", ".tsv"].iter().any(|ending| file.ends_with(ending))
}

/// The rows that can be used; `None` was reported, as were the others.
pub(crate) fn rows(
    foreach: &Entry,
    templates: &Templates<'_>,
    report: &mut Report,
) -> Option<Vec<Row>> {
    let owner = templates.owner;
    let subject = format!("`foreach` of {owner}");
    let before = report.len();
    TABLE.check_all(&foreach.value, foreach.key_location, &subject, report)?;
    let mut text = |field: &str| {
        let node = foreach.value.get(field)?;
        let filled = templates.value(node, report)?;
        match filled.value {
            Value::Text(text) => Some((text, node.location)),
            _ => {
                report.push(expected(&filled, field, &subject, "text"));
                None
            }
        }
    };
    let (file, key) = (text("table"), text("key"));
    let ((file, file_at), (key, key_at)) = (file?, key?);
    if report.len() > before {
        return None;
    }
    let path = RelPath::new(&templates.scope.place.below(&file)).map_err(|error| {
        let message = format!("the table of {owner} is not below the pipeline's folder: `{file}`");
        report.push(
            Diagnostic::new(file_at, message, error.to_string())
                .hint("move, link or copy it there, and name it from there"),
        );
    });
    let path = path.ok()?;
    let mut mention = Mention {
        path: path.clone(),
        at: file_at,
        what: "a table of instances",
        missing: None,
    };
    let opened = templates.scope.named.open(&path);
    let opened = opened.map_err(|no_text| match no_text {
        NoText::Missing => {
            let message = format!("`{path}`, the table of {owner}, does not exist");
            let hint = "create it, or fix the path; paths are relative to the pipeline's folder";
            let error = Diagnostic::new(file_at, message, "not found").hint(hint);
            mention.missing = Some(error);
        }
        no_text => report.push(unreadable(no_text, &path, file_at)),
    });
    templates.scope.named.mention(mention);
    let (number, text) = opened.ok()?;
    let delimiter = delimiter(path.as_str(), &text);
    let table = Table {
        path: &path,
        number,
        text: &text,
        delimiter,
        named_at: file_at,
    };
    table.rows(&key, key_at, owner, report)
}

/// Between cells: a tab by the file's name, a comma, or what a header without a comma has instead.
fn delimiter(path: &str, text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty());
    let header = header.unwrap_or_default();
    let tsv = path.to_ascii_lowercase().ends_with(".tsv");
    match (tsv, header.contains(',')) {
        (true, _) => b'\t',
        (false, false) if header.contains(';') => b';',
        (false, false) if header.contains('\t') => b'\t',
        (false, _) => b',',
    }
}

/// A file that is there and has no text.
pub(crate) fn unreadable(no_text: NoText, path: &RelPath, at: Location) -> Diagnostic {
    let (message, label) = match no_text {
        NoText::Missing => (format!("`{path}` does not exist"), "not found".to_owned()),
        NoText::NotText(line) => (
            format!("`{path}` is not UTF-8 in line {line}"),
            "not text".to_owned(),
        ),
        NoText::Unreadable(why) => (format!("`{path}` can't be read"), why),
    };
    Diagnostic::new(at, message, label)
}

struct Table<'a> {
    path: &'a RelPath,
    /// Of the file, in locations.
    number: u32,
    text: &'a str,
    delimiter: u8,
    /// Where the pipeline names it.
    named_at: Location,
}

/// A record and the place of its first line.
struct Record {
    cells: csv::StringRecord,
    at: Location,
}

impl Table<'_> {
    fn rows(
        &self,
        key: &str,
        key_at: Location,
        owner: &str,
        report: &mut Report,
    ) -> Option<Vec<Row>> {
        let path = self.path;
        self.quotes_close(report)?;
        let mut records = self.records().into_iter();
        let Some(header) = records.next() else {
            let message = format!("`{path}`, the table of {owner}, is empty");
            report.push(
                Diagnostic::new(self.named_at, message, "has no header").hint(
                    "its first line names the columns, and each line after it is an instance",
                ),
            );
            return None;
        };
        let columns: Vec<&str> = header.cells.iter().map(str::trim).collect();
        self.each_once(&columns, &header, report)?;
        let Some(key_column) = columns.iter().position(|column| *column == key) else {
            let message = format!(
                "`{path}`, the table of {owner}, has no column `{}`",
                printable(key)
            );
            let named = columns.iter().copied().filter(|column| !column.is_empty());
            let hint = suggest::hint_among(key, "its columns are", named);
            report.push(Diagnostic::new(key_at, message, "no such column").maybe_hint(hint));
            return None;
        };
        let mut rows = Vec::new();
        let mut seen: HashMap<String, Location> = HashMap::new();
        let before = report.len();
        for record in records {
            let (found, expected) = (record.cells.len(), columns.len());
            if found != expected {
                let cells = if found == 1 { "cell" } else { "cells" };
                let message =
                    format!("`{path}` has {found} {cells} in a row, and {expected} columns");
                let label = format!("row of {found}");
                let hint = "give it as many; a cell that holds the delimiter, a quote or a line break stands \
                            in double quotes";
                report.push(Diagnostic::new(record.at, message, label).hint(hint));
                continue;
            }
            let cell = |n: usize| record.cells.get(n).unwrap_or_default().trim();
            let name = cell(key_column).to_owned();
            let at = self.place_of_cell(&record, key_column);
            if name.is_empty() {
                let message = format!("`{path}` has a row whose `{key}` is empty");
                report.push(
                    Diagnostic::new(at, message, "has no name")
                        .hint("each row needs a name of its own: it names the instance"),
                );
                continue;
            }
            if let Some(first) = seen.get(&name) {
                let message = format!(
                    "`{path}` has two rows whose `{key}` is `{}`",
                    printable(&name)
                );
                report.push(
                    Diagnostic::new(at, message, "again here")
                        .note_at("the first", *first)
                        .hint("each instance needs a name of its own: rename one, or take another column as `key`"),
                );
                continue;
            }
            seen.insert(name.clone(), at);
            let item = columns
                .iter()
                .enumerate()
                .filter(|(_, column)| !column.is_empty());
            let item = item.map(|(n, column)| Entry {
                key: (*column).to_owned(),
                key_location: header.at,
                value: Node::new(value(cell(n)), record.at),
            });
            rows.push((name, at, Node::new(Value::Map(item.collect()), record.at)));
        }
        (report.len() == before || !rows.is_empty()).then_some(rows)
    }

    /// Reports the first quoted cell that doesn't end with its quote: a reader would take the rows that follow
    /// into it, and their instances would be gone without a word.
    fn quotes_close(&self, report: &mut Report) -> Option<()> {
        let bytes = self.text.as_bytes();
        let start = self.start();
        let is_end = |at: usize| {
            let byte = bytes.get(at);
            byte.is_none_or(|byte| *byte == self.delimiter || b"\r\n".contains(byte))
        };
        let mut at = start;
        while at < bytes.len() {
            if bytes[at] != b'"' || (at > start && !is_end(at - 1)) {
                at += 1;
                continue;
            }
            let opened = at;
            at += 1;
            while bytes.get(at).is_some_and(|byte| *byte != b'"')
                || bytes.get(at + 1) == Some(&b'"')
            {
                at += if bytes[at] == b'"' { 2 } else { 1 };
            }
            let closed = at < bytes.len();
            at += 1;
            while bytes.get(at) == Some(&b' ') {
                at += 1;
            }
            if closed && is_end(at) {
                continue;
            }
            let label = match closed {
                true => "ends before its cell does",
                false => "is never closed",
            };
            let rest = &self.text[opened..];
            let place = Location {
                file: self.number,
                offset: opened,
                len: rest.find(['\r', '\n']).unwrap_or(rest.len()),
                line: 1 + self.text[..opened].matches('\n').count(),
            };
            let message = format!("`{}` has a quoted cell that {label}", self.path);
            let hint = "close it before the delimiter or the end of the line; a quote within it is written twice, \
                        as in `\"say \"\"hello\"\"\"`";
            report.push(Diagnostic::new(place, message, format!("this quote {label}")).hint(hint));
            return None;
        }
        Some(())
    }

    /// Where the header begins: a byte order mark is no part of the first name.
    fn start(&self) -> usize {
        match self.text.starts_with('\u{feff}') {
            true => '\u{feff}'.len_utf8(),
            false => 0,
        }
    }

    /// Reports the columns that share a name.
    fn each_once(&self, columns: &[&str], header: &Record, report: &mut Report) -> Option<()> {
        let named = columns
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty());
        let mut again = named.filter(|(n, name)| columns[..*n].contains(name));
        let Some((n, name)) = again.next() else {
            return Some(());
        };
        let message = format!("`{}` has two columns `{}`", self.path, printable(name));
        let at = self.place_of_cell(header, n);
        report.push(Diagnostic::new(at, message, "again here").hint("rename one of them"));
        None
    }

    fn records(&self) -> Vec<Record> {
        let start = self.start();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(&self.text.as_bytes()[start..]);
        let mut found = Vec::new();
        let (mut counted, mut line) = (0, 1);
        // From UTF-8 text in memory, with ragged rows allowed, the reader has no errors.
        for cells in reader.records().map_while(Result::ok) {
            let at = cells.position().map_or(0, csv::Position::byte);
            let mut at = start + usize::try_from(at).unwrap_or_default();
            let ends = self.text.as_bytes().get(at..).unwrap_or_default().iter();
            at += ends.take_while(|byte| b"\r\n".contains(byte)).count();
            let before = self.text.get(counted..at).unwrap_or_default();
            line += before.matches('\n').count();
            counted = at.max(counted);
            let rest = self.text.get(at..).unwrap_or_default();
            let len = rest.find(['\r', '\n']).unwrap_or(rest.len());
            let at = Location {
                file: self.number,
                offset: at,
                len,
                line,
            };
            found.push(Record { cells, at });
        }
        // A blank line at the end may be a record of one empty cell.
        found.retain(|record| {
            record.cells.iter().any(|cell| !cell.trim().is_empty()) || record.cells.len() > 1
        });
        found
    }

    /// The place of a record's cell; of the whole line where quotes make that unclear.
    fn place_of_cell(&self, record: &Record, n: usize) -> Location {
        let line = self.text.get(record.at.offset..record.at.end());
        let line = line.filter(|line| !line.contains('"')).unwrap_or_default();
        let mut cells = line.split(char::from(self.delimiter));
        let before: usize = cells.by_ref().take(n).map(|cell| cell.len() + 1).sum();
        match cells.next() {
            Some(cell) if !cell.trim().is_empty() => Location {
                offset: record.at.offset + before + (cell.len() - cell.trim_start().len()),
                len: cell.trim().len(),
                ..record.at
            },
            _ => record.at,
        }
    }
}

/// A cell's value: a number if it is written as numbers are, so that its text stays what it is.
fn value(cell: &str) -> Value {
    match scalar::resolve(cell) {
        Ok(Value::Number(number)) if number.to_string() == cell => Value::Number(number),
        _ => Value::Text(cell.to_owned()),
    }
}
