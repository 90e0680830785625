//! What commands print, in each format. No decisions are made here.

pub(crate) mod claims;
pub(crate) mod diff;
mod json;
pub(crate) mod junit;
pub(crate) mod lineage;
mod plain;
mod reading;
mod summary;
mod tty;
mod verified;
mod width;

use std::io;

use crate::settings::Settings;
use restage_engine::Observer;

pub(crate) use json::{JsonRenderer, reasons as state_reasons, state};
pub(crate) use reading::Reading;
pub(crate) use summary::{painted_state, plan_lines, reason_text, summary_line};
pub(crate) use verified::{verified_error, verified_json, verified_lines, verified_summary};
pub(crate) use width::{WIDTH, visible};

use plain::PlainRenderer;
use tty::TtyRenderer;

/// Runs something while showing its events, in the form that the settings ask for.
pub(crate) fn observed<T>(
    settings: &Settings,
    quiet: bool,
    cores: u32,
    durations: &dyn Fn(&str) -> Option<f64>,
    go: &mut dyn FnMut(&mut dyn Observer) -> T,
) -> T {
    let style = settings.err_style;
    if settings.json {
        let mut stdout = io::stdout();
        go(&mut JsonRenderer { out: &mut stdout })
    } else if settings.interactive && !quiet {
        let reading = Reading::begins(settings);
        go(&mut TtyRenderer::new(reading, style, cores, durations))
    } else {
        let mut stderr = io::stderr();
        go(&mut PlainRenderer::new(
            &mut stderr,
            style,
            quiet,
            cores,
            durations,
        ))
    }
}
