//! Which workspaces share a store, and what each of them last did.
//! It must not know what they need of it.
//!
//! `workspaces/ID/` has the file `workspace`, its machine and path, and `history.jsonl`, which no
//! other workspace writes to. The history lies in the store, so that `gc` knows what a workspace
//! rests on whose folder can't be seen from its machine, and can forget what it removes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::location::{Location, WORKSPACES};
use super::{Store, StoreError};
use crate::base::fs::{self, StagedFile};
use crate::digest::Digest;

/// Another workspace that used the same store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its folder.
    pub root: PathBuf,
    /// The machine that it is on.
    pub host: String,
    /// What is known of it.
    pub presence: Presence,
    /// Where the store keeps what it knows of it.
    pub entry: PathBuf,
}

/// Whether a workspace is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its folder is there.
    Here,
    /// It was on this machine and is not there any more.
    Gone,
    /// On another machine, or where this user may not look.
    Unseen,
}

/// Notes that a workspace uses its store; returns where its history is.
pub(super) fn join(location: &Location) -> Result<PathBuf, StoreError> {
    let history = |folder: &Path| folder.join("history.jsonl");
    let (Some(dir), Some(root)) = (location.shared(), location.own().parent()) else {
        return Ok(history(location.dir()));
    };
    let mut text = host().into_bytes();
    text.push(b'\n');
    text.extend_from_slice(root.as_os_str().as_bytes());
    let folder = dir.join(WORKSPACES).join(Digest::of(&text).to_string());
    let note = folder.join("workspace");
    let explain = |error| location.explain(error);
    if fs::read_if_exists(&note).map_err(explain)?.as_ref() != Some(&text) {
        fs::create_dir_all(&folder).map_err(explain)?;
        let mut staged = StagedFile::new_in(&dir.join("tmp"), &note).map_err(explain)?;
        staged.write(&text)?;
        staged.commit()?;
        fs::sync_dir(&folder)?;
    }
    Ok(history(&folder))
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

impl Store {
    /// The other workspaces that used this store, in order of their paths.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        let mut members = Vec::new();
        if self.location().shared().is_none() {
            return Ok(members);
        }
        for (id, entry) in self.list(WORKSPACES, "")?.named {
            if self.0.history_path.parent() != Some(&*entry) {
                members.push(member(&id, entry)?);
            }
        }
        members.sort_by(|a, b| (&a.root, &a.host).cmp(&(&b.root, &b.host)));
        Ok(members)
    }

    /// The store as another workspace sees it. It is not to be changed.
    pub fn seen_by(&self, member: &Member) -> Store {
        let location = Location::within(&member.root, self.dir());
        let history = member.entry.join("history.jsonl");
        Store::over(location, history, Arc::clone(&self.0.locks))
    }
}

fn member(id: &Digest, entry: PathBuf) -> Result<Member, StoreError> {
    let text = fs::read_if_exists(&entry.join("workspace"))?.unwrap_or_default();
    let line = text.iter().position(|byte| *byte == b'\n');
    let (Some(end), true) = (line, Digest::of(&text) == *id) else {
        // Cut or edited: nothing says that it is gone.
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
        Ok(_) if name == host() => Presence::Gone,
        Ok(_) | Err(_) => Presence::Unseen,
    };
    Ok(Member {
        root,
        host: name,
        presence,
        entry,
    })
}
