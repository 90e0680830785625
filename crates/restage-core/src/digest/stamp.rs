//! What `stat` says of a file, and what it shows of changes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;

/// Two ticks of the slowest kernel clock in use (100 Hz).
pub(super) const TICK: i64 = 20_000_000;
/// Two seconds and a bit, for file systems that keep whole seconds, or even ones.
const COARSE_TICK: i64 = 2_100_000_000;

/// What has happened to a file or folder between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Nobody wrote to it.
    None,
    /// It got or lost a name or a permission, or somebody wrote to it and took the times back; or a folder
    /// got or lost what is not there now, or is passed over: only bytes can tell.
    Perhaps,
    /// Somebody wrote to it, or put something else in its place.
    Written,
}

/// Whether a file was last touched long enough before `now`, on [`WallTime::file_clock`], that a
/// later change shows in its times.
pub(super) fn settled_before(stamp: &Stamp, now: WallTime) -> bool {
    let tick = if stamp.ctime % 1_000_000_000 == 0 {
        COARSE_TICK
    } else {
        TICK
    };
    let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    stamp.newest().saturating_add(tick) <= now
}

/// Device and inode.
pub(super) type Id = (u64, u64);

/// What `stat` says of a file that changes when its bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) mtime: i64,
    /// Nanoseconds since 1970.
    pub(super) ctime: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When it was touched last, in nanoseconds since 1970.
    pub(super) fn newest(&self) -> i64 {
        self.mtime.max(self.ctime)
    }

    /// What has happened between this look and a later one. A file system that keeps whole seconds
    /// can hide a write in them.
    pub(super) fn touch(&self, later: &Self) -> Touch {
        let ctime = self.ctime;
        if self == later && ctime % 1_000_000_000 != 0 {
            Touch::None
        } else if *self == (Self { ctime, ..*later }) {
            Touch::Perhaps
        } else {
            Touch::Written
        }
    }

    /// Which file, whatever its name.
    pub(super) fn id(&self) -> Id {
        (self.dev, self.ino)
    }
}
