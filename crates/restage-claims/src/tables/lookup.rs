//! Finds cells of one table, by row and column, and values of one document, by JSON pointer.

use super::cell::Decimal;
use super::data::{self, Data, NoValue};
use super::format::{Format, Kind};
use super::parse;
use super::row_name::RowName;
use super::table::{Line, Table};
use restage_core::suggest;
use restage_pipeline::TableFormat;

/// A table to look cells up in.
#[derive(Debug)]
pub struct Lookup {
    table: Table,
    document: Option<Data>,
    decimal: Decimal,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotThere {
    /// Other results may have it: there is no such row, or the value is empty or `null`.
    Empty(String),
    /// There is no such column or pointer, or it is not clear which cell is meant.
    Wrong(String),
}

impl NotThere {
    /// What is wrong, after the file's name.
    pub fn why(&self) -> &str {
        match self {
            Self::Empty(why) | Self::Wrong(why) => why,
        }
    }
}

impl Lookup {
    /// Reads a table: as `tables` says of it, else as its name does, else as CSV.
    ///
    /// # Errors
    /// Why it is not a table.
    pub fn parse(path: &str, bytes: &[u8], tables: &[TableFormat]) -> Result<Self, String> {
        let format = Format::of(path, tables).unwrap_or(Format::from(Kind::Csv));
        let read = parse::whole(bytes, format).map_err(|fault| fault.to_string());
        read.map(|(table, document)| Self {
            table: table.plain(),
            document,
            decimal: format.decimal,
        })
    }

    /// Whether it is a document, with values at JSON pointers.
    pub fn is_document(&self) -> bool {
        self.document.is_some()
    }

    /// Whether it is a document that is no list of rows.
    pub fn is_object(&self) -> bool {
        matches!(self.document, Some(Data::Map(_)))
    }

    /// What a value says, by its JSON pointer.
    ///
    /// # Errors
    /// Nothing is there, or something else than a value.
    pub fn value(&self, pointer: &str) -> Result<String, NotThere> {
        let document = self.document.as_ref().ok_or_else(|| self.no_document())?;
        match data::value(document, pointer) {
            Ok("null") => Err(NotThere::Empty(format!("has null at `{pointer}`"))),
            Ok(found) => Ok(data::plain(found)),
            Err(why) => Err(NotThere::Wrong(self.nothing(document, pointer, &why))),
        }
    }

    fn no_document(&self) -> NotThere {
        let why = "is a table of rows and columns, without JSON pointers";
        NotThere::Wrong(format!("{why}: name a row and a column"))
    }

    fn nothing(&self, document: &Data, pointer: &str, why: &NoValue) -> String {
        let mut known = Vec::new();
        data::flatten(document, &mut |path, _| known.push(format!("/{path}")));
        let known = || known.iter().map(String::as_str);
        match why {
            NoValue::NoPointer => {
                let plain = format!("/{pointer}");
                let meant = known().find(|path| **path == plain);
                let meant = meant.map_or(String::new(), |path| format!(": did you mean `{path}`?"));
                format!("has no value at `{pointer}`, which is no JSON pointer{meant}")
            }
            NoValue::Nothing => {
                let hint = suggest::hint_among(pointer, "it has", known());
                let hint = hint.map_or(String::new(), |hint| format!(": {hint}"));
                format!("has nothing at `{pointer}`{hint}")
            }
            NoValue::Within(kind) => {
                let inside = format!("{pointer}/");
                let inside = known().filter(|path| path.starts_with(&inside));
                let list = suggest::list(inside);
                let of = if list.is_empty() {
                    String::new()
                } else {
                    format!(" of {list}")
                };
                format!("has {kind}{of} at `{pointer}`, not a single value")
            }
        }
    }

    /// A text as a number, as this table writes them.
    pub fn number(&self, cell: &str) -> Option<f64> {
        self.decimal.number(cell)
    }

    /// How this table writes numbers.
    pub fn decimal(&self) -> Decimal {
        self.decimal
    }

    /// How many rows there are below the header.
    pub fn rows(&self) -> usize {
        self.table.rows.len()
    }

    /// The names of the columns, in order; at least one.
    pub fn columns(&self) -> &[String] {
        &self.table.columns
    }

    /// The row that a person means.
    pub fn row_name(&self, text: &str) -> RowName {
        RowName::of(text, &self.table)
    }

    /// One cell, which isn't empty.
    ///
    /// # Errors
    /// There is no such row or column, several rows match, or the cell is empty.
    pub fn cell(&self, row: &RowName, column: &str) -> Result<&str, NotThere> {
        let at = self.index(column).map_err(NotThere::Wrong)?;
        let (line, name) = self.row(row)?;
        match line.cells[at].trim() {
            "" => Err(NotThere::Empty(format!(
                "has an empty `{column}` in {name}"
            ))),
            cell => Ok(cell),
        }
    }

    /// A column's cells, in order; of a document, also the values at a JSON pointer with `*`, or the
    /// items of the list at one without.
    ///
    /// # Errors
    /// There is no such column.
    pub fn column(&self, column: &str) -> Result<Vec<String>, String> {
        if let Some(values) = self.values(column) {
            return values;
        }
        let at = self.index(column)?;
        Ok(self
            .table
            .rows
            .iter()
            .map(|line| line.cells[at].to_owned())
            .collect())
    }

    /// The cells of the column at a place, from 0; none if there is no such place.
    pub fn column_at(&self, at: usize) -> Vec<String> {
        let cells = self.table.rows.iter().filter_map(|line| line.cells.get(at));
        cells.map(str::to_owned).collect()
    }

    /// Of a document that has no such column, but a pointer of this name.
    fn values(&self, pointer: &str) -> Option<Result<Vec<String>, String>> {
        let document = self.document.as_ref()?;
        if !pointer.starts_with('/') || self.table.index_of(pointer).is_some() {
            return None;
        }
        Some(match data::values(document, pointer) {
            Ok(found) => Ok(found.into_iter().map(data::plain).collect()),
            Err(why) => Err(self.nothing(document, pointer, &why)),
        })
    }

    /// Whether there is such a column, or are such values.
    pub fn has_column(&self, column: &str) -> bool {
        self.table.index_of(column).is_some() || self.values(column).is_some_and(|all| all.is_ok())
    }

    fn index(&self, column: &str) -> Result<usize, String> {
        if self.table.is_repeated(column) {
            return Err(format!("has two columns `{column}`"));
        }
        self.table
            .index_of(column)
            .ok_or_else(|| format!("has no column `{column}`"))
    }

    fn row(&self, name: &RowName) -> Result<(&Line, String), NotThere> {
        let rows = &self.table.rows;
        match name {
            RowName::Number(number) => {
                let from_start = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
                let at = match number {
                    1.. => from_start.checked_sub(1),
                    _ => rows.len().checked_sub(from_start),
                };
                let line = at.and_then(|at| rows.get(at));
                line.map(|line| (line, name.to_string()))
                    .ok_or_else(|| NotThere::Empty(format!("has no {name}")))
            }
            RowName::Key(pairs) => {
                let mut wanted = Vec::new();
                for (column, value) in pairs {
                    let at = self.index(column).map_err(NotThere::Wrong)?;
                    wanted.push((at, value.as_str()));
                }
                let fits = |line: &&Line| {
                    wanted
                        .iter()
                        .all(|(at, value)| line.cells[*at].trim() == *value)
                };
                let shown = format!("row `{name}`");
                let mut found = rows.iter().filter(fits);
                match (found.next(), found.next()) {
                    (Some(line), None) => Ok((line, shown)),
                    (None, _) => Err(NotThere::Empty(format!("has no {shown}"))),
                    _ => Err(NotThere::Wrong(format!("has several of {shown}"))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"model,split,x\na,train,1\na,test,2\nb,test,\n";

    fn cell(row: &RowName, column: &str) -> Result<String, String> {
        let table = Lookup::parse("t.csv", TABLE, &[]).unwrap();
        let found = table.cell(row, column).map(str::to_owned);
        found.map_err(|missing| missing.why().to_owned())
    }

    fn key(pairs: &[(&str, &str)]) -> RowName {
        RowName::Key(
            pairs
                .iter()
                .map(|(c, v)| ((*c).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn rows_are_found_by_number_from_either_end_and_by_key() {
        assert_eq!(cell(&RowName::Number(1), "x").unwrap(), "1");
        assert_eq!(cell(&RowName::Number(-2), "x").unwrap(), "2");
        let spaced = Lookup::parse("t.tsv", b"model\tx\n a \t 1 \n", &[]).unwrap();
        assert_eq!(spaced.cell(&key(&[("model", "a")]), "x"), Ok("1"));
        assert_eq!(
            cell(&key(&[("model", "a"), ("split", "test")]), "x").unwrap(),
            "2"
        );
    }

    #[test]
    fn a_row_is_named_by_pairs_its_first_cell_or_its_number() {
        let table = Lookup::parse("t.csv", b"epoch,x\n5,a\n6,b=c\n", &[]).unwrap();
        assert_eq!(table.row_name("x=a"), key(&[("x", "a")]));
        assert_eq!(
            table.row_name("epoch=5, x=a"),
            key(&[("epoch", "5"), ("x", "a")])
        );
        assert_eq!(table.row_name("5"), key(&[("epoch", "5")]));
        assert_eq!(table.row_name("1"), RowName::Number(1));
        assert_eq!(table.row_name(" 2 "), RowName::Number(2));
        assert_eq!(table.row_name(" 5 "), key(&[("epoch", "5")]));
        assert_eq!(table.row_name("-1"), RowName::Number(-1));
        // Not a column, so it can only be a value.
        assert_eq!(table.row_name("b=c"), key(&[("epoch", "b=c")]));
    }

    #[test]
    fn a_table_says_its_columns_its_rows_and_the_cells_of_a_column() {
        let table = Lookup::parse("t.csv", TABLE, &[]).unwrap();
        assert_eq!(table.columns(), ["model", "split", "x"]);
        assert_eq!(table.rows(), 3);
        assert_eq!(table.column("x").unwrap(), ["1", "2", ""]);
        assert_eq!(table.column("y").unwrap_err(), "has no column `y`");
        // Whatever it is called, it was asked for as a table.
        let table = Lookup::parse("log.txt", b"a,b\n1,2\n", &[]).unwrap();
        assert_eq!(table.columns(), ["a", "b"]);
        let table = Lookup::parse("t.tsv", b"a\tb\n", &[]).unwrap();
        assert_eq!((table.columns().len(), table.rows()), (2, 0));
    }

    #[test]
    fn spaces_around_names_and_two_columns_of_another_name_do_not_hide_a_column() {
        let padded =
            Lookup::parse("t.csv", b"  epoch,   metrics/mAP,x,x\n 0,  0.63,1,2\n", &[]).unwrap();
        assert_eq!(padded.cell(&RowName::Number(-1), "metrics/mAP"), Ok("0.63"));
        assert_eq!(
            padded.cell(&key(&[("epoch", "0")]), "metrics/mAP"),
            Ok("0.63")
        );
        assert_eq!(padded.column("x").unwrap_err(), "has two columns `x`");
    }

    #[test]
    fn values_of_json_are_found_by_their_paths() {
        let json = Lookup::parse(
            "m.json",
            br#"{"acc": 0.9, "loss": {"val": 2}, "n": "\"x", "z": null}"#,
            &[],
        )
        .unwrap();
        let one = RowName::Number(1);
        for (path, value) in [
            ("acc", "0.9"),
            ("/acc", "0.9"),
            ("loss/val", "2"),
            ("/loss/val", "2"),
            ("n", "\"x"),
        ] {
            assert_eq!(json.cell(&one, path), Ok(value), "{path}");
        }
        let missing = NotThere::Wrong("has no column `loss`".to_owned());
        assert_eq!(json.cell(&one, "loss"), Err(missing));
        assert_eq!(json.column("z").unwrap(), [""]);
    }

    #[test]
    fn a_missing_cell_is_explained() {
        for number in [0, 4, -4, i64::MAX, i64::MIN] {
            assert_eq!(
                cell(&RowName::Number(number), "x"),
                Err(format!("has no row {number}"))
            );
        }
        assert_eq!(
            cell(&key(&[("model", "a")]), "x").unwrap_err(),
            "has several of row `model=a`"
        );
        assert_eq!(
            cell(&key(&[("model", "c")]), "x").unwrap_err(),
            "has no row `model=c`"
        );
        assert_eq!(
            cell(&key(&[("kind", "c")]), "x").unwrap_err(),
            "has no column `kind`"
        );
        assert_eq!(
            cell(&key(&[("model", "b")]), "x").unwrap_err(),
            "has an empty `x` in row `model=b`"
        );
        assert!(Lookup::parse("t.csv", b"", &[]).is_err());
    }

    #[test]
    fn values_of_a_document_are_found_by_json_pointers() {
        let text =
            br#"{"acc": 0.9, "loss": {"val": [2, 3]}, "n": null, "b": true, "s": "x", "e": {}}"#;
        let json = Lookup::parse("m.json", text, &[]).unwrap();
        let wrong = |pointer: &str| match json.value(pointer) {
            Err(NotThere::Wrong(why)) => why,
            other => panic!("{pointer}: {other:?}"),
        };
        assert_eq!(json.value("/acc").as_deref(), Ok("0.9"));
        assert_eq!(json.value("/loss/val/-1").as_deref(), Ok("3"));
        assert_eq!(json.value("/s").as_deref(), Ok("x"));
        let null = NotThere::Empty("has null at `/n`".to_owned());
        assert_eq!(json.value("/n"), Err(null));
        assert_eq!(wrong("/ac"), "has nothing at `/ac`: did you mean `/acc`?");
        assert_eq!(
            wrong("acc"),
            "has no value at `acc`, which is no JSON pointer: did you mean `/acc`?"
        );
        assert_eq!(
            wrong("/loss"),
            "has an object of `/loss/val/0`, `/loss/val/1` at `/loss`, not a single value"
        );
        assert_eq!(wrong("/e"), "has an object at `/e`, not a single value");
        assert_eq!(json.column("/loss/val").unwrap(), ["2", "3"]);
        assert_eq!(json.column("/loss/*/0").unwrap(), ["2"]);
        assert!(
            json.has_column("/loss/val") && !json.has_column("/loss") && !json.has_column("/x")
        );
        let csv = Lookup::parse("t.csv", TABLE, &[]).unwrap();
        assert!(
            csv.value("/x")
                .unwrap_err()
                .why()
                .contains("name a row and a column")
        );
        let lines = Lookup::parse("l.jsonl", b"{\"e\": 1}\n{\"e\": 2, \"x\": 0.5}\n", &[]).unwrap();
        assert_eq!(lines.column("x").unwrap(), ["", "0.5"]);
        assert_eq!(lines.value("/1/x").as_deref(), Ok("0.5"));
        assert_eq!(lines.column("/*/x").unwrap(), ["0.5"]);
    }

    #[test]
    fn a_table_is_read_as_the_pipeline_says() {
        let said = TableFormat {
            files: "r/*".to_owned(),
            delimiter: Some(b'|'),
            decimal_comma: true,
        };
        let table = Lookup::parse("r/t.txt", b"a|b\n0,5|1.5\n", &[said]).unwrap();
        let row = RowName::Number(1);
        assert_eq!(table.cell(&row, "a"), Ok("0,5"));
        assert_eq!(table.number("0,5"), Some(0.5));
        assert_eq!(table.number("1.5"), None);
        let table = Lookup::parse("t.csv", b"a;b\n0,5;1.5\n", &[]).unwrap();
        assert_eq!(table.cell(&row, "b"), Ok("1.5"));
        assert_eq!(table.number("0,5"), None);
    }
}
