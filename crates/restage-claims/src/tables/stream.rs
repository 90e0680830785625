//! Compares two tables row by row while they are read, so that neither is ever in memory as a whole.
//!
//! It answers only where nothing has to be explained: rows of one length, in one order, in UTF-8. The
//! rest is left to the comparison in memory, which finds the words for it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};

use csv::StringRecord;

use super::columns::{Columns, Rows};
use super::content::{Content, PIECE};
use super::diff::{Problem, Row, TableDiff};
use super::format::Format;
use super::lines::{Ends, ends_line};
use super::rule::EffectiveRule;
use restage_core::fs::{Context, FsError};

/// Compares the second with the first. `None`: it takes both in memory to tell.
pub(super) fn compare(
    mut diff: TableDiff,
    contents: [Content<'_>; 2],
    format: Format,
    rule: &EffectiveRule,
) -> Result<Option<TableDiff>, FsError> {
    if format.is_document() {
        return Ok(None);
    }
    let [Some(mut expected), Some(mut actual)] = [
        Side::open(contents[0], format)?,
        Side::open(contents[1], format)?,
    ] else {
        return Ok(None);
    };
    let names = expected.columns.clone();
    let how = (rule, false, format.decimal);
    let Some(columns) = Columns::pair(&names, &actual.columns, how, &mut diff) else {
        return Ok(None);
    };
    let keys = [&expected, &actual].map(|side| side.key(rule));
    let [Some(key), Some(other_key)] = keys else {
        return Ok(None);
    };
    let mut seen = Seen::default();
    let mut numbers = [0_usize; 2];
    // Where the rows start that have a difference among those that are kept.
    let mut starts: Vec<[u64; 2]> = Vec::new();
    loop {
        let (one, two) = (expected.next()?, actual.next()?);
        match (one, two) {
            (Next::Row, Next::Row) => {}
            (Next::End, Next::End) => break,
            (Next::Unclear, _) | (_, Next::Unclear) => return Ok(None),
            // Rows that have a name are missing or added, each of them.
            _ if !rule.key.is_empty() => return Ok(None),
            (_, two) => {
                let longer = usize::from(matches!(two, Next::Row));
                let side = [&mut expected, &mut actual].into_iter().nth(longer);
                let Some(more) = side.map_or(Ok(None), Side::rest)? else {
                    return Ok(None);
                };
                numbers[longer] += 1 + more;
                break;
            }
        }
        numbers = numbers.map(|number| number + 1);
        let (one, two) = (&expected.record, &actual.record);
        let names_row = key
            .iter()
            .zip(&other_key)
            .map(|(at, other)| (&one[*at], &two[*other]));
        if !key.is_empty()
            && (names_row.clone().any(|(one, two)| one != two)
                || !seen.is_new(names_row.map(|(one, _)| one)))
        {
            return Ok(None);
        }
        let kept = diff.cells.len();
        let rows = Rows {
            expected: one,
            actual: two,
            lines: (0, 0),
            kinds: None,
        };
        let row = || match key.is_empty() {
            true => Row::Number(numbers[0]),
            false => {
                let values = key.iter().map(|at| one[*at].to_owned());
                Row::Key(rule.key.iter().cloned().zip(values).collect())
            }
        };
        columns.compare(&rows, &row, &mut diff);
        let start = [one, two].map(|record| record.position().map_or(0, csv::Position::byte));
        starts.extend((kept..diff.cells.len()).map(|_| start));
    }
    let [expected, actual] = numbers;
    if expected != actual {
        diff.add(Problem::RowCount { expected, actual });
    }
    number_lines(&mut diff, contents, &starts)?;
    Ok(Some(diff))
}

/// Gives the kept cells the lines of their rows.
fn number_lines(
    diff: &mut TableDiff,
    contents: [Content<'_>; 2],
    starts: &[[u64; 2]],
) -> Result<(), FsError> {
    if starts.is_empty() {
        return Ok(());
    }
    let of = |side: usize| {
        let starts: Vec<u64> = starts.iter().map(|start| start[side]).collect();
        lines(contents[side], &starts)
    };
    let (expected, actual) = (of(0)?, of(1)?);
    for ((cell, expected), actual) in diff.cells.iter_mut().zip(expected).zip(actual) {
        (cell.expected_line, cell.actual_line) = (expected, actual);
    }
    Ok(())
}

/// The lines, from 1, of records that a reader found at these places, which ascend. Line ends may still
/// come before a record.
fn lines(content: Content<'_>, starts: &[u64]) -> Result<Vec<u64>, FsError> {
    let mut reader = BufReader::with_capacity(PIECE, content.open()?);
    let (mut at, mut ends) = (0_u64, Ends::default());
    let mut found = Vec::with_capacity(starts.len());
    'file: while found.len() < starts.len() {
        let piece = reader.fill_buf().at("read", content.path())?;
        if piece.is_empty() {
            break;
        }
        for byte in piece {
            if !ends_line(*byte) {
                while starts.get(found.len()).is_some_and(|start| *start <= at) {
                    found.push(ends.line());
                }
                if found.len() == starts.len() {
                    break 'file;
                }
            }
            ends.pass(*byte);
            at += 1;
        }
        let length = piece.len();
        reader.consume(length);
    }
    found.resize(starts.len(), ends.line());
    Ok(found)
}

/// One of the tables, at the row that was read last.
struct Side<'a> {
    reader: csv::Reader<Box<dyn std::io::Read + Send + 'a>>,
    content: Content<'a>,
    columns: Vec<String>,
    record: StringRecord,
}

#[derive(Clone, Copy)]
enum Next {
    Row,
    End,
    /// Something that has to be explained.
    Unclear,
}

impl<'a> Side<'a> {
    /// `None`: it has no header, or none in UTF-8.
    fn open(content: Content<'a>, format: Format) -> Result<Option<Self>, FsError> {
        let delimiter = format.delimiter(&content.beginning()?);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(PIECE)
            .from_reader(content.open()?);
        let mut side = Self {
            reader,
            content,
            columns: Vec::new(),
            record: StringRecord::new(),
        };
        let header = match side.reader.read_record(&mut side.record) {
            Ok(found) => found,
            Err(error) => side.wrong(error)?,
        };
        if !header {
            return Ok(None);
        }
        side.columns = side
            .record
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        Ok(Some(side))
    }

    /// Where the columns are that name a row; `None` if one is missing.
    fn key(&self, rule: &EffectiveRule) -> Option<Vec<usize>> {
        let place = |key: &String| self.columns.iter().position(|column| column == key);
        rule.key.iter().map(place).collect()
    }

    fn next(&mut self) -> Result<Next, FsError> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) if self.record.len() == self.columns.len() => Ok(Next::Row),
            Ok(true) => Ok(Next::Unclear),
            Ok(false) => Ok(Next::End),
            Err(error) => self.wrong(error).map(|_| Next::Unclear),
        }
    }

    /// How many rows are left.
    fn rest(&mut self) -> Result<Option<usize>, FsError> {
        let mut rows = 0;
        loop {
            match self.next()? {
                Next::Row => rows += 1,
                Next::End => return Ok(Some(rows)),
                Next::Unclear => return Ok(None),
            }
        }
    }

    /// A file that can't be read is an error; whatever else is wrong leaves the header open.
    fn wrong(&self, error: csv::Error) -> Result<bool, FsError> {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Err(error).at("read", self.content.path()),
            _ => Ok(false),
        }
    }
}

/// The names of rows so far, by their digests: two that share one may still differ.
#[derive(Default)]
struct Seen {
    state: RandomState,
    digests: HashSet<u64>,
}

impl Seen {
    /// Whether no row had this name, for certain.
    fn is_new<'k>(&mut self, key: impl Iterator<Item = &'k str>) -> bool {
        let key: Vec<&str> = key.collect();
        self.digests.insert(self.state.hash_one(key))
    }
}
