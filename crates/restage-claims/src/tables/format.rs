//! How a file is read as a table: by its name, by what the pipeline says of it, or by its header.

use std::path::Path;

use super::cell::Decimal;
use super::rule::is_for;
use restage_core::rel_path::RelPath;
use restage_pipeline::TableFormat;

/// As much of a file as its delimiter is looked for in.
pub(super) const BEGINNING: usize = 1 << 16;

/// How a file is read as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub(super) kind: Kind,
    pub(super) decimal: Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Cells between these bytes.
    Delimited(u8),
    /// Cells between commas, or between what the header has instead.
    Csv,
    Json,
    /// A JSON document a line.
    JsonLines,
    Yaml,
    Toml,
}

impl Format {
    /// Of a file of this name; `None` if it is no table by its name.
    pub(super) fn of_name(path: &str) -> Option<Self> {
        let ending = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
        let kind = match ending.as_str() {
            "csv" => Kind::Csv,
            "tsv" => Kind::Delimited(b'\t'),
            "json" => Kind::Json,
            "jsonl" | "ndjson" => Kind::JsonLines,
            "yaml" | "yml" => Kind::Yaml,
            "toml" => Kind::Toml,
            _ => return None,
        };
        Some(Self::from(kind))
    }

    /// Of a file of this path, as `tables:` says, or as its name does.
    pub fn of(path: &str, tables: &[TableFormat]) -> Option<Self> {
        let by_name = Self::of_name(path);
        let Ok(path) = RelPath::new(path) else {
            return by_name;
        };
        let fits = |one: &&TableFormat| is_for(&one.files, &path);
        let Some(said) = tables.iter().rev().find(fits) else {
            return by_name;
        };
        if by_name.is_some_and(Self::is_document) {
            return by_name;
        }
        let kind = match (said.delimiter, by_name) {
            (Some(delimiter), _) => Kind::Delimited(delimiter),
            (None, Some(format)) => format.kind,
            (None, None) => Kind::Csv,
        };
        let decimal = match said.decimal_comma {
            true => Decimal::Comma,
            false => Decimal::Point,
        };
        Some(Self { kind, decimal })
    }

    /// Whether columns are the paths of values.
    pub fn is_document(self) -> bool {
        !matches!(self.kind, Kind::Delimited(_) | Kind::Csv)
    }

    /// What is between the cells of a file that begins so.
    ///
    /// A header with a semicolon or a tab and no comma leaves no doubt: read with commas it would be a
    /// single name.
    pub(super) fn delimiter(self, beginning: &[u8]) -> u8 {
        if let Kind::Delimited(delimiter) = self.kind {
            return delimiter;
        }
        let beginning = &beginning[..beginning.len().min(BEGINNING)];
        let splits = |delimiter: &u8| names(beginning, *delimiter) > 1;
        let mut other = [b';', b'\t'].into_iter().filter(splits);
        match (splits(&b','), other.next(), other.next()) {
            (false, Some(found), None) => found,
            _ => b',',
        }
    }
}

impl From<Kind> for Format {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            decimal: Decimal::Point,
        }
    }
}

/// How many names a header has.
fn names(beginning: &[u8], delimiter: u8) -> usize {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(beginning);
    reader.byte_headers().map_or(0, csv::ByteRecord::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_decides_what_is_between_the_cells_where_it_leaves_no_doubt() {
        let csv = Format::from(Kind::Csv);
        for (text, delimiter) in [
            ("a;b\n1;2\n", b';'),
            ("a\tb\n1\t2\n", b'\t'),
            ("a,b;c\n", b','),
            ("a\tb;c\n", b','),
            ("\"a;b\"\n1;2\n", b','),
            ("\"a,b\";c\n", b';'),
            ("\u{feff}a;b\r\n0,5;1\r\n", b';'),
            ("a\n0;5\n", b','),
            ("", b','),
        ] {
            assert_eq!(csv.delimiter(text.as_bytes()), delimiter, "{text:?}");
        }
        let tsv = Format::of_name("t.TSV").unwrap();
        assert_eq!(tsv.delimiter(b"a;b\n"), b'\t');
    }

    #[test]
    fn what_the_pipeline_says_of_a_file_beats_its_name_and_a_later_item_an_earlier_one() {
        let said = |files: &str, delimiter, decimal_comma| TableFormat {
            files: files.to_owned(),
            delimiter,
            decimal_comma,
        };
        let tables = [
            said("r/*", Some(b'|'), false),
            said("r/a.txt", None, true),
            said("r/b.csv", None, true),
        ];
        let of = |path| Format::of(path, &tables);
        let one = of("r/x.txt").unwrap();
        assert_eq!(
            (one.kind, one.decimal),
            (Kind::Delimited(b'|'), Decimal::Point)
        );
        let one = of("r/a.txt").unwrap();
        assert_eq!((one.kind, one.decimal), (Kind::Csv, Decimal::Comma));
        assert_eq!(of("r/b.csv").unwrap().decimal, Decimal::Comma);
        assert_eq!(of("r/m.json"), Format::of_name("m.json"));
        assert_eq!(of("x.txt"), None);
        assert_eq!(of("../x.csv"), Format::of_name("x.csv"));
    }
}
