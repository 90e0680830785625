//! Makes results durable in the background, many per flush; see docs/adr/0009.
//!
//! A stage's outs are in the store, though perhaps only in memory, when it is handed over; then
//! stages that read them may start. Here they reach the disk, and only after that the record is
//! written, so that no record outlives its outs. The key stays locked until then.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::attempt::Attempt;
use super::error::RunError;
use super::publish::Publisher;
use super::workspace::Workspace;
use restage_core::clock::Instant;
use restage_core::process::open_files_limit;
use restage_pipeline::graph::StageId;
use restage_store::{CommitOutcome, KeyLock, Record, Store, StoreError, Unflushed};

/// How long the first result of a batch waits for others, unless the run has nothing else to do.
const LINGER: Duration = Duration::from_millis(20);
/// How long records wait to be flushed with the outs of the next results.
const IDLE: Duration = Duration::from_secs(1);

/// A result to be made durable.
pub(super) struct Commit {
    pub(super) id: StageId,
    pub(super) lock: KeyLock,
    pub(super) record: Arc<Record>,
    /// Its outs.
    pub(super) unflushed: Unflushed,
    /// The attempt that made it; its work folder is no longer needed.
    pub(super) attempt: Attempt,
}

/// What became of it.
pub(super) struct Committed {
    pub(super) id: StageId,
    pub(super) record: Arc<Record>,
    pub(super) attempt: Attempt,
    pub(super) result: Result<CommitOutcome, RunError>,
}

/// Flushes and commits in a thread, which is started when there is something to commit.
pub(super) struct Flusher {
    place: Place,
    queue: Arc<Queue>,
    sender: Sender<Committed>,
    committed: Receiver<Committed>,
    thread: Option<JoinHandle<Result<(), RunError>>>,
    /// Results that were handed over and not taken back.
    waiting: usize,
    /// As many may be waiting before no more stages start.
    most_waiting: usize,
}

/// Where results go.
#[derive(Clone)]
struct Place {
    store: Store,
    /// None: nothing is to be published.
    publisher: Option<Publisher>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    commits: Vec<Commit>,
    /// The run has nothing to do but wait for this.
    hurry: bool,
    closed: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.closed && self.commits.is_empty()
    }
}

/// How many results may wait for a slow disk: each holds the lock of its key, which is an open file.
fn most_waiting(open_files: u64) -> usize {
    usize::try_from(open_files / 4)
        .unwrap_or(usize::MAX)
        .clamp(4, 4096)
}

impl Flusher {
    /// `publisher` puts committed outs into the workspace; a rerun's are not.
    pub(super) fn new(ws: &Workspace, publisher: &Publisher) -> Self {
        let (sender, committed) = mpsc::channel();
        Self {
            place: Place {
                store: ws.run_store().clone(),
                publisher: ws.rerun.is_none().then(|| publisher.clone()),
            },
            queue: Arc::default(),
            sender,
            committed,
            thread: None,
            waiting: 0,
            most_waiting: most_waiting(open_files_limit()),
        }
    }

    /// Takes a result over.
    pub(super) fn submit(&mut self, commit: Commit) -> Result<(), RunError> {
        if self.thread.is_none() {
            let (place, queue) = (self.place.clone(), Arc::clone(&self.queue));
            let sender = self.sender.clone();
            let thread = std::thread::Builder::new().name("commit".into());
            let thread = thread.spawn(move || commit_batches(&place, &queue, &sender));
            self.thread = Some(thread.map_err(RunError::NoThread)?);
        }
        self.waiting += 1;
        self.queue.lock().commits.push(commit);
        self.queue.changed.notify_one();
        Ok(())
    }

    /// Whether results were handed over and not taken back.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting > 0
    }

    /// Whether so many results wait for the disk that no more stages should start.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.most_waiting
    }

    /// What has been committed since the last call; with `wait`, at least one if there is one.
    pub(super) fn take(&mut self, wait: bool) -> Vec<Committed> {
        let mut all = Vec::new();
        if wait && self.is_busy() {
            self.queue.lock().hurry = true;
            self.queue.changed.notify_one();
            // The thread can only be gone after a panic, which `close` passes on.
            all.extend(self.committed.recv_timeout(LINGER * 5));
        }
        all.extend(self.committed.try_iter());
        self.waiting -= all.len();
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.waiting = 0;
        }
        all
    }

    /// Waits until the records that were written are on the disk.
    pub(super) fn close(&mut self) -> Result<(), RunError> {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(flushed)) => flushed,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch; empty once closed, or after `patience`.
    fn next(&self, patience: Option<Duration>) -> Vec<Commit> {
        let mut state = self.lock();
        let since = Instant::now();
        while state.commits.is_empty() && !state.closed {
            state = match patience.map(|all| all.saturating_sub(since.elapsed())) {
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(Duration::ZERO) => return Vec::new(),
                Some(rest) => {
                    let woken = self.changed.wait_timeout(state, rest);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let since = Instant::now();
        while !state.hurry && !state.closed && since.elapsed() < LINGER {
            let rest = LINGER.saturating_sub(since.elapsed());
            let woken = self.changed.wait_timeout(state, rest);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.hurry = false;
        std::mem::take(&mut state.commits)
    }
}

fn commit_batches(
    place: &Place,
    queue: &Queue,
    sender: &Sender<Committed>,
) -> Result<(), RunError> {
    let mut records = Unflushed::default();
    // That records of earlier results are not on the disk ends the run badly, but not at once.
    let mut kept = Ok(());
    loop {
        let batch = queue.next((!records.is_empty()).then_some(IDLE));
        if batch.is_empty() {
            let flushed = place.store.objects().flush(&std::mem::take(&mut records));
            kept = kept.and(flushed.map_err(RunError::from));
            if queue.lock().is_over() {
                return kept;
            }
            continue;
        }
        let together = place.flush_together(&batch, &records);
        if together.is_err() {
            let anew = place.store.objects().write_anew(&records);
            kept = kept.and(anew.map_err(RunError::from));
        }
        records = Unflushed::default();
        for committed in place.commit(batch, together.is_ok(), &mut records) {
            // It fails if the run was given up.
            let _ = sender.send(committed);
        }
    }
}

impl Place {
    /// One flush for all.
    fn flush_together(&self, batch: &[Commit], records: &Unflushed) -> Result<(), StoreError> {
        let mut together = records.clone();
        for commit in batch {
            together.add(commit.unflushed.clone());
        }
        self.store.objects().flush_once(&together)
    }

    /// Commits results. Outs that could not be flushed together are written anew, each result's
    /// alone, so that each has its own error, or none.
    fn commit(&self, batch: Vec<Commit>, flushed: bool, records: &mut Unflushed) -> Vec<Committed> {
        let commit = |commit: Commit| {
            let Commit {
                id,
                lock,
                record,
                unflushed,
                attempt,
            } = commit;
            let durable = match flushed {
                true => Ok(()),
                false => self.store.objects().write_anew(&unflushed),
            };
            let result = durable
                .map_err(RunError::from)
                .and_then(|()| self.commit_one(&lock, &record, &attempt, records));
            Committed {
                id,
                record,
                attempt,
                result,
            }
        };
        batch.into_iter().map(commit).collect()
    }

    fn commit_one(
        &self,
        lock: &KeyLock,
        record: &Record,
        attempt: &Attempt,
        records: &mut Unflushed,
    ) -> Result<CommitOutcome, RunError> {
        let outs = Unflushed::default();
        let outcome = self.store.commit(lock, record, outs, records)?;
        if let Some(publisher) = &self.publisher {
            for out in &record.outs {
                publisher.publish(out, records)?;
            }
        }
        self.store.workdirs().discard(&attempt.dir);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_files_that_may_be_open_are_for_results_that_wait() {
        assert_eq!(most_waiting(1024), 256);
        assert_eq!(most_waiting(3), 4);
        assert_eq!(most_waiting(u64::MAX), 4096);
    }
}
