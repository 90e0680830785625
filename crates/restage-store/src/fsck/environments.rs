//! Compares every file of the software environments with the list that was made of it.

use super::check::Check;
use super::report::{Problem, Remedy};
use crate::error::StoreError;

impl Check<'_> {
    /// One that is damaged is dropped: it is made again when a stage is to run in it.
    pub(super) fn environments(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        for place in store.environments().all()? {
            if let Some(reason) = place.check()? {
                store.environments().drop_place(&place)?;
                let path = place.path().to_owned();
                self.found(
                    Problem::DamagedEnvironment { path, reason },
                    Remedy::Removed,
                );
            }
        }
        Ok(())
    }
}
