//! What a workspace has of data from outside the pipeline's folder.

use std::path::{Path, PathBuf};

use super::Workspace;
use crate::data::{Around, DataNow};
use crate::data_error::{DataError, Difference};
use crate::facts::FactsError;
use restage_core::rel_path::RelPath;
use restage_pipeline::Data;
use restage_store::StoreError;
use restage_store::lockfile::Pins;

impl Workspace {
    pub(crate) fn around(&self) -> Around<'_> {
        Around {
            root: &self.root,
            env: &self.env,
            store: &self.store,
            lock_name: &self.lock_name,
            outs: &self.outs,
        }
    }

    /// What data of this name is now, whether or not it is what it is pinned to. `None` if there is no such
    /// data.
    pub fn data_now(&self, name: &str) -> Option<Result<&DataNow, &DataError>> {
        Some(self.data.look_at(&self.around(), self.data.named(name)?))
    }

    /// Where these data really are, if they are there.
    pub(crate) fn data_places(&self, data: &[&Data]) -> Vec<&Path> {
        let now = data
            .iter()
            .filter_map(|data| self.data_now(&data.name)?.ok());
        now.map(|now| now.real.as_path()).collect()
    }

    /// How data differs from what it is pinned to; `None` if it does not.
    pub fn data_difference(&self, now: &DataNow) -> Option<Difference> {
        now.difference(&self.store)
    }

    /// Where this machine has data, by what it says itself, or else by the pipeline.
    ///
    /// # Errors
    /// Neither says it.
    pub fn data_path(&self, data: &Data) -> Result<PathBuf, DataError> {
        self.data.path(&self.around(), data)
    }

    /// The data that this run read and that is not pinned yet, and the names of all.
    pub(crate) fn new_pins(&self) -> Pins {
        self.data.new_pins(&self.around())
    }

    /// Remembers which files data has, to say later which differ.
    ///
    /// # Errors
    /// The disk fails.
    pub fn keep_list(&self, now: &DataNow) -> Result<(), StoreError> {
        now.keep_list(&self.store)
    }

    /// Whether a path lies in data from outside the pipeline's folder.
    pub fn is_data(&self, path: &RelPath) -> bool {
        self.data.at(path).is_some()
    }

    /// Where what stages read at a path really is.
    ///
    /// # Errors
    /// It is data that can't be read.
    pub fn real_place(&self, path: &RelPath) -> Result<PathBuf, FactsError> {
        match self.data.at(path) {
            Some(set) => self.data.real(&self.around(), set, path),
            None => Ok(path.under(&self.root)),
        }
    }
}
