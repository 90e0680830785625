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
            // It has one more name now, which hides whether a stage that reads it already wrote to it.
            if known.writers.is_none() {
                known.see(Some(now), objects, &mut self.written)?;
            }
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
            shared.see(now, objects, &mut self.written)?;
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
                if shared.readers.len() > 1 {
                    let now = objects.witness(&file.digest)?;
                    let now = now.filter(|now| now.id() == shared.witness.id());
                    shared.see(now, objects, &mut self.written)?;
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
    /// Takes in what it looks like now; `None`: something else is in its place. Where only its bytes can
    /// tell, they are read.
    fn see(
        &mut self,
        now: Option<Witness>,
        objects: &Objects,
        written: &mut BTreeMap<Digest, BTreeSet<StageId>>,
    ) -> Result<(), RunError> {
        let touch = now.as_ref().map(|now| self.witness.until(now));
        // This sets it aside if it is damaged.
        let sound = || objects.is_sound(&self.digest);
        match (touch, now) {
            (Some(Touch::None), _) => {}
            (Some(Touch::Perhaps), Some(now)) if sound()? => self.witness = now,
            (Some(Touch::Written), _) => {
                sound()?;
                self.find_writers(written);
            }
            _ => self.find_writers(written),
        }
        Ok(())
    }

    fn find_writers(&mut self, written: &mut BTreeMap<Digest, BTreeSet<StageId>>) {
        let writers = self.writers.get_or_insert_with(|| self.readers.clone());
        written.insert(self.digest, writers.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use restage_pipeline::LoadOptions;
    use restage_pipeline::graph::Graph;
    use restage_store::{Placement, Store};

    /// Two stages, and a store with an object that both read by a name of their own.
    struct Bench {
        dir: tempfile::TempDir,
        store: Store,
        ids: Vec<StageId>,
        content: restage_core::digest::PathDigest,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let text =
                "schema: 1\nname: t\nstages:\n  a: {cmd: x, outs: [a]}\n  b: {cmd: x, outs: [b]}\n";
            let pipeline = restage_pipeline::load("p", text, &LoadOptions::default()).unwrap();
            let store = Store::open(&dir.path().join("store")).unwrap();
            let file = dir.path().join("big");
            std::fs::write(&file, vec![0; 1 << 20]).unwrap();
            Self {
                content: store.objects().ingest(&file).unwrap(),
                ids: Graph::build(pipeline).unwrap().topological().to_vec(),
                store,
                dir,
            }
        }

        /// A second name of the object.
        fn place(&self, name: &str) -> Vec<SharedFile> {
            let dest = self.dir.path().join(name);
            let objects = self.store.objects();
            objects
                .materialize(&self.content, &dest, Placement::Linked)
                .unwrap();
            objects.shared_files(&self.content, "", &dest, 0).unwrap()
        }
    }

    /// Writes, and takes the time back.
    fn write_hidden(path: &Path) {
        let before = fs::metadata(path).unwrap();
        fs::set_mode(path, 0o644).unwrap();
        std::fs::write(path, vec![1; 1 << 20]).unwrap();
        fs::set_modified(path, &before).unwrap();
        fs::set_mode(path, 0o444).unwrap();
    }

    #[test]
    fn a_hidden_write_just_before_another_stage_begins_spoils_both() {
        let bench = Bench::new();
        let objects = bench.store.objects();
        let [first, second] = bench.ids[..] else {
            panic!("two stages");
        };
        let mut shared = SharedInputs::default();
        let one = bench.place("one");
        assert_eq!(one.len(), 1, "a link");
        shared.begin(first, &one, objects).unwrap();
        shared.look(objects).unwrap();
        write_hidden(&one[0].path);
        let two = bench.place("two");
        shared.begin(second, &two, objects).unwrap();
        for (id, files) in [(second, &two), (first, &one)] {
            let spoiled = shared.end(id, files, true, objects).unwrap();
            assert!(spoiled.unwrap().writers.contains(&first));
        }
    }

    #[test]
    fn stages_that_only_read_spoil_nothing() {
        let bench = Bench::new();
        let objects = bench.store.objects();
        let mut shared = SharedInputs::default();
        let placed = ["one", "two"].map(|name| bench.place(name));
        for (id, files) in bench.ids.iter().zip(&placed) {
            shared.begin(*id, files, objects).unwrap();
        }
        for (id, files) in bench.ids.iter().zip(&placed) {
            shared.look(objects).unwrap();
            assert_eq!(shared.end(*id, files, true, objects).unwrap(), None);
        }
    }
}
