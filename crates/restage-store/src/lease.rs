//! Leases: who may write in a key's scratch folder when a kernel lock can't say it, because its owner is on
//! a machine that can't be seen (docs/adr/0036).
//!
//! ```text
//! claims/KEY.lease        whose the key is now; replaced by a rename, and by that alone
//! claims/KEY.TOKEN.live   changes as long as the holder of that token lives
//! claims/KEY.TOKEN.gone   what that holder had started has ended: it writes no more
//! claims/KEY.TOKEN.heir   who writes after it, and in which scratch folder; made once
//! ```
//! The rules are here without a file and without a clock: [`Watch`] for who holds a lease, [`Wait`] for who
//! wants it. Clocks of two machines are never compared.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::token::Token;
use restage_core::clock::WallTime;
use restage_core::digest::Digest;
use restage_core::fs::{self, FsError};
use restage_core::whereabouts::host_name;

/// How long things take; all of it follows from how often a holder looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    look: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self::looking_every(Duration::from_secs(30))
    }
}

impl Terms {
    /// Holders look this often whether the lease is theirs.
    pub fn looking_every(look: Duration) -> Self {
        Self { look }
    }

    /// How often a holder looks.
    pub fn look(self) -> Duration {
        self.look
    }

    /// A holder that could not read its lease for so long has lost it.
    fn unread(self) -> Duration {
        self.look * 2
    }

    /// A holder that has not beaten for so long is given up.
    fn silent(self) -> Duration {
        self.look * 4
    }
}

/// What a holder found where its lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Its own token.
    Mine,
    /// Another's.
    Others,
    /// Nothing that can be read.
    Unreadable,
}

/// A holder's knowledge of its lease.
#[derive(Debug, Clone)]
pub struct Watch {
    terms: Terms,
    read_at: Duration,
    is_lost: bool,
}

impl Watch {
    /// Of a lease that was taken at this time, by the holder's clock.
    pub fn new(terms: Terms, now: Duration) -> Self {
        Self {
            terms,
            read_at: now,
            is_lost: false,
        }
    }

    /// Notes what was found by a look that began at this time.
    pub fn looked(&mut self, began: Duration, seen: Seen) {
        match seen {
            Seen::Mine => self.read_at = began,
            Seen::Others => self.is_lost = true,
            Seen::Unreadable => {}
        }
    }

    /// Whether the holder must end what it started.
    pub fn is_lost(&self, now: Duration) -> bool {
        self.is_lost || now.saturating_sub(self.read_at) >= self.terms.unread()
    }
}

/// How a holder was outlived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlived {
    /// It said that it writes no more.
    Gone,
    /// It only fell silent, and may write yet.
    Silent,
}

/// A wait until a holder writes no more, or has fallen silent.
#[derive(Debug, Clone)]
struct Wait {
    terms: Terms,
    beat: Option<Vec<u8>>,
    since: Duration,
}

impl Wait {
    /// Begins now, by the clock of who waits.
    fn new(terms: Terms, now: Duration) -> Self {
        Self {
            terms,
            beat: None,
            since: now,
        }
    }

    /// What a look at the holder's files found; whether that is the end of it.
    fn looked(&mut self, now: Duration, gone: bool, beat: Option<Vec<u8>>) -> Option<Outlived> {
        if gone {
            return Some(Outlived::Gone);
        }
        if beat.is_some() && beat != self.beat {
            self.beat = beat;
            self.since = now;
        }
        let silent = now.saturating_sub(self.since) >= self.terms.silent();
        silent.then_some(Outlived::Silent)
    }
}

/// How somebody becomes the heir of a holder, or of its last heir. Who writes after whom is settled by files that
/// are made once, so that it holds where kernel locks don't.
#[derive(Debug, Clone)]
pub(super) struct Succession {
    terms: Terms,
    /// Whose heir it would be.
    pub(super) holder: Token,
    /// The scratch folder of that one.
    pub(super) scratch: u32,
    wait: Wait,
}

/// What to do after a look at the holder's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at another holder.
    Look,
    /// Become the heir, with this scratch folder, unless somebody else has.
    Inherit(u32, Outlived),
    /// Wait for a while.
    Wait,
}

impl Succession {
    /// Begins with a holder that was found, and its scratch folder.
    pub(super) fn new(terms: Terms, holder: Token, scratch: u32, now: Duration) -> Self {
        Self {
            terms,
            holder,
            scratch,
            wait: Wait::new(terms, now),
        }
    }

    /// Goes by what was found.
    pub(super) fn looked(&mut self, now: Duration, found: Found) -> Next {
        if let Some(Heir { token, scratch }) = found.heir {
            *self = Self::new(self.terms, token, scratch, now);
            return Next::Look;
        }
        match self.wait.looked(now, found.is_gone, found.beat) {
            Some(Outlived::Gone) => Next::Inherit(self.scratch, Outlived::Gone),
            Some(Outlived::Silent) => Next::Inherit(self.scratch + 1, Outlived::Silent),
            None => Next::Wait,
        }
    }
}

/// What a lease says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    token: Token,
    /// The machine, for people.
    host: String,
    /// RFC 3339, UTC, for people.
    since: String,
}

/// Who writes after a holder, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heir {
    pub(super) token: Token,
    /// The scratch folder, from 1.
    pub(super) scratch: u32,
}

/// The right to write in a key's scratch folder, as long as nobody takes it.
#[derive(Debug, Clone)]
pub struct Lease {
    folder: PathBuf,
    key: Digest,
    token: Token,
}

impl Lease {
    /// Takes the lease, from whoever has it: that one ends what it started when it looks.
    pub(super) fn take(folder: &Path, key: &Digest) -> Result<Self, StoreError> {
        let lease = Self {
            folder: folder.to_owned(),
            key: *key,
            token: Token::new(),
        };
        let note = Note {
            token: lease.token.clone(),
            host: host_name(),
            since: WallTime::now().to_string(),
        };
        lease.beat(0)?;
        fs::write_own(&path(folder, key), json(&note).as_bytes())?;
        Ok(lease)
    }

    /// Its token.
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Looks whose the lease is: by opening the file, which asks the server of a network file system, and
    /// never by `stat`, which does not.
    pub fn look(&self) -> Seen {
        let bytes = fs::read(&path(&self.folder, &self.key)).ok();
        match bytes.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok()) {
            Some(note) if note.token == self.token => Seen::Mine,
            Some(_) => Seen::Others,
            None => Seen::Unreadable,
        }
    }

    /// Shows that the holder lives. Each call has another number.
    pub fn beat(&self, count: u64) -> Result<(), FsError> {
        let file = of(&self.folder, &self.key, &self.token, "live");
        fs::write_own(&file, count.to_string().as_bytes())
    }

    /// Says that what the holder had started has ended.
    pub fn say_gone(&self) -> Result<(), FsError> {
        fs::write_own(&of(&self.folder, &self.key, &self.token, "gone"), b"")
    }

    /// Makes this the heir of another holder, unless that has one already.
    pub(super) fn inherit(&self, from: &Token, scratch: u32) -> Result<bool, FsError> {
        let heir = Heir {
            token: self.token.clone(),
            scratch,
        };
        let path = of(&self.folder, &self.key, from, "heir");
        // Whole from the start, and only if it is not there: whoever reads it goes by it.
        let temp = fs::temp_name(&path);
        fs::write_own(&temp, json(&heir).as_bytes())?;
        let linked = fs::hard_link(&temp, &path);
        fs::remove_file(&temp)?;
        match linked {
            Ok(true) => Ok(true),
            // Without a second name, readers wait until it is whole.
            Ok(false) => made(fs::create_new(&path).and_then(|mut file| {
                fs::write_all(&mut file, json(&heir).as_bytes(), &path)?;
                fs::sync_file(&path)
            })),
            Err(error) => made(Err(error)),
        }
    }

    /// Gives a lease up by which nothing was started.
    pub(super) fn withdraw(&self) {
        // What stays does no harm, and gc finds it.
        let _ = fs::remove_file(&of(&self.folder, &self.key, &self.token, "live"));
    }

    /// Removes what the store has of a lease that is still ours: what was started has ended, and the kernel lock
    /// says so.
    pub fn remove(&self) {
        for file in [
            of(&self.folder, &self.key, &self.token, "live"),
            path(&self.folder, &self.key),
        ] {
            // What stays does no harm, and gc finds it.
            let _ = fs::remove_file(&file);
        }
    }
}

/// Whether something was made, or was there.
fn made(result: Result<(), FsError>) -> Result<bool, FsError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.source.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a holder's files say.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// It writes no more.
    pub(super) is_gone: bool,
    /// What shows that it lives.
    pub(super) beat: Option<Vec<u8>>,
    /// Who writes after it. `None` where that is yet to be written, too.
    pub(super) heir: Option<Heir>,
}

/// Looks at a holder's files: their folder is listed, because a name that was looked for too early stays absent for
/// half a minute on a network file system.
pub(super) fn look_at(folder: &Path, key: &Digest, token: &Token) -> Result<Found, StoreError> {
    let names = fs::read_dir(folder)?;
    let there = |what: &str| {
        let path = of(folder, key, token, what);
        names
            .iter()
            .any(|name| path.file_name() == Some(name))
            .then_some(path)
    };
    let read = |what: &str| match there(what) {
        Some(path) => fs::read_if_exists(&path),
        None => Ok(None),
    };
    let heir = read("heir")?;
    Ok(Found {
        is_gone: there("gone").is_some(),
        beat: read("live")?,
        heir: heir.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
    })
}

/// The key of a name in the folder of claims that is a lease's.
pub(super) fn key_of(name: &str) -> Option<Digest> {
    let (key, rest) = name.split_once('.')?;
    let is_ours = rest == "lease"
        || [".live", ".gone", ".heir"]
            .iter()
            .any(|ending| rest.ends_with(ending));
    is_ours.then(|| key.parse().ok())?
}

fn path(folder: &Path, key: &Digest) -> PathBuf {
    folder.join(format!("{key}.lease"))
}

fn of(folder: &Path, key: &Digest, token: &Token, what: &str) -> PathBuf {
    folder.join(format!("{key}.{token}.{what}"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers")
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
