//! Keeps a lease while a stage runs: shows that the worker lives, and sees when somebody else takes over.
//!
//! In a thread: on a network file system that hangs, a look may take for ever, and the stage must be ended then.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use restage_core::clock::Instant;
use restage_store::{Lease, Terms, Watch};

/// A lease that is looked after until this is dropped.
pub(crate) struct Keeper {
    watch: Arc<Mutex<Watch>>,
    since: Instant,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Looks after a lease that was taken just now.
    pub(crate) fn new(lease: &Lease, terms: Terms) -> std::io::Result<Self> {
        let since = Instant::now();
        let watch = Arc::new(Mutex::new(Watch::new(terms, Duration::ZERO)));
        let (end, ended) = mpsc::channel::<()>();
        let (lease, shared) = (lease.clone(), Arc::clone(&watch));
        let body = move || {
            for count in 1.. {
                let began = since.elapsed();
                let seen = lease.look();
                lock(&shared).looked(began, seen);
                // Where that fails, whoever waits may take us for dead, and gets a folder of its own.
                let _ = lease.beat(count);
                match ended.recv_timeout(terms.look()) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("lease".into());
        Ok(Self {
            watch,
            since,
            end: Some(end),
            thread: Some(thread.spawn(body)?),
        })
    }

    /// Whether the stage must be ended.
    pub(crate) fn is_lost(&self) -> bool {
        lock(&self.watch).is_lost(self.since.elapsed())
    }
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end.take();
        // One that hangs in a call is left behind: it only looks.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
