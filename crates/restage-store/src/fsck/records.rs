//! Reads every record.

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
                let record = fs::read(&path)
                    .map_err(|error| error.to_string())
                    .and_then(|text| Record::from_text(&text));
                let record = match record {
                    Ok(record) if record.key != key => {
                        Err(format!("it is about key {}", record.key.short()))
                    }
                    record => record,
                };
                (key, path, record)
            })
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
