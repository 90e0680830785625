//! Starts a stage: takes what it needs for itself alone, then hands an attempt to the executor.

use std::sync::Arc;

use super::attempt::{Attempt, Held, Parts};
use super::error::RunError;
use super::event::{Event, Observer};
use super::facts::Facts;
use super::plan::Planned;
use super::progress::Tail;
use super::tokens::Tokens;
use super::workspace::Workspace;
use restage_core::digest::StageKey;
use restage_exec::{Executor, JobId};
use restage_pipeline::Resources;
use restage_store::KeyLock;

/// Whether a stage may start now.
pub(super) enum Reserved {
    /// It may; with what to tell people of who had it before.
    Held(Box<Held>, Option<String>),
    /// Too little of the machine is free.
    NoRoom,
    /// Another restage runs it.
    Busy,
    /// What becomes of the stage has changed since it was decided.
    Changed(Planned),
}

/// Takes cores, memory, cards and the lock of its key for a stage.
pub(super) fn reserve(
    ws: &Workspace,
    tokens: &mut Tokens,
    resources: Resources,
    key: &Arc<StageKey>,
    decide_again: impl FnOnce() -> Result<Planned, RunError>,
) -> Result<Reserved, RunError> {
    let Some(lease) = tokens.take(resources) else {
        return Ok(Reserved::NoRoom);
    };
    match lock(ws, key, decide_again) {
        Ok(Ok((lock, told))) => {
            let key = Arc::clone(key);
            Ok(Reserved::Held(Box::new(Held { key, lock, lease }), told))
        }
        Ok(Err(not_now)) => {
            tokens.give_back(lease);
            Ok(not_now)
        }
        Err(error) => {
            tokens.give_back(lease);
            Err(error)
        }
    }
}

/// Takes the lock of a key, or says why not.
fn lock(
    ws: &Workspace,
    key: &Arc<StageKey>,
    decide_again: impl FnOnce() -> Result<Planned, RunError>,
) -> Result<Result<(KeyLock, Option<String>), Reserved>, RunError> {
    let Some(lock) = ws.run_store().locks().try_lock(&key.digest())? else {
        return Ok(Err(Reserved::Busy));
    };
    // Whoever held the lock until now may have made what we want.
    let again = decide_again()?;
    if again.record().is_some() || again.key.as_ref() != Some(key) {
        return Ok(Err(Reserved::Changed(again)));
    }
    let told = lock.settle()?;
    Ok(Ok((lock, told)))
}

/// A stage that runs.
pub(super) struct Running {
    pub(super) held: Held,
    pub(super) attempt: Attempt,
    /// What it says of itself.
    pub(super) tail: Tail,
}

/// Starts an attempt.
pub(super) fn start(
    parts: &Parts<'_>,
    held: Held,
    attempt: Attempt,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
) -> Result<(JobId, Running), RunError> {
    let stage = parts.graph.stage(parts.id);
    observer.event(&Event::Started {
        stage: &stage.name,
        attempt: parts.number,
        attempts: stage.retries + 1,
        expected_seconds: parts.ws.last_seconds(&stage.name),
    });
    let job = executor.submit(attempt.job.clone())?;
    if let Some(process) = executor.process(job) {
        held.lock.note_process(&process)?;
    }
    let running = Running {
        tail: Tail::new(&attempt.events, &attempt.secrets),
        held,
        attempt,
    };
    Ok((job, running))
}
