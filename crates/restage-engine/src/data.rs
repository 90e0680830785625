//! Data from outside the pipeline's folder: where this machine has it, whether it is what it is pinned to,
//! and whether anybody wrote to it since (docs/adr/0025).

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::data_error::{DataError, Difference};
use super::facts::FactsError;
use super::local::{Local, LocalError};
use restage_core::digest::{
    Digest, Found, Kind, Manifest, Node, PathDigest, Touch, Witness, nothing,
};
use restage_core::fs::{self, FsError};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::Data;
use restage_store::lockfile::{LockFile, Pins};
use restage_store::{Store, StoreError, data_lists};
use restage_worker::HostEnv;

/// Data as it is now.
#[derive(Debug)]
pub struct DataNow {
    /// Where it really is.
    pub real: PathBuf,
    /// What is there.
    pub found: Found,
    /// What it is pinned to, if it is.
    pub pin: Option<Digest>,
}

impl DataNow {
    /// What is there, as one value.
    pub fn content(&self) -> PathDigest {
        self.found.content()
    }

    /// Whether it is not what it is pinned to.
    pub fn is_changed(&self) -> bool {
        self.pin
            .is_some_and(|pin| pin != self.content().content_id())
    }

    /// How it differs from what it is pinned to; `None` if it does not.
    pub(crate) fn difference(&self, store: &Store) -> Option<Difference> {
        let pin = self.pin.filter(|_| self.is_changed())?;
        let Some(list) = self.list() else {
            return Some(Difference::Bytes);
        };
        let before = data_lists::read(store.location().own(), &pin)
            .ok()
            .flatten();
        Some(before.map_or(Difference::Unknown, |before| difference(&before, list)))
    }

    /// Remembers which files it has, to say later which differ.
    pub(crate) fn keep_list(&self, store: &Store) -> Result<(), StoreError> {
        match self.list() {
            Some(list) => data_lists::write(store.location().own(), list),
            None => Ok(()),
        }
    }

    /// Its files; none if it is a single file.
    fn list(&self) -> Option<&Manifest> {
        match &self.found {
            Found::Folder(tree) => Some(&tree.manifest),
            Found::File(_) => None,
        }
    }

    fn part(&self, inside: &str) -> Option<PathDigest> {
        let part = self.list()?.part(inside).ok()??;
        Some(part.content)
    }
}

/// All data of a pipeline, each looked at once.
#[derive(Debug, Default)]
pub(crate) struct DataSets {
    sets: Vec<DataSet>,
    local: OnceCell<Result<Local, LocalError>>,
    pins: OnceCell<Result<BTreeMap<String, Digest>, String>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct DataSet {
    data: Data,
    now: OnceCell<Result<DataNow, DataError>>,
    /// What `stat` said before its bytes were last compared, by the path that a stage reads.
    seen: RefCell<BTreeMap<RelPath, Witness>>,
}

impl DataSets {
    pub(crate) fn new(data: &[Data]) -> Self {
        let set = |data: &Data| DataSet {
            data: data.clone(),
            now: OnceCell::new(),
            seen: RefCell::default(),
        };
        Self {
            sets: data.iter().map(set).collect(),
            ..Self::default()
        }
    }

    /// The same, not looked at yet.
    pub(crate) fn unseen(&self) -> Self {
        let data: Vec<Data> = self.sets.iter().map(|set| set.data.clone()).collect();
        Self::new(&data)
    }

    /// The data that a path lies in.
    pub(crate) fn at(&self, path: &RelPath) -> Option<&DataSet> {
        self.sets.iter().find(|set| path.is_within(&set.data.place))
    }

    /// Whether a path is where data is placed.
    pub(crate) fn is_place(&self, path: &RelPath) -> bool {
        self.sets.iter().any(|set| set.data.place == *path)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&DataSet> {
        self.sets.iter().find(|set| set.data.name == name)
    }
}

/// What data is looked at from.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// The pipeline's folder.
    pub(crate) root: &'a Path,
    pub(crate) env: &'a HostEnv,
    pub(crate) store: &'a Store,
    /// The name of the pipeline's lock file.
    pub(crate) lock_name: &'a str,
    /// What stages write.
    pub(crate) outs: &'a BTreeSet<RelPath>,
}

impl DataSets {
    /// Where this machine has data, by what it says itself, or else by the pipeline.
    pub(crate) fn path(&self, around: &Around<'_>, data: &Data) -> Result<PathBuf, DataError> {
        let local = self.local.get_or_init(|| Local::read(around.root));
        let local = local.as_ref().map_err(Clone::clone)?;
        let path = match local.data(&data.name) {
            Some(path) => path.to_owned(),
            None => {
                let filled = data.path.fill(|name| around.env.get(name));
                filled.map_err(|variable| DataError::NotSet {
                    name: data.name.clone(),
                    variable: variable.to_owned(),
                })?
            }
        };
        Ok(around.root.join(path))
    }

    /// The data that this run read and that is not pinned yet, and the names of all.
    pub(crate) fn new_pins(&self, around: &Around<'_>) -> Pins {
        let mut pins = Pins::default();
        for set in &self.sets {
            pins.known.insert(set.data.name.clone());
            if let Some(Ok(now)) = set.now.get()
                && now.pin.is_none()
            {
                // Without it a later change is noticed all the same.
                let _ = now.keep_list(around.store);
                let content = now.content().content_id();
                pins.read.insert(set.data.name.clone(), content);
            }
        }
        pins
    }

    /// What data is now, whether or not it is what it is pinned to.
    pub(crate) fn look_at<'a>(
        &'a self,
        around: &Around<'_>,
        set: &'a DataSet,
    ) -> Result<&'a DataNow, &'a DataError> {
        set.now
            .get_or_init(|| self.look(around, &set.data))
            .as_ref()
    }

    fn look(&self, around: &Around<'_>, data: &Data) -> Result<DataNow, DataError> {
        let name = || data.name.clone();
        let unreadable = |error: FsError| DataError::Unreadable {
            name: name(),
            reason: error.to_string(),
        };
        let path = self.path(around, data)?;
        let missing = || DataError::Missing {
            name: name(),
            path: path.clone(),
        };
        if fs::metadata_if_exists(&path).map_err(unreadable)?.is_none() {
            return Err(missing());
        }
        let real = fs::canonicalize(&path).map_err(unreadable)?;
        let root = fs::canonicalize(around.root).map_err(unreadable)?;
        if let Some(does) = in_the_way(&root, &real, around.outs) {
            let path = path.clone();
            return Err(DataError::InTheWay {
                name: name(),
                path,
                does,
            });
        }
        let place = data.place.under(around.root);
        let covered = fs::symlink_metadata_if_exists(&place).map_err(unreadable)?;
        if covered.is_some() && fs::canonicalize(&place).ok().as_ref() != Some(&real) {
            return Err(DataError::Covered {
                name: name(),
                place: data.place.to_string(),
            });
        }
        // Whole, whatever the names in it: it is somebody's result.
        let found = around.store.stat_cache().found_at(&real, &nothing);
        let found = found.map_err(unreadable)?.ok_or_else(missing)?;
        let pins = self.pins.get_or_init(|| {
            let lock = LockFile::read(&around.root.join(around.lock_name));
            let pins = lock.map(|lock| lock.pins().clone());
            pins.map_err(|error| match error {
                StoreError::LockFile { reason, .. } => reason,
                error => error.to_string(),
            })
        });
        let pins = pins.as_ref().map_err(|reason| DataError::NoPins {
            name: name(),
            lock: around.lock_name.to_owned(),
            reason: reason.clone(),
        })?;
        let pin = pins.get(&data.name).copied();
        Ok(DataNow { real, found, pin })
    }

    /// Data that stages may read: as it is pinned.
    fn pinned<'a>(
        &'a self,
        around: &Around<'_>,
        set: &'a DataSet,
    ) -> Result<&'a DataNow, FactsError> {
        let now = self.look_at(around, set).map_err(Clone::clone)?;
        match now.difference(around.store) {
            None => Ok(now),
            Some(difference) => Err(FactsError::Data(DataError::Changed {
                name: set.data.name.clone(),
                difference,
            })),
        }
    }

    /// Content of data, or of a part of it.
    pub(crate) fn content(
        &self,
        around: &Around<'_>,
        set: &DataSet,
        path: &RelPath,
    ) -> Result<Option<PathDigest>, FactsError> {
        let now = self.pinned(around, set)?;
        Ok(match path.inside(&set.data.place) {
            None => Some(now.content()),
            Some(inside) => now.part(inside),
        })
    }

    /// Where a path in data really is.
    pub(crate) fn real(
        &self,
        around: &Around<'_>,
        set: &DataSet,
        path: &RelPath,
    ) -> Result<PathBuf, FactsError> {
        let now = self.pinned(around, set)?;
        let inside = path.inside(&set.data.place);
        Ok(inside.map_or_else(|| now.real.clone(), |inside| now.real.join(inside)))
    }

    /// What is there now.
    pub(crate) fn found(
        &self,
        around: &Around<'_>,
        set: &DataSet,
        path: &RelPath,
    ) -> Result<Option<Found>, FactsError> {
        let real = self.real(around, set, path)?;
        Ok(around.store.stat_cache().found_at(&real, &nothing)?)
    }

    /// Whether no link in what lies at a path leads out of it.
    pub(crate) fn is_whole(
        &self,
        around: &Around<'_>,
        set: &DataSet,
        path: &RelPath,
    ) -> Result<bool, FactsError> {
        let known = &self.pinned(around, set)?.found;
        let part;
        let found = match path == &set.data.place {
            true => Some(known),
            false => {
                part = self.found(around, set, path)?;
                part.as_ref()
            }
        };
        Ok(found.is_none_or(|found| match found {
            Found::File(_) => true,
            Found::Folder(tree) => tree.is_whole,
        }))
    }

    /// The files in data that a pattern matches; `None` where its matches lie in none.
    pub(crate) fn matches(
        &self,
        around: &Around<'_>,
        pattern: &str,
    ) -> Result<Option<Vec<RelPath>>, FactsError> {
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set.data.holds_pattern(pattern));
        let (Some(set), Ok(glob)) = (set, Glob::new(pattern)) else {
            return Ok(None);
        };
        let now = self.pinned(around, set)?;
        let entries = now.list().map_or(&[][..], Manifest::entries);
        let files = entries.iter().filter(|entry| match &entry.node {
            Node::File { .. } => true,
            // To a file.
            Node::Link(_) => now
                .part(&entry.path)
                .is_some_and(|part| part.kind != Kind::Tree),
            Node::EmptyFolder => false,
        });
        let place = &set.data.place;
        let paths = files.filter_map(|entry| RelPath::new(&format!("{place}/{}", entry.path)).ok());
        Ok(Some(paths.filter(|path| glob.matches(path)).collect()))
    }

    /// What `stat` says of data before a stage reads it there, if nobody wrote to it since its content
    /// became part of the stage's key. `None`: somebody did.
    pub(crate) fn witness(
        &self,
        around: &Around<'_>,
        set: &DataSet,
        path: &RelPath,
        content: &Digest,
    ) -> Result<Option<Witness>, FactsError> {
        let real = self.real(around, set, path)?;
        let Some(now) = Witness::of_all(&real)? else {
            return Ok(None);
        };
        let mut seen = set.seen.borrow_mut();
        if let Some(before) = seen.get(path)
            && before.until(&now) == Touch::None
        {
            return Ok(Some(now));
        }
        now.settle();
        let found = around.store.stat_cache().found_at(&real, &nothing)?;
        if found.is_none_or(|found| found.content().content_id() != *content) {
            return Ok(None);
        }
        seen.insert(path.clone(), now.clone());
        Ok(Some(now))
    }
}

/// What is wrong with data at this place.
fn in_the_way(root: &Path, real: &Path, outs: &BTreeSet<RelPath>) -> Option<&'static str> {
    if root.starts_with(real) {
        return Some("holds the pipeline's folder");
    }
    let inside = real.strip_prefix(root).ok()?;
    let Some(inside) = inside.to_str().and_then(|text| RelPath::new(text).ok()) else {
        return Some("lies in the pipeline's folder under a name that no path can have");
    };
    if inside.and_folders().any(|folder| folder == ".restage") {
        return Some("lies in restage's own folder");
    }
    let written = inside.is_within_any(outs) || inside.holds_any(outs);
    written.then_some("is where stages write")
}

/// Where two lists of a folder's files differ.
fn difference(before: &Manifest, now: &Manifest) -> Difference {
    let (mut before, mut now) = (
        before.entries().iter().peekable(),
        now.entries().iter().peekable(),
    );
    let (mut count, mut first) = (0, None);
    loop {
        let order = match (before.peek(), now.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let old = order.is_le().then(|| before.next()).flatten();
        let new = order.is_ge().then(|| now.next()).flatten();
        if old.map(|entry| &entry.node) != new.map(|entry| &entry.node) {
            count += 1;
            if first.is_none() {
                first = old.or(new).map(|entry| entry.path.clone());
            }
        }
    }
    Difference::Files(count, first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_core::digest::ManifestEntry;

    fn list(files: &[(&str, &str)]) -> Manifest {
        let entry = |(path, text): &(&str, &str)| ManifestEntry {
            path: (*path).to_owned(),
            node: Node::File {
                digest: Digest::of(text.as_bytes()),
                size: text.len() as u64,
                executable: false,
            },
        };
        Manifest::new(files.iter().map(entry).collect()).expect("a folder")
    }

    #[test]
    fn new_gone_and_changed_files_are_counted_and_the_first_is_named() {
        let before = list(&[("a", "1"), ("b", "2"), ("c/d", "3"), ("z", "4")]);
        for (now, expected) in [
            (
                vec![("a", "1"), ("b", "x"), ("c/d", "3"), ("z", "4")],
                (1, "b"),
            ),
            (
                vec![("a", "1"), ("c/d", "3"), ("y", "5"), ("z", "4")],
                (2, "b"),
            ),
            (vec![("A", "1")], (5, "A")),
            (vec![], (4, "a")),
        ] {
            let expected = Difference::Files(expected.0, expected.1.to_owned());
            assert_eq!(difference(&before, &list(&now)), expected);
        }
        assert_eq!(
            Difference::Files(12, "a".to_owned()).to_string(),
            "12 files differ (first: `a`)"
        );
        assert_eq!(
            Difference::Files(1, "a\n\u{1b}é".to_owned()).to_string(),
            "1 file differs (`a\\n\\u{1b}é`)"
        );
    }
}
