//! Restores lost objects from intact copies in workspaces, and settles what becomes of records
//! whose objects stay lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{Check, Placed};
use super::report::{Finding, Need, Problem, Remedy};
use crate::error::StoreError;
use crate::record::{Record, RecordedOut};
use crate::unflushed::Unflushed;
use restage_core::digest::{Digest, Kind, Manifest, Node, PathDigest};
use restage_core::fs;

/// What workspaces have, by digest; paths are relative to this one.
#[derive(Default)]
struct Copies {
    files: BTreeMap<Digest, PathBuf>,
    /// Path and manifest of each folder.
    folders: BTreeMap<Digest, (PathBuf, Manifest)>,
}

impl Copies {
    /// Adds what the workspace at `root` has.
    fn add(&mut self, root: &Path, placed: &BTreeMap<String, Placed>) {
        let Self { files, folders } = self;
        for (path, placed) in placed {
            let path = root.join(path);
            match placed {
                Placed::File(content) => {
                    files.insert(content.digest, path);
                }
                Placed::Folder(content, manifest) => {
                    for entry in manifest.entries() {
                        if let Node::File { digest, .. } = entry.node {
                            files.insert(digest, path.join(&entry.path));
                        }
                    }
                    let folder = (path, manifest.clone());
                    folders.insert(content.digest, folder);
                }
                Placed::Nothing | Placed::Unreadable => {}
            }
        }
    }
}

impl Check<'_> {
    pub(super) fn repair(&mut self) -> Result<(), StoreError> {
        let records: Vec<Arc<Record>> = self.records.values().cloned().collect();
        let mut copies = Copies::default();
        if !self.members.is_empty() && self.lacks_any(&records)? {
            for (root, placed) in self.placed_elsewhere() {
                copies.add(&root, &placed);
            }
        }
        copies.add(Path::new(""), &self.placed);
        let mut needs: BTreeMap<Digest, BTreeSet<Need>> = BTreeMap::new();
        // Folders first: which files they need is known only once they are restored.
        let mut healed = BTreeMap::new();
        for record in &records {
            for out in record.all_outs() {
                if out.freed && out.content.kind != Kind::Tree {
                    continue;
                }
                let need = Need {
                    stage: record.stage.clone(),
                    out: out.path.clone(),
                };
                let digest = out.content.digest;
                needs.entry(digest).or_default().insert(need.clone());
                if out.content.kind == Kind::Tree {
                    if !self.sound.has(&digest) {
                        healed.extend(self.heal_folder(&digest, &copies)?);
                    }
                    let files = self.files_of(&out.content)?.into_iter().flatten();
                    for file in files.filter(|_| !out.freed) {
                        needs.entry(file).or_default().insert(need.clone());
                    }
                }
            }
        }
        for digest in needs.keys() {
            if !self.sound.has(digest) {
                healed.extend(self.heal_file(digest, &copies)?);
            }
        }
        self.note_objects(&needs, healed);
        self.settle_records(&records)?;
        let unneeded = |digest: &&Digest| !needs.contains_key(digest);
        let count = self.sound.digests().filter(unneeded).count();
        self.report
            .removable
            .insert("objects that no record needs", count);
        Ok(())
    }

    /// Whether anything is lost that a record needs.
    fn lacks_any(&self, records: &[Arc<Record>]) -> Result<bool, StoreError> {
        for record in records {
            for out in record.all_outs() {
                if self.is_lost(out)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Digests of the files in a stored folder; `None` if the folder is lost.
    fn files_of(&self, tree: &PathDigest) -> Result<Option<Vec<Digest>>, StoreError> {
        if !self.sound.has(&tree.digest) {
            return Ok(None);
        }
        let bytes = fs::read(&self.store.objects().path(&tree.digest))?;
        let manifest = Manifest::from_bytes(&bytes).ok();
        Ok(manifest.map(|manifest| manifest.files().map(|(digest, _)| *digest).collect()))
    }

    fn heal_folder(
        &mut self,
        digest: &Digest,
        copies: &Copies,
    ) -> Result<Option<(Digest, PathBuf)>, StoreError> {
        let Some((path, manifest)) = copies.folders.get(digest) else {
            return Ok(None);
        };
        self.store.objects().keep_manifest(manifest, digest)?;
        self.sound.add_digest(*digest);
        Ok(Some((*digest, path.clone())))
    }

    fn heal_file(
        &mut self,
        digest: &Digest,
        copies: &Copies,
    ) -> Result<Option<(Digest, PathBuf)>, StoreError> {
        let Some(path) = copies.files.get(digest) else {
            return Ok(None);
        };
        match self
            .store
            .objects()
            .keep_copy(&self.root.join(path), digest)
        {
            Ok(()) => {
                self.sound.add_digest(*digest);
                Ok(Some((*digest, path.clone())))
            }
            // Edited or removed since it was read.
            Err(StoreError::SourceChanged { .. }) => Ok(None),
            Err(StoreError::Fs(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds to the findings about objects who needs them, and whether they were restored.
    fn note_objects(
        &mut self,
        needs: &BTreeMap<Digest, BTreeSet<Need>>,
        mut healed: BTreeMap<Digest, PathBuf>,
    ) {
        let mut found = BTreeSet::new();
        for finding in &mut self.report.findings {
            let Problem::DamagedObject { digest, .. } = &finding.problem else {
                continue;
            };
            found.insert(*digest);
            finding.needed_by = needs.get(digest).cloned().unwrap_or_default();
            if let Some(path) = healed.remove(digest) {
                finding.remedy = Remedy::Healed(path.display().to_string());
            }
        }
        for (digest, needed_by) in needs {
            let remedy = match healed.remove(digest) {
                Some(path) => Remedy::Healed(path.display().to_string()),
                None if !self.sound.has(digest) && !found.contains(digest) => Remedy::Lost,
                None => continue,
            };
            self.report.findings.push(Finding {
                problem: Problem::MissingObject { digest: *digest },
                needed_by: needed_by.clone(),
                remedy,
            });
        }
    }

    /// A record that lost outs stays if a lock file names it: its stage runs again, and the
    /// outs are compared with the record. Others are no longer of use.
    fn settle_records(&mut self, records: &[Arc<Record>]) -> Result<(), StoreError> {
        let current = self.named()?;
        for record in records {
            let mut lost = Vec::new();
            for out in &record.outs {
                if self.is_lost(out)? {
                    lost.push(out.path.clone());
                }
            }
            if !lost.is_empty() {
                let stays = current
                    .as_ref()
                    .is_none_or(|keys| keys.contains(&record.key));
                let remedy = if stays {
                    Remedy::Lost
                } else {
                    self.records.remove(&record.key);
                    let path = self.store.records().path(&record.key);
                    Remedy::SetAside(self.store.objects().set_aside(&path)?)
                };
                let problem = Problem::IncompleteRecord {
                    key: record.key,
                    stage: record.stage.clone(),
                    outs: lost,
                };
                self.found(problem, remedy);
            } else {
                self.drop_lost_variants(record)?;
            }
        }
        Ok(())
    }

    /// Drops variants that lost outs: running the key's stage again does not bring them back.
    fn drop_lost_variants(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut whole = Vec::new();
        for variant in &record.variants {
            let lost = variant.iter().map(|out| self.is_lost(out));
            if !lost.collect::<Result<Vec<_>, _>>()?.contains(&true) {
                whole.push(variant.clone());
            }
        }
        if whole.len() < record.variants.len() {
            let mut record = record.clone();
            record.variants = whole;
            let mut unflushed = Unflushed::default();
            self.store.records().put(&record, &mut unflushed)?;
            self.store.objects().flush(&unflushed)?;
            self.records.insert(record.key, Arc::new(record));
        }
        Ok(())
    }

    fn is_lost(&self, out: &RecordedOut) -> Result<bool, StoreError> {
        Ok(match out.content.kind {
            _ if out.freed => false,
            Kind::File { .. } => !self.sound.has(&out.content.digest),
            Kind::Tree => self
                .files_of(&out.content)?
                .is_none_or(|files| files.iter().any(|digest| !self.sound.has(digest))),
        })
    }
}
