//! The tables that expressions read: each file is opened once, when an expression asks for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::tables::{Decimal, Lookup, NotThere, RowName};
use restage_core::files::{HIDDEN, files_below};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::suggest;
use restage_pipeline::{Out, Stage, TableFormat};

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Results may still bring it: nothing was measured.
    NotMeasured(String),
    /// Results are there and do not have it: a slip in a file's or column's name, a cell that is no
    /// number, a file that is no table. Says what there is.
    Mistake(String),
}

/// A value, as its file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// How its file writes numbers.
    pub decimal: Decimal,
}

/// Tables that an expression can read.
pub trait Cells: Send + Sync {
    /// One cell, which isn't empty.
    ///
    /// # Errors
    /// The file, row or column isn't there, or the cell is empty.
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<Cell, Missing>;

    /// The value at a JSON pointer, which isn't null.
    ///
    /// # Errors
    /// The file or the value isn't there.
    fn value(&self, file: &RelPath, pointer: &str) -> Result<Cell, Missing>;

    /// A column's cells, and how they write numbers; some may be empty.
    ///
    /// # Errors
    /// The file or column isn't there.
    fn column(&self, file: &RelPath, column: &str) -> Result<(Vec<String>, Decimal), Missing>;

    /// The files that a pattern matches: at least one, each once.
    ///
    /// # Errors
    /// There is none.
    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, Missing>;
}

/// The same tables, for a claim whose paths are relative to a folder.
pub(crate) struct Below {
    folder: String,
    cells: Arc<dyn Cells>,
}

impl Below {
    pub(crate) fn new(folder: &str, cells: &Arc<dyn Cells>) -> Self {
        Self {
            folder: folder.to_owned(),
            cells: Arc::clone(cells),
        }
    }

    fn path(&self, file: &RelPath) -> Result<RelPath, Missing> {
        let path = format!("{}/{file}", self.folder);
        RelPath::new(&path).map_err(|error| Missing::Mistake(error.to_string()))
    }
}

impl Cells for Below {
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<Cell, Missing> {
        self.cells.cell(&self.path(file)?, row, column)
    }

    fn column(&self, file: &RelPath, column: &str) -> Result<(Vec<String>, Decimal), Missing> {
        self.cells.column(&self.path(file)?, column)
    }

    fn value(&self, file: &RelPath, pointer: &str) -> Result<Cell, Missing> {
        self.cells.value(&self.path(file)?, pointer)
    }

    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, Missing> {
        let mistake = |error: &dyn std::fmt::Display| Missing::Mistake(error.to_string());
        let pattern = Glob::new(&format!("{}/{}", self.folder, pattern.as_str()));
        let pattern = pattern.map_err(|error| mistake(&error))?;
        let folder = RelPath::new(&self.folder).map_err(|error| mistake(&error))?;
        let found = self.cells.matching(&pattern)?.into_iter();
        // As the claim names them.
        let inside = found.filter_map(|path| RelPath::new(path.inside(&folder)?).ok());
        Ok(inside.collect())
    }
}

type Read = Result<Arc<Lookup>, Missing>;

/// Finds the files that a pattern matches; an error says why it can't.
pub type Matching = dyn Fn(&Glob) -> Result<Vec<RelPath>, String> + Send + Sync;

/// The tables below a folder.
pub struct Files {
    root: PathBuf,
    outs: Vec<RelPath>,
    /// Outs that are never put below the folder.
    temporary: Vec<RelPath>,
    tables: Vec<TableFormat>,
    matching: Box<Matching>,
    read: Mutex<BTreeMap<RelPath, Read>>,
}

impl Files {
    /// Tables that are not there may come if one of these stages writes them.
    pub fn below(
        root: impl Into<PathBuf>,
        stages: &[Stage],
        tables: &[TableFormat],
        matching: Box<Matching>,
    ) -> Self {
        let outs = stages.iter().flat_map(|stage| &stage.outs);
        let (temporary, outs): (Vec<_>, Vec<_>) = outs.partition(|out| out.temporary);
        let paths = |outs: Vec<&Out>| outs.into_iter().map(|out| out.path.clone()).collect();
        Self {
            root: root.into(),
            matching,
            tables: tables.to_vec(),
            outs: paths(outs),
            temporary: paths(temporary),
            read: Mutex::default(),
        }
    }

    /// The tables that were read so far.
    pub fn used(&self) -> Vec<RelPath> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = read.iter().filter(|(_, table)| table.is_ok());
        tables.map(|(file, _)| file.clone()).collect()
    }

    fn table(&self, file: &RelPath) -> Read {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let table = read.entry(file.clone()).or_insert_with(|| {
            match fs::read_if_exists(&file.under(&self.root)) {
                Ok(Some(bytes)) => Lookup::parse(file.as_str(), &bytes, &self.tables)
                    .map(Arc::new)
                    .map_err(|fault| Missing::Mistake(format!("`{file}` {fault}"))),
                Ok(None) => Err(self.no_file(file)),
                // A folder, or a file that may not be read: no other results would change that.
                Err(error) => Err(Missing::Mistake(error.to_string())),
            }
        });
        table.clone()
    }

    /// A file that a stage writes may come; another one is not what was meant.
    fn no_file(&self, file: &RelPath) -> Missing {
        if self.temporary.iter().any(|out| file.is_within(out)) {
            return Missing::Mistake(format!(
                "`{file}` is a temporary out, which is never put here: remove `temporary: true`"
            ));
        }
        if self.outs.iter().any(|out| file.is_within(out)) {
            return Missing::NotMeasured(format!("there is no `{file}`"));
        }
        let folder = file
            .as_str()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let there = files_below(&self.root, folder, &|path| HIDDEN.contains(&path.as_str()));
        let there = there.map(|found| found.files).unwrap_or_default();
        let known = there.iter().chain(&self.outs).map(RelPath::as_str);
        let meant = match suggest::closest(file.as_str(), known) {
            Some(found) => format!(": did you mean `{found}`?"),
            None => String::new(),
        };
        Missing::Mistake(format!(
            "there is no `{file}`, and no stage writes it{meant}"
        ))
    }

    /// A table that has these columns.
    fn with_columns(&self, file: &RelPath, columns: &[&str]) -> Read {
        let table = self.table(file)?;
        match columns.iter().find(|column| !table.has_column(column)) {
            None => Ok(table),
            Some(column) if table.is_document() && column.starts_with('/') => {
                let why = table.column(column).err().unwrap_or_default();
                Err(Missing::Mistake(format!("`{file}` {why}")))
            }
            Some(column) => {
                let names = table.columns().iter().map(String::as_str);
                let hint = suggest::hint_among(column, "it has", names).unwrap_or_default();
                Err(Missing::Mistake(format!(
                    "`{file}` has no column `{column}`: {hint}"
                )))
            }
        }
    }
}

/// Why a file has no value.
fn missing(file: &RelPath, why: &NotThere) -> Missing {
    let message = format!("`{file}` {}", why.why());
    match why {
        NotThere::Empty(_) => Missing::NotMeasured(message),
        NotThere::Wrong(_) => Missing::Mistake(message),
    }
}

impl Cells for Files {
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<Cell, Missing> {
        let mut columns = vec![column];
        if let RowName::Key(pairs) = row {
            columns.extend(pairs.iter().map(|(column, _)| column.as_str()));
        }
        let table = self.with_columns(file, &columns)?;
        let cell = table.cell(row, column).map_err(|why| missing(file, &why))?;
        Ok(Cell {
            text: cell.to_owned(),
            decimal: table.decimal(),
        })
    }

    fn value(&self, file: &RelPath, pointer: &str) -> Result<Cell, Missing> {
        let table = self.table(file)?;
        let found = table.value(pointer).map_err(|why| missing(file, &why))?;
        Ok(Cell {
            text: found,
            decimal: table.decimal(),
        })
    }

    fn column(&self, file: &RelPath, column: &str) -> Result<(Vec<String>, Decimal), Missing> {
        let table = self.with_columns(file, &[column])?;
        let cells = table.column(column);
        let cells = cells.map_err(|why| missing(file, &NotThere::Wrong(why)))?;
        Ok((cells, table.decimal()))
    }

    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, Missing> {
        let found = (self.matching)(pattern).map_err(Missing::NotMeasured)?;
        if !found.is_empty() {
            return Ok(found);
        }
        // An out may also be a folder, in which anything may come.
        let literal = pattern.literal_prefix();
        let may_come = |out: &RelPath| {
            let folder = format!("{out}/");
            pattern.matches(out) || literal.starts_with(&folder) || folder.starts_with(literal)
        };
        let message = format!("no file matches `{pattern}`");
        Err(match self.outs.iter().any(may_come) {
            true => Missing::NotMeasured(message),
            false => Missing::Mistake(format!("{message}, and no stage writes one")),
        })
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
        let files = Files::below(dir.path(), &[], &[], Box::new(|_| Ok(Vec::new())));
        (dir, files)
    }

    #[test]
    fn cells_and_columns_are_read_from_the_files_below_the_folder() {
        let (_dir, files) = files(&[("a/t.csv", "x,y\n1,2\n3,4\n"), ("bad.csv", "x,y\n1\n")]);
        let table = path("a/t.csv");
        let last = RowName::Number(-1);
        assert_eq!(files.cell(&table, &last, "y").unwrap().text, "4");
        let (column, _) = files.column(&table, "x").unwrap();
        assert_eq!(column, ["1", "3"]);
        let missing = |file: &str, column| files.column(&path(file), column).unwrap_err();
        let mistake = |message: &str| Missing::Mistake(message.to_owned());
        assert_eq!(
            missing("a/t.csv", "zz"),
            mistake("`a/t.csv` has no column `zz`: it has: `x`, `y`")
        );
        assert_eq!(
            missing("a/tt.csv", "x"),
            mistake("there is no `a/tt.csv`, and no stage writes it: did you mean `a/t.csv`?")
        );
        let unread = missing("bad.csv", "x");
        assert!(
            matches!(&unread, Missing::Mistake(why) if why.starts_with("`bad.csv` has 1 cell in line 2")),
            "{unread:?}"
        );
        let folder = missing("a", "x");
        assert!(
            matches!(&folder, Missing::Mistake(why) if why.contains("is a directory")),
            "{folder:?}"
        );
        let row = files.cell(&table, &RowName::Number(3), "x").unwrap_err();
        let none = Missing::NotMeasured("`a/t.csv` has no row 3".to_owned());
        assert_eq!(row, none);
        let key = RowName::Key(vec![("modle".into(), "a".into())]);
        let row = files.cell(&table, &key, "x").unwrap_err();
        assert!(matches!(row, Missing::Mistake(_)), "{row:?}");
    }

    #[test]
    fn a_pattern_that_matches_nothing_and_that_no_stage_writes_is_a_mistake() {
        let (_dir, files) = files(&[]);
        let none = files.matching(&Glob::new("r/*/v.csv").unwrap());
        let none = none.unwrap_err();
        let message = "no file matches `r/*/v.csv`, and no stage writes one";
        assert_eq!(none, Missing::Mistake(message.to_owned()));
    }
}
