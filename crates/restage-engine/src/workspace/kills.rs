//! What the kernel killed for lack of memory while a run went on.

use std::path::Path;

use super::Workspace;
use restage_core::fs;

impl Workspace {
    /// Remembers that a run begins, for [`Self::killed_for_memory`].
    pub(crate) fn run_begins(&self) {
        self.kills_before.get_or_init(out_of_memory_kills);
    }

    /// How many processes of the machine the kernel has killed for lack of memory since the run
    /// began, also at the limit of a container; `None` where it doesn't say.
    pub(crate) fn killed_for_memory(&self) -> Option<u64> {
        let before = self.kills_before.get().copied().flatten()?;
        Some(out_of_memory_kills()?.saturating_sub(before))
    }
}

/// Processes that the kernel has killed for lack of memory since it started.
fn out_of_memory_kills() -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc/vmstat")).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}
