//! Which workspaces share a store.
//!
//! `workspaces/ID/` has the file `workspace`, with its machine and path, and `history.jsonl`, which
//! no other workspace writes to. The history lies in the store so that gc knows what a workspace
//! needs whose folder can't be seen from here, and can forget what it removes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::listing;
use super::location::{Location, WORKSPACES};
use restage_core::digest::Digest;
use restage_core::fs::{self, StagedFile};
use restage_core::whereabouts::host_name;

/// Another workspace that used the same store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its folder.
    pub root: PathBuf,
    /// The machine that it is on.
    pub host: String,
    /// Whether it is still there.
    pub presence: Presence,
    /// The store's folder about it.
    pub entry: PathBuf,
}

/// Whether a workspace is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its folder is there.
    Here,
    /// It was on this machine and is no longer there.
    Gone,
    /// On another machine, or where this user may not look.
    Unseen,
}

impl Member {
    /// The file of its history.
    pub(super) fn history(&self) -> PathBuf {
        self.entry.join(HISTORY)
    }
}

const HISTORY: &str = "history.jsonl";

/// The file of a workspace's history.
pub(super) fn history(location: &Location) -> PathBuf {
    match (location.shared(), note(location)) {
        (Some(dir), Some(text)) => entry(dir, &text).join(HISTORY),
        _ => location.dir().join(HISTORY),
    }
}

/// A shared store's folder about the workspace of a note.
fn entry(dir: &Path, note: &[u8]) -> PathBuf {
    dir.join(WORKSPACES).join(Digest::of(note).to_string())
}

/// Notes that a workspace uses its store; returns the file of its history.
pub(super) fn join(location: &Location) -> Result<PathBuf, StoreError> {
    let (Some(dir), Some(text)) = (location.shared(), note(location)) else {
        return Ok(history(location));
    };
    let folder = entry(dir, &text);
    let note = folder.join("workspace");
    let explain = |error| location.explain(error);
    if fs::read_own(&note).map_err(explain)?.as_ref() != Some(&text) {
        fs::create_dir_all(&folder).map_err(explain)?;
        location.share(&folder)?;
        let mut staged = StagedFile::new_in(&location.tmp(), &note).map_err(explain)?;
        staged.write(&text)?;
        staged.commit()?;
        location.share(&note)?;
        fs::sync_dir(&folder)?;
    }
    Ok(folder.join(HISTORY))
}

/// The note on a workspace: its machine and path.
fn note(location: &Location) -> Option<Vec<u8>> {
    let root = location.own().parent()?;
    let mut text = host_name().into_bytes();
    text.push(b'\n');
    text.extend_from_slice(root.as_os_str().as_bytes());
    Some(text)
}

/// The other workspaces that used a shared store, in order of their paths.
pub fn members(location: &Location) -> Result<Vec<Member>, StoreError> {
    let mut members = Vec::new();
    let (Some(dir), Some(ours)) = (location.shared(), note(location)) else {
        return Ok(members);
    };
    let ours = Digest::of(&ours);
    for (id, entry) in listing::of_digests(&dir.join(WORKSPACES), "")?.named {
        if id != ours {
            members.push(member(&id, entry)?);
        }
    }
    members.sort_by(|a, b| (&a.root, &a.host).cmp(&(&b.root, &b.host)));
    Ok(members)
}

fn member(id: &Digest, entry: PathBuf) -> Result<Member, StoreError> {
    let text = fs::read_own(&entry.join("workspace"))?.unwrap_or_default();
    let line = text.iter().position(|byte| *byte == b'\n');
    let (Some(end), true) = (line, Digest::of(&text) == *id) else {
        // Cut or edited: that does not mean that the workspace is gone.
        return Ok(Member {
            root: entry.clone(),
            host: "an unknown machine".to_owned(),
            presence: Presence::Unseen,
            entry,
        });
    };
    let name = String::from_utf8_lossy(&text[..end]).into_owned();
    let root = PathBuf::from(OsStr::from_bytes(&text[end + 1..]));
    let presence = match fs::metadata_if_exists(&root) {
        Ok(Some(found)) if found.is_dir() => Presence::Here,
        Ok(_) if name == host_name() => Presence::Gone,
        Ok(_) | Err(_) => Presence::Unseen,
    };
    Ok(Member {
        root,
        host: name,
        presence,
        entry,
    })
}
