//! Reads every record.

use std::io::ErrorKind;

use rayon::prelude::*;

use super::check::Check;
use super::report::{Problem, Remedy};
use crate::error::StoreError;
use crate::record::Record;
use restage_core::fs;

impl Check<'_> {
    pub(super) fn read_records(&mut self) -> Result<(), StoreError> {
        let listing = self.store.records().list()?;
        self.report.checked.records = listing.named.len();
        let read: Vec<_> = listing
            .named
            .into_par_iter()
            .map(|(key, path)| {
                let text = match fs::read(&path) {
                    // Another user's, and no damage.
                    Err(error) if error.source.kind() == ErrorKind::PermissionDenied => {
                        return None;
                    }
                    text => text.map_err(|error| error.to_string()),
                };
                let record = match text.and_then(|text| Record::from_text(&text)) {
                    Ok(record) if record.key != key => {
                        Err(format!("it is about key {}", record.key.short()))
                    }
                    record => record,
                };
                Some((key, path, record))
            })
            .flatten()
            .collect();
        for (key, path, record) in read {
            match record {
                Ok(record) => {
                    self.records.insert(key, record.into());
                }
                Err(reason) => {
                    let aside = self.store.objects().set_aside(&path)?;
                    let problem = Problem::DamagedRecord { key, reason };
                    self.found(problem, Remedy::SetAside(aside));
                }
            }
        }
        for path in listing.strays {
            self.stray(path)?;
        }
        Ok(())
    }
}
