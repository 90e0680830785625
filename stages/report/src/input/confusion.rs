//! A confusion matrix: how many images of each true class were taken for which class.
//! It must not know how it is drawn.

use std::path::Path;

use contract::files;

use crate::error::ReportError;

/// A square matrix of counts; row: true class, column: predicted class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confusion {
    pub(crate) classes: Vec<String>,
    pub(crate) counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Reads `true_class,<a column a class>`, whose rows stand in the columns' order.
    ///
    /// # Errors
    /// A file that cannot be read or is no such matrix.
    pub(crate) fn read(path: &Path) -> Result<Self, ReportError> {
        let text = files::read_to_string(path)?;
        Self::parse(&text).map_err(|problem| ReportError::Content {
            path: path.to_owned(),
            problem,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?;
        if header.get(0) != Some("true_class") || header.len() < 2 {
            return Err("expected the columns `true_class` and one a class".to_owned());
        }
        let classes: Vec<String> = header.iter().skip(1).map(str::to_owned).collect();
        let mut counts = Vec::with_capacity(classes.len());
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| error.to_string())?;
            let class = classes.get(row).map(String::as_str);
            if record.get(0) != class {
                return Err(format!(
                    "row {} is of `{}`, expected {}",
                    row + 1,
                    record.get(0).unwrap_or_default(),
                    class.map_or_else(|| "no more rows".to_owned(), |class| format!("`{class}`")),
                ));
            }
            let row: Result<Vec<u64>, String> = record
                .iter()
                .skip(1)
                .map(|cell| cell.parse().map_err(|_| format!("`{cell}` is not a count")))
                .collect();
            counts.push(row?);
        }
        if counts.len() != classes.len() {
            return Err(format!(
                "{} rows for {} classes",
                counts.len(),
                classes.len()
            ));
        }
        Ok(Self { classes, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_square_of_counts_in_the_columns_order_is_a_confusion_matrix() {
        let matrix = Confusion::parse("true_class,a,b\na,1,2\nb,3,4\n").unwrap();
        assert_eq!(matrix.counts, [[1, 2], [3, 4]]);
        let cases = [
            (
                "true,a\na,1\n",
                "expected the columns `true_class` and one a class",
            ),
            ("true_class,a,b\na,1,2\n", "1 rows for 2 classes"),
            (
                "true_class,a,b\nb,1,2\na,1,2\n",
                "row 1 is of `b`, expected `a`",
            ),
            (
                "true_class,a\na,1\nb,1\n",
                "row 2 is of `b`, expected no more rows",
            ),
            ("true_class,a\na,-1\n", "`-1` is not a count"),
        ];
        for (text, expected) in cases {
            assert_eq!(Confusion::parse(text).unwrap_err(), expected);
        }
    }
}
