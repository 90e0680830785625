//! The tables that expressions read: each file is opened once, when an expression asks for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::tables::{Lookup, RowName};
use restage_core::files::{HIDDEN, files_below};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::{OtherSeeds, Stage};

/// Tables that an expression can read. An error says what is missing.
pub trait Cells: Send + Sync {
    /// One cell's text, which isn't empty.
    ///
    /// # Errors
    /// The file, row or column isn't there, or the cell is empty.
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<String, String>;

    /// A column's cells.
    ///
    /// # Errors
    /// The file or column isn't there.
    fn column(&self, file: &RelPath, column: &str) -> Result<Vec<String>, String>;

    /// The files that a pattern matches: at least one, each once.
    ///
    /// # Errors
    /// There is none.
    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, String>;
}

type Read = Result<Arc<Lookup>, String>;

/// The tables below a folder.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    other_seeds: OtherSeeds,
    read: Mutex<BTreeMap<RelPath, Read>>,
}

impl Files {
    /// Patterns skip what these stages wrote with seeds that they no longer have.
    pub fn below(root: impl Into<PathBuf>, stages: &[Stage]) -> Self {
        Self {
            root: root.into(),
            other_seeds: OtherSeeds::than(stages),
            read: Mutex::default(),
        }
    }

    fn table(&self, file: &RelPath) -> Read {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let table = read.entry(file.clone()).or_insert_with(|| {
            match fs::read_if_exists(&file.under(&self.root)) {
                Ok(Some(bytes)) => Lookup::parse(file.as_str(), &bytes)
                    .map(Arc::new)
                    .map_err(|fault| format!("`{file}` {fault}")),
                Ok(None) => Err(format!("there is no `{file}`")),
                Err(error) => Err(error.to_string()),
            }
        });
        table.clone()
    }
}

impl Cells for Files {
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<String, String> {
        let table = self.table(file)?;
        let cell = table.cell(row, column).map(ToOwned::to_owned);
        cell.map_err(|missing| format!("`{file}` {missing}"))
    }

    fn column(&self, file: &RelPath, column: &str) -> Result<Vec<String>, String> {
        let table = self.table(file)?;
        table
            .column(column)
            .map_err(|missing| format!("`{file}` {missing}"))
    }

    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, String> {
        let skip = |path: &RelPath| HIDDEN.contains(&path.as_str()) || self.other_seeds.wrote(path);
        let found = files_below(&self.root, pattern.base_folder(), &skip);
        let mut found = found.map_err(|error| error.to_string())?.files;
        found.retain(|path| pattern.matches(path));
        match found.is_empty() {
            true => Err(format!("no file matches `{pattern}`")),
            false => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn files(texts: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let files = Files::below(dir.path(), &[]);
        (dir, files)
    }

    #[test]
    fn cells_and_columns_are_read_from_the_files_below_the_folder() {
        let (_dir, files) = files(&[("a/t.csv", "x,y\n1,2\n3,4\n"), ("bad.csv", "x,y\n1\n")]);
        let table = path("a/t.csv");
        let last = RowName::Number(-1);
        assert_eq!(files.cell(&table, &last, "y").as_deref(), Ok("4"));
        let column = files.column(&table, "x").unwrap();
        assert_eq!(column, ["1", "3"]);
        let missing = |file: &str, column| files.column(&path(file), column).unwrap_err();
        assert_eq!(missing("a/t.csv", "z"), "`a/t.csv` has no column `z`");
        assert_eq!(missing("b.csv", "x"), "there is no `b.csv`");
        assert!(missing("bad.csv", "x").starts_with("`bad.csv` has 1 cell in line 2"));
        let row = files.cell(&table, &RowName::Number(3), "x").unwrap_err();
        assert_eq!(row, "`a/t.csv` has no row 3");
    }

    #[test]
    fn a_pattern_matches_the_files_that_are_there_but_none_of_git_or_the_store() {
        let table = "x\n1\n";
        let (_dir, files) = files(&[
            ("r/1/t.csv", table),
            ("r/2/t.csv", table),
            ("r/2/u.csv", table),
            (".restage/3/t.csv", table),
            (".git/3/t.csv", table),
        ]);
        let found = |pattern: &str| files.matching(&Glob::new(pattern).unwrap());
        let both = ["r/1/t.csv", "r/2/t.csv"].map(path);
        assert_eq!(found("r/*/t.csv").unwrap(), both);
        assert_eq!(found("**/t.csv").unwrap(), both);
        let none = found("r/*/v.csv").unwrap_err();
        assert_eq!(none, "no file matches `r/*/v.csv`");
    }
}
