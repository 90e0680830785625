//! What is read before anything can be decided, and what is pushed and pulled: shown on a terminal if it takes a while.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::tty::spinning;
use crate::format::size;
use crate::settings::Settings;
use restage_core::digest::bytes_digested;
use restage_remote::bytes_moved;

/// Shorter waits need no word.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

/// What is counted, and how that is said.
struct Count {
    doing: &'static str,
    bytes: fn() -> u64,
    done: &'static str,
}

/// Inputs that are digested.
const INPUTS: Count = Count {
    doing: "looking at inputs",
    bytes: bytes_digested,
    done: "read",
};

/// Objects on their way to a remote, or from one.
const OBJECTS: Count = Count {
    doing: "asking the remote",
    bytes: bytes_moved,
    done: "transferred",
};

/// A line that is there as long as this is. Nothing else may be drawn meanwhile.
#[derive(Debug)]
pub(crate) struct Reading {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Nothing is shown where progress can't be drawn.
    pub(crate) fn begins(settings: &Settings) -> Self {
        Self::counts(settings, &INPUTS)
    }

    /// The same, of what is pushed or pulled.
    pub(crate) fn of_objects(settings: &Settings) -> Self {
        Self::counts(settings, &OBJECTS)
    }

    fn counts(settings: &Settings, count: &'static Count) -> Self {
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let seen = Arc::clone(&ended);
        let thread = settings.interactive.then(|| {
            std::thread::Builder::new()
                .name("reading".to_owned())
                .spawn(move || show(&seen, count))
        });
        Self {
            ended,
            // Without a thread nothing is shown.
            thread: thread.and_then(Result::ok),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let (ended, changed) = &*self.ended;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(ended: &(Mutex<bool>, Condvar), count: &Count) {
    let before = (count.bytes)();
    if waited(ended, PATIENCE) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(spinning());
    bar.set_prefix(count.doing);
    loop {
        let read = (count.bytes)() - before;
        if read > 0 {
            bar.set_message(format!("{} {}", size(read as f64), count.done));
        }
        bar.tick();
        if waited(ended, TICK) {
            bar.finish_and_clear();
            return;
        }
    }
}

/// Waits, and says whether it has ended.
fn waited((ended, changed): &(Mutex<bool>, Condvar), time: Duration) -> bool {
    let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(ended, time, |ended| !*ended);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}
