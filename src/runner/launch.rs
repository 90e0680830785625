//! Starts stages and takes their ends: claims, leases, attempts, retries.
//! It must not decide what is stale.

use std::sync::Arc;
use std::time::Duration;

use super::attempt;
use super::audit;
use super::committer::{Commit, Committed};
use super::drive::{Active, Run};
use super::error::RunError;
use super::event::{Event, StageOutcome};
use super::facts::Facts;
use super::finish;
use super::progress::Tail;
use super::secrets;
use super::tokens::Lease;
use crate::base::clock::Instant;
use crate::digest::StageKey;
use crate::exec::{Finished, JobId, Outcome};
use crate::graph::StageId;
use crate::store::{CommitOutcome, KeyLock};

/// How often a stage that another `restage` runs is looked at.
const BUSY_TICK: Duration = Duration::from_millis(250);

impl Run<'_> {
    pub(super) fn start_ready(&mut self) -> Result<(), RunError> {
        for id in self.queue.in_order() {
            let asked = self.busy.get(&id);
            if asked.is_some_and(|at| at.elapsed() < BUSY_TICK) {
                continue;
            }
            let Some(lease) = self.tokens.take(self.graph.stage(id).resources) else {
                continue;
            };
            self.start(id, lease)?;
        }
        Ok(())
    }

    fn start(&mut self, id: StageId, lease: Lease) -> Result<(), RunError> {
        let Some(key) = self
            .plan
            .stages
            .get(&id)
            .and_then(|planned| planned.key.clone())
        else {
            self.tokens.give_back(lease);
            return Ok(());
        };
        let Some(claim) = self.ws.attempts().try_claim(&key.digest())? else {
            self.tokens.give_back(lease);
            let seen_before = self.busy.insert(id, Instant::now()).is_some();
            if !seen_before {
                let stage = &self.graph.stage(id).name;
                self.observer.event(&Event::WaitingForOther { stage });
            }
            return Ok(());
        };
        // Whoever held the claim until now may have made what we want.
        let again = self.decide(id)?;
        if again.record().is_some() || again.key.as_deref() != Some(key.as_ref()) {
            drop(claim);
            self.tokens.give_back(lease);
            self.queue.remove(id);
            self.follow(id, again)?;
            return self.advance_due();
        }
        claim.kill_orphan()?;
        self.queue.remove(id);
        self.submit(id, key, claim, lease)
    }

    fn submit(
        &mut self,
        id: StageId,
        key: Arc<StageKey>,
        claim: KeyLock,
        lease: Lease,
    ) -> Result<(), RunError> {
        let stage = self.graph.stage(id);
        let scratch = claim.scratch()?;
        let number = self.pending.get(&id).copied().unwrap_or(0) + 1;
        let attempt = attempt::prepare(&attempt::Parts {
            ws: self.ws,
            graph: self.graph,
            id,
            key: &key,
            records: self.inputs(),
            programs: &self.programs,
            lease: &lease,
            scratch: &scratch,
            number,
            audit: self.options.audit.as_ref(),
        })?;
        self.observer.event(&Event::Started {
            stage: &stage.name,
            attempt: number,
            attempts: stage.retries + 1,
            expected_seconds: self.ws.last_seconds(&stage.name),
        });
        let job = self.executor.submit(attempt.job.clone())?;
        if let Some(process) = self.executor.process(job) {
            claim.note_process(&process)?;
        }
        let tail = Tail::new(&attempt.events, &attempt.secrets);
        self.active.insert(
            job,
            Active {
                id,
                key,
                claim,
                lease,
                attempt,
                tail,
            },
        );
        Ok(())
    }

    pub(super) fn read_events(&mut self, job: JobId) {
        let Some(active) = self.active.get_mut(&job) else {
            return;
        };
        for event in active.tail.read() {
            let stage = &self.graph.stage(active.id).name;
            self.observer.event(&Event::Stage {
                stage,
                event: &event,
            });
        }
    }

    pub(super) fn finished(&mut self, finished: &Finished) -> Result<(), RunError> {
        let Some(active) = self.active.remove(&finished.id) else {
            return Ok(());
        };
        let Active {
            id,
            key,
            claim,
            lease,
            attempt,
            ..
        } = active;
        let number = attempt.number;
        let stage = self.graph.stage(id);
        let audited = finished
            .trace
            .as_ref()
            .map(|trace| audit::audit(self.ws, self.graph, id, trace))
            .map(|audited| secrets::hide(&attempt.secrets, audited))
            .filter(|audited| !audited.is_clean());
        if let Some(audited) = &audited {
            self.observer.event(&Event::Audited {
                stage: &stage.name,
                audited,
            });
        }
        let strict = self.options.audit.as_ref().is_some_and(|a| a.strict);
        // It would do the same again.
        let refused = audited.filter(|_| strict && finished.outcome.is_success());
        let may_retry = refused.is_none() && !matches!(finished.outcome, Outcome::NotStarted(_));
        let result = match &refused {
            Some(audited) => Err(finish::refuse(stage, &attempt, audited)),
            None => finish::finish(self.ws, self.graph, id, &key, &attempt, finished),
        };
        match result {
            Ok(success) => {
                self.tokens.give_back(lease);
                for text in &success.warnings {
                    self.observer.event(&Event::Warning {
                        stage: &stage.name,
                        text,
                    });
                }
                self.committer.submit(Commit {
                    id,
                    claim,
                    record: Arc::clone(&success.record),
                    unflushed: success.unflushed,
                    work: attempt.dir.clone(),
                })?;
                self.keeping.insert(id, attempt);
                let outcome = StageOutcome::Ran {
                    seconds: finished.seconds,
                    unchanged: success.unchanged,
                };
                self.settle(id, outcome, Some(success.record), None);
            }
            Err(_) if finished.outcome == Outcome::Cancelled => {
                self.tokens.give_back(lease);
                self.settle(id, StageOutcome::Cancelled, None, None);
            }
            // What can't be started now can't be started again either.
            Err(failure) if number <= stage.retries && !self.halted && may_retry => {
                self.observer.event(&Event::Retrying {
                    stage: &stage.name,
                    failure: &failure,
                });
                self.pending.insert(id, number);
                match finish::moved(self.ws, self.graph, id, &key, &attempt) {
                    None => self.submit(id, key, claim, lease)?,
                    Some(failure) => {
                        self.tokens.give_back(lease);
                        self.settle(id, StageOutcome::Failed(*failure), None, None);
                    }
                }
            }
            Err(failure) => {
                self.tokens.give_back(lease);
                self.settle(id, StageOutcome::Failed(*failure), None, None);
            }
        }
        self.advance_due()
    }

    /// Takes what became of a result that was handed over: a stage that ran may yet fail.
    pub(super) fn committed(&mut self, committed: Committed) {
        let id = committed.id;
        let stage = self.graph.stage(id);
        let attempt = self.keeping.remove(&id);
        match (committed.result, attempt) {
            (Ok(CommitOutcome::Differs { outs }), _) => {
                let text = format!(
                    "is not reproducible: the same inputs gave other bytes in {}; both are kept",
                    outs.join(", ")
                );
                self.observer.event(&Event::Warning {
                    stage: &stage.name,
                    text: &text,
                });
            }
            // What has started meanwhile read bytes that were right: it goes on.
            (Err(error), Some(attempt)) => {
                self.records.remove(&id);
                self.without_result.insert(id, id);
                self.summary.ran -= 1;
                let failure = finish::not_kept(stage, &attempt, &error);
                self.conclude(id, &StageOutcome::Failed(*failure));
            }
            _ => {}
        }
    }
}
