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
