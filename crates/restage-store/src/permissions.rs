//! Who may read what a store holds: in a workspace's own store whoever may read what the stage wrote,
//! in a shared one whoever may read the store's folder.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::StoreError;
use super::location::Location;
use restage_core::fs;

impl Location {
    /// Gives a file or folder that was just made in a shared store the permissions of the store's
    /// folder, whatever this process's umask: other users need it. Does nothing in a workspace's
    /// own store.
    pub(super) fn share(&self, path: &Path) -> Result<(), StoreError> {
        let Some(dir) = self.shared().filter(|dir| path.starts_with(dir)) else {
            return Ok(());
        };
        let found = fs::symlink_metadata(path)?;
        let may = fs::metadata(dir)?.mode() & 0o777;
        let may = if found.is_dir() { may } else { may & 0o666 };
        let mode = found.mode() & 0o7777;
        match mode | may {
            wider if wider != mode => Ok(fs::set_mode(path, wider)?),
            _ => Ok(()),
        }
    }

    /// The permission bits of an object whose bytes a stage wrote into a file of this mode. In a
    /// workspace's own store nobody may read it who may not read the file. In a shared one those may
    /// who may read the store's folder, unless the stage itself made the file private.
    pub(super) fn object_mode(&self, file: u32) -> u32 {
        let file = file & 0o444 | 0o400;
        let dir = self.shared().map(fs::metadata);
        let Some(Ok(dir)) = dir else {
            return file;
        };
        match 0o444 & !umask() & !file {
            0 => dir.mode() & 0o444 | 0o400,
            _ => file,
        }
    }
}

/// What this process takes from the permissions of a new file; the usual value if unknown. To ask
/// the kernel by the call of that name would change it for a moment, also for other threads.
fn umask() -> u32 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok())
        .unwrap_or(0o022)
}
