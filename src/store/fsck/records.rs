//! Reads every record.
//! It must not know whether the objects that they need are there.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{Check, Finding, Problem, Remedy};
use crate::base::fs;
use crate::store::{Record, StoreError};

impl Check<'_> {
    pub(super) fn read_records(&mut self) -> Result<(), StoreError> {
        let listing = self.store.list("records", ".json")?;
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
                    let aside = self.store.set_aside(&path)?;
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

    /// Moves something out of the way that restage did not put where it is.
    pub(super) fn stray(&mut self, path: std::path::PathBuf) -> Result<(), StoreError> {
        let aside = self.store.set_aside(&path)?;
        self.found(Problem::Stray { path }, Remedy::SetAside(aside));
        Ok(())
    }

    /// Notes a problem that no out rests on by itself.
    pub(super) fn found(&mut self, problem: Problem, remedy: Remedy) {
        self.report.findings.push(Finding {
            problem,
            needed_by: BTreeSet::new(),
            remedy,
        });
    }
}
