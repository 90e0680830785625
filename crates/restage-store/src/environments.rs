//! Software environments, each made once and then only read (docs/adr/0027).
//!
//! `environments/<digest>/<variant>/` is one: the digest says what is installed, the variant where, since
//! scripts in it name its own path and its interpreter. Beside it `<variant>.files` lists every file with
//! its digest, and `<variant>.json` is written last: without it there is no environment.

use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::listing::{self, Listing};
use super::location::Location;
use super::sealed::{seal, unseal};
use super::trash::Trash;
use restage_core::digest::{Digest, Frame, Witness, digest_file, nothing};
use restage_core::fs::{self, StagedFile};

/// The folder in a store.
pub(super) const FOLDER: &str = "environments";
/// The folder in a workspace's own store of what was found to make them with.
pub(super) const FOUND: &str = "interpreters";
/// Digits of a variant's name.
const VARIANT: usize = 16;

/// The environments of a store.
#[derive(Debug)]
pub struct Environments {
    location: Location,
    trash: Trash,
}

/// Where one environment is, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPlace {
    digest: Digest,
    path: PathBuf,
}

/// What is written beside an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentNote {
    /// The digest of what is installed.
    pub environment: Digest,
    /// By what it was made.
    pub kind: String,
    /// The interpreter that it was made with; empty if that is part of it.
    pub interpreter: PathBuf,
    /// When it was made: RFC 3339, UTC.
    pub made: String,
    /// The digest of the list of its files.
    pub files: Digest,
}

impl EnvironmentPlace {
    /// The folder that programs find their packages in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest to lock while it is made.
    pub fn lock(&self) -> Digest {
        let mut frame = Frame::new("restage environment's place");
        frame.digest(&self.digest);
        frame.digest(&Digest::of(self.path.as_os_str().as_bytes()));
        frame.finish()
    }

    fn with(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        self.path.with_file_name(name)
    }

    /// A file for its installer to read while it is made. Some of them go by the ending.
    pub fn beside(&self) -> PathBuf {
        self.with(".txt")
    }

    /// What was noted when it was made; `None` if it was not, or if that is damaged.
    pub fn note(&self) -> Result<Option<EnvironmentNote>, StoreError> {
        let bytes = fs::read_own(&self.with(".json"))?;
        let text = bytes.as_deref().and_then(|bytes| unseal(bytes).ok());
        let note: Option<EnvironmentNote> = text.and_then(|text| serde_json::from_str(text).ok());
        Ok(note.filter(|note| note.environment == self.digest))
    }

    /// Whether it can be used: it was made, and is still there with its interpreter. What its files hold
    /// is for fsck to say.
    pub fn is_ready(&self) -> Result<bool, StoreError> {
        let Some(note) = self.note()? else {
            return Ok(false);
        };
        let interpreter = &note.interpreter;
        let has_interpreter = interpreter.as_os_str().is_empty() || fs::exists(interpreter)?;
        Ok(has_interpreter && fs::exists(&self.path)?)
    }

    /// Whether somebody may have written to it since it was noted: a time of change, which nobody can set, tells.
    fn is_touched(&self) -> Result<bool, StoreError> {
        let Some(noted) = fs::metadata_if_exists(&self.with(".json"))? else {
            // Somebody else found it changed: the check says so.
            return Ok(true);
        };
        let noted = (noted.mtime(), noted.mtime_nsec());
        let since = |found: &Metadata| (found.ctime(), found.ctime_nsec()) >= noted;
        let own = fs::symlink_metadata(&self.path)?;
        let mut inside = fs::walk(&self.path)?.into_iter();
        Ok(since(&own) || inside.any(|entry| since(&entry.metadata)))
    }

    /// Compares every file with the list of them; says what differs.
    pub(super) fn check(&self) -> Result<Option<String>, StoreError> {
        let Some(note) = self.note()? else {
            return Ok(Some("the note beside it is damaged".to_owned()));
        };
        let list = fs::read_if_exists(&self.with(".files"))?.unwrap_or_default();
        if Digest::of(&list) != note.files {
            return Ok(Some("the list of its files is damaged".to_owned()));
        }
        if fs::symlink_metadata_if_exists(&self.path)?.is_none() {
            return Ok(Some("it is gone".to_owned()));
        }
        let now = match listed(&self.path) {
            Ok(now) => now,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let list = String::from_utf8_lossy(&list).into_owned();
        if now == list {
            return Ok(None);
        }
        let differs = |a: &str, b: &str| {
            let there: std::collections::BTreeSet<&str> = b.lines().collect();
            let mut lines = a.lines().filter(|line| !there.contains(line));
            lines
                .next()
                .and_then(|line| Some(line.split_once(' ')?.1.to_owned()))
        };
        let file = differs(&list, &now)
            .or_else(|| differs(&now, &list))
            .unwrap_or_default();
        Ok(Some(format!("`{file}` is not as it was installed")))
    }
}

impl Environments {
    pub(super) fn new(location: &Location, trash: &Trash) -> Self {
        Self {
            location: location.clone(),
            trash: trash.clone(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.location.dir().join(FOLDER)
    }

    /// The place of an environment that is made with this interpreter.
    pub fn place(
        &self,
        digest: &Digest,
        interpreter: &Path,
    ) -> Result<EnvironmentPlace, StoreError> {
        // Scripts name it by its real path, which is how a stage sees it.
        let dir = match fs::exists(self.location.dir())? {
            true => fs::canonicalize(self.location.dir())?,
            false => self.location.dir().to_owned(),
        };
        let folder = dir.join(FOLDER).join(digest.to_string());
        let mut frame = Frame::new("restage environment's variant");
        frame.digest(&Digest::of(folder.as_os_str().as_bytes()));
        frame.digest(&Digest::of(interpreter.as_os_str().as_bytes()));
        let variant = frame.finish().to_string();
        Ok(EnvironmentPlace {
            digest: *digest,
            path: folder.join(&variant[..VARIANT]),
        })
    }

    /// Makes room for an environment: removes what an attempt left there. Its lock must be held.
    pub fn begin(&self, place: &EnvironmentPlace) -> Result<(), StoreError> {
        self.drop_place(place)?;
        let folder = place.path.parent().unwrap_or(&place.path);
        if !fs::exists(folder)? {
            fs::create_dir_all(folder)?;
            self.location.share(&self.folder())?;
            self.location.share(folder)?;
        }
        Ok(())
    }

    /// Says that an environment is complete: its folders become read-only, its files are listed and
    /// flushed, and only then is it noted.
    pub fn finish(
        &self,
        place: &EnvironmentPlace,
        kind: &str,
        interpreter: &Path,
        made: &str,
    ) -> Result<(), StoreError> {
        let disk: File = fs::open(self.location.dir())?;
        for entry in fs::walk(&place.path)? {
            if entry.metadata.is_dir() {
                let path = place.path.join(&entry.path);
                fs::set_mode(&path, entry.metadata.mode() & 0o555)?;
            }
        }
        fs::set_mode(&place.path, fs::metadata(&place.path)?.mode() & 0o555)?;
        let list = listed(&place.path)?;
        fs::write_atomic(&place.with(".files"), list.as_bytes())?;
        fs::sync_file_system(&disk, &place.path)?;
        // The note is later than all of it.
        Witness::of(&place.path, &nothing)?.settle();
        let note = EnvironmentNote {
            environment: place.digest,
            kind: kind.to_owned(),
            interpreter: interpreter.to_owned(),
            made: made.to_owned(),
            files: Digest::of(list.as_bytes()),
        };
        let text = serde_json::to_string(&note).expect("texts alone");
        if fs::exists(&place.beside())? {
            fs::remove_file(&place.beside())?;
        }
        let path = place.with(".json");
        fs::write_atomic(&path, seal(&text).as_bytes())?;
        self.location.share(&place.with(".files"))?;
        self.location.share(&path)
    }

    /// What is not as it was installed, if anything; the files are read only if somebody may have written to them.
    pub fn look(&self, place: &EnvironmentPlace) -> Result<Option<String>, StoreError> {
        if !place.is_touched()? {
            return Ok(None);
        }
        let path = place.with(".json");
        // Later than all of it, and before it is read: what is written meanwhile is later than this note.
        if let Some(now) = Witness::of_any(&place.path, &nothing)? {
            now.settle();
        }
        let renewed = fs::read_own(&path)?.and_then(|note| {
            let mut staged = StagedFile::new(&path).ok()?;
            staged.write(&note).ok()?;
            Some(staged)
        });
        let what = place.check()?;
        if what.is_none()
            && let Some(renewed) = renewed
        {
            // Who may not write here reads them each time.
            if renewed.commit_unflushed().is_ok() {
                self.location.share(&path)?;
            }
        }
        Ok(what)
    }

    /// Says that an environment is not to be used any more. Stages that run in it may end.
    pub fn condemn(&self, place: &EnvironmentPlace) -> Result<(), StoreError> {
        Ok(fs::remove_all(&place.with(".json"))?)
    }

    /// Forgets an environment and removes it; what can't be removed is worth a warning.
    pub fn drop_place(&self, place: &EnvironmentPlace) -> Result<(), StoreError> {
        for path in [place.with(".json"), place.with(".files"), place.beside()] {
            if fs::symlink_metadata_if_exists(&path)?.is_some() {
                fs::remove_file(&path)?;
            }
        }
        if fs::symlink_metadata_if_exists(&place.path)?.is_some() {
            self.trash.remove(&place.path);
        }
        Ok(())
    }

    /// Folders by the digest of what is installed in the environments there.
    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        listing::of_digests(&self.folder(), "")
    }

    /// Environments that were made, or are said to be.
    pub(super) fn all(&self) -> Result<Vec<EnvironmentPlace>, StoreError> {
        let mut places = Vec::new();
        for (digest, folder) in self.list()?.named {
            for name in fs::read_dir_if_exists(&folder)? {
                let variant = name.to_str().and_then(|name| name.strip_suffix(".json"));
                places.extend(variant.map(|variant| EnvironmentPlace {
                    digest,
                    path: folder.join(variant),
                }));
            }
        }
        Ok(places)
    }

    /// What was found to make environments with, for a request; damaged notes are none.
    pub fn found(&self, request: &Digest) -> Result<Option<String>, StoreError> {
        let path = self.location.own().join(FOUND).join(request.to_string());
        let bytes = fs::read_own(&path)?;
        let text = bytes.as_deref().and_then(|bytes| unseal(bytes).ok());
        Ok(text.map(str::to_owned))
    }

    /// Notes what was found for a request. Losing it costs the time of asking again.
    pub fn note_found(&self, request: &Digest, text: &str) -> Result<(), StoreError> {
        let folder = self.location.own().join(FOUND);
        fs::create_dir_all(&folder)?;
        let path = folder.join(request.to_string());
        let mut staged = StagedFile::new_in(&self.location.own_tmp(), &path)?;
        staged.write(seal(text).as_bytes())?;
        Ok(staged.commit_unflushed()?)
    }
}

/// A line for each file and link in a folder: its digest, or what it leads to, and its path. Names that
/// are not text are written so that they stay distinct.
fn listed(root: &Path) -> Result<String, StoreError> {
    let entries = fs::walk(root)?;
    let lines: Vec<Option<String>> = entries
        .par_iter()
        .map(|entry| {
            let path = root.join(&entry.path);
            let shown = restage_core::digest::distinct_text(entry.path.as_os_str().as_bytes());
            let content = if entry.metadata.is_dir() {
                return Ok(None);
            } else if entry.metadata.is_symlink() {
                let target = fs::read_link(&path)?;
                Digest::of(target.as_os_str().as_bytes()).to_string() + "@"
            } else {
                digest_file(&path)?.to_string()
            };
            Ok(Some(format!("{content} {}", shown.escape_debug())))
        })
        .collect::<Result<_, StoreError>>()?;
    let mut text = String::new();
    for line in lines.into_iter().flatten() {
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store_lock::StoreLock;

    struct Setup {
        _dir: tempfile::TempDir,
        environments: Environments,
        place: EnvironmentPlace,
    }

    fn setup() -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::alone(&dir.path().join(".restage"));
        let lock = StoreLock::take(&location, &|| {}).unwrap();
        location.make().unwrap();
        let trash = Trash::new(&location, &Arc::new(lock));
        let environments = Environments::new(&location, &trash);
        let place = environments
            .place(&Digest::of(b"numpy"), Path::new("/bin/sh"))
            .unwrap();
        Setup {
            _dir: dir,
            environments,
            place,
        }
    }

    fn make(setup: &Setup) {
        let Setup {
            environments,
            place,
            ..
        } = setup;
        environments.begin(place).unwrap();
        std::fs::create_dir_all(place.path().join("lib")).unwrap();
        std::fs::write(place.path().join("lib/a.py"), "1").unwrap();
        std::os::unix::fs::symlink("lib", place.path().join("lib64")).unwrap();
        environments
            .finish(place, "uv", Path::new("/bin/sh"), "now")
            .unwrap();
    }

    /// The file that is changed, and how.
    type Change = (&'static str, fn(&Path));

    /// Lets even somebody who is not root change what is in it.
    fn open(place: &EnvironmentPlace) {
        for path in [place.path(), &place.path().join("lib")] {
            fs::set_mode(path, 0o755).unwrap();
        }
    }

    #[test]
    fn there_is_an_environment_only_once_all_of_it_is_noted() {
        let setup = setup();
        let Setup {
            environments,
            place,
            ..
        } = &setup;
        assert!(!place.is_ready().unwrap());
        environments.begin(place).unwrap();
        std::fs::create_dir(place.path()).unwrap();
        std::fs::write(place.path().join("half"), "1").unwrap();
        assert!(!place.is_ready().unwrap());
        make(&setup);
        assert!(place.is_ready().unwrap() && !place.path().join("half").exists());
        assert_eq!(environments.all().unwrap(), std::slice::from_ref(place));
        assert_eq!(
            std::fs::metadata(place.path().join("lib")).unwrap().mode() & 0o222,
            0
        );
        std::fs::write(place.with(".json"), "{}\n").unwrap();
        assert!(!place.is_ready().unwrap());
    }

    #[test]
    fn another_interpreter_or_store_has_a_place_of_its_own() {
        let (one, other) = (setup(), setup());
        let digest = Digest::of(b"numpy");
        let elsewhere = one
            .environments
            .place(&digest, Path::new("/bin/bash"))
            .unwrap();
        assert_ne!(elsewhere, one.place);
        assert_ne!(elsewhere.lock(), one.place.lock());
        assert_ne!(one.place.path().file_name(), other.place.path().file_name());
        assert_eq!(
            one.environments
                .place(&digest, Path::new("/bin/sh"))
                .unwrap(),
            one.place
        );
    }

    #[test]
    fn an_environment_without_its_interpreter_is_none() {
        let setup = setup();
        make(&setup);
        let gone = setup
            .environments
            .place(&Digest::of(b"x"), Path::new("/no/python"))
            .unwrap();
        setup.environments.begin(&gone).unwrap();
        std::fs::create_dir(gone.path()).unwrap();
        setup
            .environments
            .finish(&gone, "uv", Path::new("/no/python"), "now")
            .unwrap();
        assert!(!gone.is_ready().unwrap());
    }

    #[test]
    fn every_change_of_a_file_or_a_link_is_found() {
        let changes: [Change; 4] = [
            ("lib/a.py", |root| {
                std::fs::write(root.join("lib/a.py"), "2").unwrap()
            }),
            ("lib/a.py", |root| {
                std::fs::remove_file(root.join("lib/a.py")).unwrap()
            }),
            ("lib/new.py", |root| {
                std::fs::write(root.join("lib/new.py"), "").unwrap()
            }),
            ("lib64", |root| {
                std::fs::remove_file(root.join("lib64")).unwrap();
                std::os::unix::fs::symlink("/lib", root.join("lib64")).unwrap();
            }),
        ];
        for (file, change) in changes {
            let setup = setup();
            make(&setup);
            assert_eq!(setup.place.check().unwrap(), None);
            open(&setup.place);
            change(setup.place.path());
            let said = format!("`{file}` is not as it was installed");
            assert_eq!(setup.place.check().unwrap(), Some(said));
        }
    }

    #[test]
    fn an_environment_is_read_again_only_once_somebody_may_have_written_to_it() {
        let setup = setup();
        make(&setup);
        let Setup {
            environments,
            place,
            ..
        } = &setup;
        assert!(!place.is_touched().unwrap());
        assert_eq!(environments.look(place).unwrap(), None);
        // A permission is no content, and the next look knows it.
        open(place);
        assert!(place.is_touched().unwrap());
        assert_eq!(environments.look(place).unwrap(), None);
        assert!(!place.is_touched().unwrap() && place.is_ready().unwrap());
        let file = place.path().join("lib/a.py");
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "2").unwrap();
        let open = File::options().write(true).open(&file).unwrap();
        open.set_modified(time).unwrap();
        let said = Some("`lib/a.py` is not as it was installed".to_owned());
        assert_eq!(environments.look(place).unwrap(), said);
        assert_eq!(environments.look(place).unwrap(), said);
        environments.condemn(place).unwrap();
        assert!(!place.is_ready().unwrap() && file.exists());
        assert!(environments.look(place).unwrap().is_some());
    }

    #[test]
    fn what_was_found_reads_back_and_a_damaged_note_is_nothing() {
        let setup = setup();
        let (environments, request) = (&setup.environments, Digest::of(b"3.11"));
        assert_eq!(environments.found(&request).unwrap(), None);
        environments.note_found(&request, "python").unwrap();
        assert_eq!(
            environments.found(&request).unwrap().as_deref(),
            Some("python")
        );
        let path = environments
            .location
            .own()
            .join(FOUND)
            .join(request.to_string());
        std::fs::write(path, "pyth").unwrap();
        assert_eq!(environments.found(&request).unwrap(), None);
    }
}
