//! A stage that is restage itself: it downloads data (docs/adr/0025). It is started as any other stage, with
//! what it is to do as its arguments, and prints to its log.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::style::Style;
use restage_core::clock::Instant;
use restage_core::fs;
use restage_fetch::{Limits, Order, Policy, Unpack, Watch, fetch as fetch_file};

/// Between two lines about progress.
const PAUSE: Duration = Duration::from_millis(200);

/// Tells the run how far the download is.
struct Events {
    file: Option<File>,
    last: Option<Instant>,
}

impl Events {
    fn say(&mut self, line: &serde_json::Value) {
        // Nobody reads it: the download goes on.
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }
}

impl Watch for Events {
    fn bytes(&mut self, done: u64, total: u64) {
        if done < total && self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        let total = total.max(done);
        let fraction = if total > 0 {
            done as f64 / total as f64
        } else {
            0.0
        };
        self.say(&json!({
            "event": "progress", "done": done, "total": total, "unit": "byte", "fraction": fraction,
        }));
    }

    fn message(&mut self, text: &str) {
        self.say(&json!({"event": "message", "text": text}));
    }
}

/// Downloads what the arguments say.
pub(crate) fn fetch(arguments: &[OsString]) -> Exit {
    let mut out = Output::new(Style { colour: false });
    let result = order(arguments).and_then(|(order, scratch, mut events)| {
        let (policy, limits) = (Policy::DEFAULT, Limits::DEFAULT);
        let fetched = fetch_file(&order, &scratch, &policy, &limits, &mut events);
        fetched.map_err(|error| {
            let hint = error.hint();
            CliError::new(error, Exit::StageFailed).with_hint(hint)
        })
    });
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stage is told where to write by its environment"
)]
fn order(arguments: &[OsString]) -> Result<(Order, PathBuf, Events), CliError> {
    let usage = || CliError::usage("this is how restage starts itself to download `data:`");
    let texts: Option<Vec<&str>> = arguments.iter().map(|text| text.to_str()).collect();
    let Some([url, sha256, unpack, path]) = texts.as_deref() else {
        return Err(usage());
    };
    let kind = match *unpack {
        "" => None,
        name => Some(Unpack::named(name).ok_or_else(usage)?),
    };
    let scratch = std::env::var_os("RESTAGE_SCRATCH").ok_or_else(usage)?;
    let events = std::env::var_os("RESTAGE_EVENTS").map(PathBuf::from);
    let order = Order {
        url: (*url).to_owned(),
        sha256: (*sha256).to_owned(),
        unpack: kind,
        out: PathBuf::from(path),
    };
    let file = events.map(|path| fs::append(&path)).transpose()?;
    Ok((order, scratch.into(), Events { file, last: None }))
}

#[cfg(test)]
mod tests {
    use restage_fetch::Unpack;
    use restage_pipeline::UNPACKED;

    #[test]
    fn what_a_pipeline_can_ask_for_can_be_unpacked() {
        assert_eq!(Unpack::ALL.map(Unpack::name), UNPACKED);
    }
}
