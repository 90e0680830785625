//! The only place that touches the disk: every error names the operation and the path, and every
//! call passes a fault point.

mod error;
mod lock;
mod ops;
mod place;
mod remove;
mod standing;
mod walk;
mod write;

pub use error::{Context, FsError};
pub use lock::FileLock;
pub use ops::*;
pub use place::{Clone, copy, exchange, hard_link, reflink, symlink};
pub use remove::{empty_below, open_below, remove_all, remove_below, rename_below};
pub use standing::{is_mount_point, may_write, mount_points, move_to};
pub use walk::{Entry, leaves, walk, walk_but, walk_reachable};
pub use write::{
    StagedFile, is_temp_name, temp_name, write_all, write_atomic, write_atomic_from, write_own,
};
