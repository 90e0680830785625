//! What a workspace's stages have come to: their results and logs, here and in others that share the store.

use std::path::PathBuf;
use std::sync::Arc;

use super::workspace::Workspace;
use restage_store::{LogPaths, Record, StoreError, members};

impl Workspace {
    /// Logs of the stage's last attempt.
    pub fn last_logs(&self, stage: &str) -> Result<Option<LogPaths>, StoreError> {
        self.store.workdirs().last_logs(&self.qualified(stage))
    }

    /// The stage's different results in the store, the current one first.
    pub fn results(&self, stage: &str) -> Result<Vec<Arc<Record>>, StoreError> {
        self.store.records().results(&self.qualified(stage))
    }

    /// The folder of another workspace that made this result and has its logs.
    pub fn ran_in(&self, record: &Record) -> Result<Option<PathBuf>, StoreError> {
        for member in members(self.store.location())? {
            let store = self.store.seen_by(&member);
            let last = store.records().last(&record.stage);
            if last.is_some_and(|last| last.key == record.key)
                && store.workdirs().last_logs(&record.stage)?.is_some()
            {
                return Ok(Some(member.root));
            }
        }
        Ok(None)
    }
}
