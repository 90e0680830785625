//! One file a verb.
//! They must not run stages themselves; the runner does.

pub(crate) mod claims;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod dag;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod gc;
mod import;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod merge_lock;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod schema;
mod since;
pub(crate) mod status;
pub(crate) mod trace;
pub(crate) mod verify;
pub(crate) mod why;
