//! Objects that running stages read by a second name, where nothing keeps them from writing to it
//! (docs/adr/0018). They are looked at before a stage starts and after each that ends: if anybody
//! wrote to one, no stage that read it has a result, and the object is set aside.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RunError;
use restage_core::digest::{Digest, Touch, Witness};
use restage_core::fs;
use restage_pipeline::graph::StageId;
use restage_store::{Objects, SharedFile};

/// Which running stage reads which object, and what the objects looked like.
#[derive(Debug, Default)]
pub(super) struct SharedInputs {
    /// By device and inode: a damaged object's digest may belong to a sound one by now.
    files: BTreeMap<(u64, u64), Shared>,
    /// Objects that somebody wrote to in this run, and who may have been that.
    written: BTreeMap<Digest, BTreeSet<StageId>>,
}

#[derive(Debug)]
struct Shared {
    digest: Digest,
    witness: Witness,
    readers: BTreeSet<StageId>,
    /// Once somebody wrote to it: who may have been that.
    writers: Option<BTreeSet<StageId>>,
}

/// That an input of a stage was written to while the stage ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoiled {
    /// The input.
    pub(super) file: SharedFile,
    /// Stages that may have done it.
    pub(super) writers: BTreeSet<StageId>,
}

impl SharedInputs {
    /// A stage is about to start that reads these files. From the next tick of the clock on, any
    /// write to one shows: this waits for it.
    pub(super) fn begin(
        &mut self,
        id: StageId,
        files: &[SharedFile],
        objects: &Objects,
    ) -> Result<(), RunError> {
        for file in files {
            let Some(now) = objects.witness(&file.digest)? else {
                continue;
            };
            now.settle();
            let known = self.files.entry(now.id()).or_insert_with(|| Shared {
                digest: file.digest,
                witness: now.clone(),
                readers: BTreeSet::new(),
                writers: None,
            });
            if known.witness.until(&now) == Touch::Written {
                known.find_writers(&mut self.written);
            }
            // It has one more name now.
            known.witness = now;
            known.readers.insert(id);
        }
        Ok(())
    }

    /// Looks whether anybody wrote to an object that is read.
    pub(super) fn look(&mut self, objects: &Objects) -> Result<(), RunError> {
        for (inode, shared) in &mut self.files {
            if shared.writers.is_some() {
                continue;
            }
            let now = objects.witness(&shared.digest)?;
            let now = now.filter(|now| now.id() == *inode);
            let touch = match &now {
                None => Touch::Written,
                Some(now) => shared.witness.until(now),
            };
            let sound = || objects.is_sound(&shared.digest);
            match (touch, now) {
                (Touch::None, _) => {}
                (Touch::Perhaps, Some(now)) if sound()? => shared.witness = now,
                (Touch::Written, Some(_)) => {
                    sound()?;
                    shared.find_writers(&mut self.written);
                }
                _ => shared.find_writers(&mut self.written),
            }
        }
        Ok(())
    }

    /// Who may have written to an object in this run.
    pub(super) fn writers(&self, digest: &Digest) -> Option<&BTreeSet<StageId>> {
        self.written.get(digest)
    }

    /// A stage that read these files has ended, after the last look. If it succeeded, its names of
    /// them go, and the others' witnesses know of it.
    pub(super) fn end(
        &mut self,
        id: StageId,
        files: &[SharedFile],
        succeeded: bool,
        objects: &Objects,
    ) -> Result<Option<Spoiled>, RunError> {
        let mut spoiled = None;
        for file in files {
            let read =
                |shared: &&mut Shared| shared.digest == file.digest && shared.readers.contains(&id);
            let Some(shared) = self.files.values_mut().find(read) else {
                continue;
            };
            if let Some(writers) = &shared.writers {
                spoiled.get_or_insert_with(|| Spoiled {
                    file: file.clone(),
                    writers: writers.clone(),
                });
            } else if succeeded {
                fs::remove_all(&file.path)?;
                if let Some(now) = objects.witness(&file.digest)?
                    && shared.witness.until(&now) == Touch::Perhaps
                {
                    shared.witness = now;
                }
            }
        }
        for shared in self.files.values_mut() {
            shared.readers.remove(&id);
        }
        self.files.retain(|_, shared| !shared.readers.is_empty());
        Ok(spoiled)
    }
}

impl Shared {
    fn find_writers(&mut self, written: &mut BTreeMap<Digest, BTreeSet<StageId>>) {
        let writers = self.writers.get_or_insert_with(|| self.readers.clone());
        written.insert(self.digest, writers.clone());
    }
}
