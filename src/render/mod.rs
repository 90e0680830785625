//! What commands print, in each format. No decisions are made here.

pub(crate) mod claims;
pub(crate) mod diff;
mod json;
pub(crate) mod junit;
pub(crate) mod lineage;
mod plain;
mod summary;
mod tty;
mod verified;

pub(crate) use json::{JsonRenderer, reasons as state_reasons, state};
pub(crate) use plain::PlainRenderer;
pub(crate) use summary::{painted_state, plan_lines, reason_text, summary_line};
pub(crate) use tty::TtyRenderer;
pub(crate) use verified::{verified_error, verified_json, verified_lines, verified_summary};
