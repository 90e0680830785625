//! Finds cells of one table, by row and column.

use super::parse::{Format, Line, Table};
use super::row_name::RowName;

/// A table to look cells up in.
#[derive(Debug)]
pub struct Lookup(Table);

impl Lookup {
    /// Reads a table: as CSV unless the name ends in `.tsv`, `.json` or `.yaml`.
    ///
    /// # Errors
    /// Why it is not a table.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, String> {
        let format = Format::of(path).unwrap_or(Format::Delimited(b','));
        Table::parse(bytes, format)
            .map(|table| Self(table.plain()))
            .map_err(|fault| fault.to_string())
    }

    /// How many rows there are below the header.
    pub fn rows(&self) -> usize {
        self.0.rows.len()
    }

    /// The names of the columns, in order; at least one.
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// The row that a person means.
    pub fn row_name(&self, text: &str) -> RowName {
        RowName::of(text, &self.0)
    }

    /// One cell, which isn't empty.
    ///
    /// # Errors
    /// There is no such row or column, several rows match, or the cell is empty.
    pub fn cell(&self, row: &RowName, column: &str) -> Result<&str, String> {
        let at = self.index(column)?;
        let (line, name) = self.row(row)?;
        match line.cells[at].trim() {
            "" => Err(format!("has an empty `{column}` in {name}")),
            cell => Ok(cell),
        }
    }

    /// A column's cells, in order.
    ///
    /// # Errors
    /// There is no such column.
    pub fn column(&self, column: &str) -> Result<Vec<String>, String> {
        let at = self.index(column)?;
        Ok(self
            .0
            .rows
            .iter()
            .map(|line| line.cells[at].to_owned())
            .collect())
    }

    /// Whether there is such a column.
    pub fn has_column(&self, column: &str) -> bool {
        self.0.index_of(column).is_some()
    }

    fn index(&self, column: &str) -> Result<usize, String> {
        if self.0.is_repeated(column) {
            return Err(format!("has two columns `{column}`"));
        }
        self.0
            .index_of(column)
            .ok_or_else(|| format!("has no column `{column}`"))
    }

    fn row(&self, name: &RowName) -> Result<(&Line, String), String> {
        let rows = &self.0.rows;
        match name {
            RowName::Number(number) => {
                let from_start = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
                let at = match number {
                    1.. => from_start.checked_sub(1),
                    _ => rows.len().checked_sub(from_start),
                };
                let line = at.and_then(|at| rows.get(at));
                line.map(|line| (line, name.to_string()))
                    .ok_or_else(|| format!("has no {name}"))
            }
            RowName::Key(pairs) => {
                let mut wanted = Vec::new();
                for (column, value) in pairs {
                    wanted.push((self.index(column)?, value.as_str()));
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
                    (None, _) => Err(format!("has no {shown}")),
                    _ => Err(format!("has several of {shown}")),
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
        let table = Lookup::parse("t.csv", TABLE).unwrap();
        table.cell(row, column).map(str::to_owned)
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
        let spaced = Lookup::parse("t.tsv", b"model\tx\n a \t 1 \n").unwrap();
        assert_eq!(spaced.cell(&key(&[("model", "a")]), "x"), Ok("1"));
        assert_eq!(
            cell(&key(&[("model", "a"), ("split", "test")]), "x").unwrap(),
            "2"
        );
    }

    #[test]
    fn a_row_is_named_by_pairs_its_first_cell_or_its_number() {
        let table = Lookup::parse("t.csv", b"epoch,x\n5,a\n6,b=c\n").unwrap();
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
        let table = Lookup::parse("t.csv", TABLE).unwrap();
        assert_eq!(table.columns(), ["model", "split", "x"]);
        assert_eq!(table.rows(), 3);
        assert_eq!(table.column("x").unwrap(), ["1", "2", ""]);
        assert_eq!(table.column("y").unwrap_err(), "has no column `y`");
        // Whatever it is called, it was asked for as a table.
        let table = Lookup::parse("log.txt", b"a,b\n1,2\n").unwrap();
        assert_eq!(table.columns(), ["a", "b"]);
        let table = Lookup::parse("t.tsv", b"a\tb\n").unwrap();
        assert_eq!((table.columns().len(), table.rows()), (2, 0));
    }

    #[test]
    fn spaces_around_names_and_two_columns_of_another_name_do_not_hide_a_column() {
        let padded =
            Lookup::parse("t.csv", b"  epoch,   metrics/mAP,x,x\n 0,  0.63,1,2\n").unwrap();
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
        assert_eq!(json.cell(&one, "loss").unwrap_err(), "has no column `loss`");
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
        assert!(Lookup::parse("t.csv", b"").is_err());
    }
}
