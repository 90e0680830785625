//! Large files in parts. What was sent is noted, so that the next push goes on where a killed one ended.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::each::{all_of, each};
use super::error::RemoteError;
use super::remote::{Remote, moved};
use super::transport::Parts;
use restage_core::digest::Digest;
use restage_core::fs::{self, Context};

/// From this size on a file goes in parts.
pub(crate) const LARGE: u64 = 16 << 20;

/// The usual size of a part.
pub(crate) const PART: u64 = 8 << 20;

/// S3 has 10,000 parts at most.
const MOST_PARTS: u64 = 9_000;

/// Parts on their way at once.
pub(crate) const AT_ONCE: usize = 8;

/// What was sent of an upload.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Where it goes.
    to: String,
    size: u64,
    part: u64,
    upload: String,
    /// The tags of parts that were sent, by their numbers.
    tags: BTreeMap<u16, String>,
}

/// The folder of notes.
#[derive(Debug, Clone)]
pub(crate) struct Uploads(pub(crate) PathBuf);

impl Uploads {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("{digest}.json"))
    }

    /// A note that can't be read is none: the file is sent from its start.
    fn read(&self, digest: &Digest) -> Result<Option<Note>, RemoteError> {
        let bytes = fs::read_own(&self.path(digest))?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).ok())
    }

    fn write(&self, digest: &Digest, note: &Note) -> Result<(), RemoteError> {
        let text = serde_json::to_string(note).expect("texts and numbers");
        Ok(fs::write_own(&self.path(digest), text.as_bytes())?)
    }

    fn remove(&self, digest: &Digest) -> Result<(), RemoteError> {
        Ok(fs::remove_all(&self.path(digest))?)
    }
}

/// Sends the object at `path` in parts.
pub(crate) fn send(
    remote: &Remote,
    parts: &dyn Parts,
    name: &str,
    (path, digest, size): (&Path, &Digest, u64),
    uploads: &Uploads,
) -> Result<(), RemoteError> {
    fs::create_dir_all(&uploads.0)?;
    let whole = Whole {
        remote,
        parts,
        name,
        path,
        digest,
        size,
        uploads,
    };
    match whole.send() {
        // The server cleans up what nobody finished.
        Err(RemoteError::UploadGone { .. }) => {
            uploads.remove(digest)?;
            whole.send()
        }
        done => done,
    }
}

struct Whole<'a> {
    remote: &'a Remote,
    parts: &'a dyn Parts,
    name: &'a str,
    path: &'a Path,
    digest: &'a Digest,
    size: u64,
    uploads: &'a Uploads,
}

impl Whole<'_> {
    fn send(&self) -> Result<(), RemoteError> {
        let to = self.remote.shown(self.name);
        let part = PART.max(self.size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
        let known = self.uploads.read(self.digest)?;
        let known = known.filter(|note| (&note.to, note.size, note.part) == (&to, self.size, part));
        let note = match known {
            Some(note) => note,
            None => {
                let note = Note {
                    upload: self.remote.patiently(|| self.parts.begin(self.name))?,
                    tags: BTreeMap::new(),
                    to,
                    size: self.size,
                    part,
                };
                self.uploads.write(self.digest, &note)?;
                note
            }
        };
        let count = u16::try_from(self.size.div_ceil(part)).unwrap_or(u16::MAX);
        let missing: Vec<u16> = (1..=count)
            .filter(|number| !note.tags.contains_key(number))
            .collect();
        let upload = note.upload.clone();
        let note = Mutex::new(note);
        let sent = each(&missing, AT_ONCE, &|number| {
            self.send_part(*number, part, &upload, &note)
        });
        all_of(sent)?;
        let note = note.into_inner().unwrap_or_else(PoisonError::into_inner);
        let tags: Vec<String> = note.tags.into_values().collect();
        let finished = self
            .remote
            .patiently(|| self.parts.finish(self.name, &upload, &tags));
        match finished {
            // The answer to an earlier try may be what was lost.
            Err(RemoteError::UploadGone { .. }) if self.is_there()? => {}
            done => done?,
        }
        if !self.is_there()? {
            self.uploads.remove(self.digest)?;
            return Err(RemoteError::Nonsense {
                what: self.remote.shown(self.name),
                problem: "what was sent in parts is not there as a whole".to_owned(),
            });
        }
        self.uploads.remove(self.digest)
    }

    fn is_there(&self) -> Result<bool, RemoteError> {
        Ok(self.remote.size(self.name)? == Some(self.size))
    }

    fn send_part(
        &self,
        number: u16,
        part: u64,
        upload: &str,
        note: &Mutex<Note>,
    ) -> Result<(), RemoteError> {
        let at = (u64::from(number) - 1) * part;
        let length = part.min(self.size - at);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let file = fs::open_own(self.path)?;
        file.read_exact_at(&mut bytes, at).at("read", self.path)?;
        let tag = self
            .remote
            .patiently(|| self.parts.send(self.name, upload, number, &bytes))?;
        moved(length);
        let mut note = note.lock().unwrap_or_else(PoisonError::into_inner);
        note.tags.insert(number, tag);
        self.uploads.write(self.digest, &note)
    }
}
