//! What an attempt that has ended came to: a result, or a failure in words. What it left is looked at by
//! [`restage_worker::Left`]; here is what only the workspace and the pipeline know. Nothing here knows of the run.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attempt::Attempt;
use super::audit::{self, Audit};
use super::bad_inputs::{self, moved_input};
use super::error::RunError;
use super::event::{Audited, Failure};
use super::lacks;
use super::plan::Obstacle;
use super::said::{Place, Said, under};
use super::secrets;
use super::shared_inputs::Spoiled;
use super::view;
use super::workspace::Workspace;
use restage_core::digest::StageKey;
use restage_core::fs;
use restage_exec::{Finished, Outcome};
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{Gpus, Resources, Stage, duration_text, size_text};
use restage_store::{Record, StoreError, Unflushed};
use restage_worker::{Ending, Left, Made};

/// A disk with less free space than this counts as full.
const FULL_BYTES: u64 = 64 << 10;
/// A result that is yet to be committed.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) record: Arc<Record>,
    /// What must reach the disk before the record is written.
    pub(super) unflushed: Unflushed,
    /// Whether its outs equal those of its last run.
    pub(super) unchanged: bool,
    /// Things worth a warning.
    pub(super) warnings: Vec<String>,
}

/// What an attempt that has ended came to.
pub(super) struct Completion {
    /// What it did that the stage does not declare, where it was traced and did anything.
    pub(super) audited: Option<Audited>,
    pub(super) result: Result<Success, Box<Failure>>,
    /// Whether another attempt could end differently.
    pub(super) may_retry: bool,
}

/// An attempt that has ended, and all that says what it came to.
pub(super) struct Ended<'a> {
    pub(super) ws: &'a Workspace,
    pub(super) graph: &'a Graph,
    pub(super) id: StageId,
    pub(super) key: &'a Arc<StageKey>,
    pub(super) attempt: &'a Attempt,
    pub(super) finished: &'a Finished,
    pub(super) audit: Option<&'a Audit>,
    /// That somebody wrote to what it read.
    pub(super) spoiled: Option<Spoiled>,
}

impl Ended<'_> {
    /// Looks at what the attempt left. Its outs are in the store afterwards, if it succeeded.
    pub(super) fn complete(&self) -> Completion {
        // What started it may have been killed, and the container lives on.
        if let Some(container) = &self.attempt.container
            && !matches!(self.finished.outcome, Outcome::Exited(_))
        {
            container.remove(&self.ws.env, &self.ws.root);
        }
        let audited = self
            .finished
            .trace
            .as_ref()
            .map(|trace| {
                audit::audit(
                    self.ws,
                    self.graph,
                    self.id,
                    trace,
                    self.attempt.view().is_some(),
                )
            })
            .map(|audited| secrets::hide(&self.attempt.secrets, audited))
            .filter(|audited| !audited.is_clean());
        let strict = self.audit.is_some_and(|audit| audit.strict);
        let outcome = &self.finished.outcome;
        let refused = audited.as_ref();
        let refused = refused.filter(|_| strict && outcome.is_success());
        let started = !matches!(outcome, Outcome::NotStarted(_));
        Completion {
            may_retry: refused.is_none() && started && self.spoiled.is_none(),
            result: match refused {
                Some(audited) => {
                    let stage = self.graph.stage(self.id);
                    Err(refuse(stage, self.attempt, audited))
                }
                None => self.result(),
            },
            audited,
        }
    }

    /// Takes the attempt's outs into the store, or says why it has no result.
    fn result(&self) -> Result<Success, Box<Failure>> {
        let Self {
            ws,
            graph,
            id,
            key,
            attempt,
            finished,
            ..
        } = *self;
        let stage = graph.stage(id);
        let fail =
            |reason: String, hint: Option<String>| Box::new(failure(stage, attempt, reason, hint));
        if let Some(view) = attempt.view() {
            let left = view::leave(view).map_err(RunError::from);
            left.map_err(|error| not_kept(stage, attempt, &error))?;
        }
        let machine = |error: RunError| not_kept(stage, attempt, &error);
        // Also after a failure: others are to run in it.
        let written = written_environment(ws, attempt).map_err(machine)?;
        let left = Left {
            spec: &attempt.spec,
            dir: &attempt.dir,
            finished,
            others: [&attempt.inputs.placed, &attempt.inputs.kept],
            secrets: &attempt.secrets,
        };
        let bad_end = left.bad_end();
        let bad_end = bad_end.map(|ending| words(ws, stage, finished, &ending));
        if let Some(spoiled) = &self.spoiled {
            let end = bad_end.map(|(end, _)| end);
            let reason = bad_inputs::spoiled(graph, id, &attempt.dir, spoiled, end);
            return Err(fail(reason, Some(bad_inputs::COPY_FIRST.to_owned())));
        }
        let place = Place {
            graph,
            stage,
            root: &ws.root,
            dir: &attempt.dir,
            placed: &attempt.inputs.placed,
        };
        if let Some((reason, hint)) = bad_end {
            let by_what_it_said = || {
                let said = Said::by(&attempt.logs);
                lacks::hint(&ws.env, stage, attempt, &finished.outcome, &said)
                    .or_else(|| said.hint(&place))
            };
            return Err(fail(reason, hint.or_else(by_what_it_said)));
        }
        if let Some(what) = written {
            let reason = format!("ran in an environment that was written to meanwhile: {what}");
            return Err(fail(reason, Some(ENVIRONMENT_HINT.to_owned())));
        }
        let missing = left.missing().map_err(|error| machine(error.into()))?;
        if let Some(ending) = missing {
            let (reason, hint) = words(ws, stage, finished, &ending);
            let said = Said::by(&attempt.logs);
            return Err(fail(reason, said.hint(&place).or(hint)));
        }
        let leaked = left.leaked().map_err(|error| machine(error.into()))?;
        if let Some(ending) = leaked {
            let (reason, hint) = words(ws, stage, finished, &ending);
            return Err(without_files(fail(reason, hint)));
        }
        let written = attempt.inputs.written_source(ws, key);
        if let Some(path) = written.map_err(machine)? {
            return Err(moved_failure(stage, attempt, &path));
        }
        let taken = left.take(ws.run_store().objects());
        let (made, unflushed) = taken.map_err(|error| machine(error.into()))?;
        let mut success = accept(ws, stage, key, attempt, made, unflushed);
        // It has read what its key says; only the next plan sees the edit. What can't be read now
        // is for that plan, too.
        if let Ok(Some(path)) = moved_input(ws, graph, id, key) {
            let text = format!(
                "`{path}` changed while it ran; the result is that of `{path}` as it was at the start"
            );
            success.warnings.push(text);
        }
        Ok(success)
    }
}

/// What to do about a stage that wrote to its environment.
const ENVIRONMENT_HINT: &str = "nothing was recorded, and the next run makes the environment anew: what a stage needs \
     there belongs into the file that the environment is made from";

/// The failure of a stage whose outs one of these wrote to before they were recorded.
pub(super) fn written_early(
    graph: &Graph,
    id: StageId,
    attempt: &Attempt,
    writers: &BTreeSet<StageId>,
) -> Box<Failure> {
    let who = bad_inputs::who(graph, writers);
    let reason = format!("lost what it made: {who} wrote into it before it was recorded");
    let hint = bad_inputs::COPY_FIRST.to_owned();
    Box::new(failure(graph.stage(id), attempt, reason, Some(hint)))
}

/// The failure of a stage whose inputs are no longer those of its key, so that another attempt
/// would read different ones. An input that can't be read is left to that attempt.
pub(super) fn moved(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    key: &StageKey,
    attempt: &Attempt,
) -> Option<Box<Failure>> {
    let path = moved_input(ws, graph, id, key).ok()??;
    Some(moved_failure(graph.stage(id), attempt, &path))
}

fn moved_failure(stage: &Stage, attempt: &Attempt, path: &str) -> Box<Failure> {
    let reason = format!("read `{path}`, which changed while it ran");
    let hint = Some("nothing was recorded; run again".to_owned());
    Box::new(failure(stage, attempt, reason, hint))
}

/// What of the environment that a stage could write to is not as it was installed: nobody runs in it any more.
fn written_environment(ws: &Workspace, attempt: &Attempt) -> Result<Option<String>, RunError> {
    let Some(place) = &attempt.environment else {
        return Ok(None);
    };
    let environments = ws.store.environments();
    // Another stage may have found the same.
    let what = match place.is_ready()? {
        true => environments.look(place)?,
        false => Some("another stage found it changed".to_owned()),
    };
    if what.is_some() {
        environments.condemn(place)?;
    }
    Ok(what)
}

/// The failure, under `--strict`, of a stage that did what it does not declare.
fn refuse(stage: &Stage, attempt: &Attempt, audited: &Audited) -> Box<Failure> {
    let reason = match audited.files.len() {
        0 => format!("made {} calls that the audit could not see", audited.unseen),
        1 => format!(
            "used `{}`, which it does not declare",
            audited.files[0].path
        ),
        n => format!("used {n} files that it does not declare"),
    };
    let hint = "nothing was recorded; without `--strict` it would only have been reported";
    Box::new(failure(stage, attempt, reason, Some(hint.to_owned())))
}

/// A failure whose files are not kept for reading.
fn without_files(mut failure: Box<Failure>) -> Box<Failure> {
    if let Some(dir) = failure.work_dir.take()
        && fs::remove_all(&dir).is_err()
    {
        failure.work_dir = Some(dir);
        failure.machine = true;
    }
    failure
}

/// How an attempt ended, in words, and what to do about it.
fn words(
    ws: &Workspace,
    stage: &Stage,
    finished: &Finished,
    ending: &Ending,
) -> (String, Option<String>) {
    let outcome = match ending {
        Ending::Bad(outcome) => outcome,
        Ending::Missing {
            wrote, leftovers, ..
        } => return (ending.to_string(), Some(missing_hint(wrote, *leftovers))),
        Ending::Leaked(_) => {
            let hint = "nothing was recorded and its files were removed; outs are kept as they are, so a \
                        stage must not write its secrets there";
            return (ending.to_string(), Some(hint.to_owned()));
        }
    };
    match outcome {
        // A shell's way to say that a program was ended by signal 9.
        Outcome::Exited(137) => (
            format!("{ending}: a program in it was killed (signal 9)"),
            Some(killed_hint(ws, finished)),
        ),
        Outcome::Signaled(9) => (
            "was killed (signal 9)".to_owned(),
            Some(killed_hint(ws, finished)),
        ),
        Outcome::TimedOut => {
            let limit = stage.timeout.unwrap_or_default();
            let raise = format!("timeout: {}", duration_text(limit.saturating_mul(2)));
            (
                format!("{ending} of {}", duration_text(limit)),
                Some(limit_hint(stage, &raise)),
            )
        }
        Outcome::OverMemory(held) => {
            let limit = stage.resources.mem.unwrap_or_default();
            let (held_text, limit_text) = (size_text(*held), size_text(limit));
            (
                format!("held {held_text} of memory, more than its `mem` of {limit_text}"),
                Some(limit_hint(stage, &with_room(stage.resources, *held))),
            )
        }
        Outcome::Exited(_) | Outcome::Signaled(_) | Outcome::Cancelled | Outcome::NotStarted(_) => {
            (ending.to_string(), None)
        }
    }
}

/// What may be wrong with a stage that exited with 0 and did not write what it declares.
fn missing_hint(wrote: &[String], leftovers: bool) -> String {
    if leftovers {
        return "processes that it had left running were stopped when its command ended; if one of them \
         writes it, let the command wait for it (`wait`); nothing was recorded"
            .to_owned();
    }
    match wrote {
        [] => "it wrote nothing else; nothing was recorded".to_owned(),
        wrote => format!(
            "it did write `{}`; nothing was recorded",
            wrote.join("`, `")
        ),
    }
}

/// Why a process may have been killed.
fn killed_hint(ws: &Workspace, finished: &Finished) -> String {
    let held = match finished.peak_memory {
        Some(bytes) => format!("; it held {} at most", size_text(bytes)),
        None => String::new(),
    };
    match ws.killed_for_memory() {
        Some(0) => format!(
            "not for lack of memory, as far as the kernel says{held}: `kill -9` and batch systems at \
             their time limit do this"
        ),
        Some(_) => format!(
            "the machine ran out of memory since this run began, and the kernel killed processes\
             {held}\n  with `resources: {{mem: ..}}` on the stages, fewer run at once"
        ),
        None => format!("often for lack of memory{held}; see `resources.mem`"),
    }
}

/// The line that raises a stage's limit.
fn limit_hint(stage: &Stage, line: &str) -> String {
    let line = under(stage, &format!("write `{line}`"));
    format!("{line}\n  it then resumes from what it left in RESTAGE_SCRATCH")
}

/// The stage's resources with more memory than it held when it was stopped, and at least half as
/// much again as its limit.
fn with_room(resources: Resources, held: u64) -> String {
    let wanted = (held / 4 * 5).max(resources.mem.unwrap_or(0) / 2 * 3);
    let step = if wanted < 1 << 30 {
        64 << 20
    } else {
        512 << 20
    };
    let mut fields = Vec::new();
    if resources.cpu != Resources::default().cpu {
        fields.push(format!("cpu: {}", resources.cpu));
    }
    match resources.gpu {
        Gpus::Unstated => {}
        Gpus::Count(count) => fields.push(format!("gpu: {count}")),
        Gpus::Auto => fields.push("gpu: auto".to_owned()),
        Gpus::Card(number) => fields.push(format!("gpu: cuda:{number}")),
    }
    let mem = wanted.div_ceil(step).saturating_mul(step);
    fields.push(format!("mem: {}", size_text(mem)));
    format!("resources: {{{}}}", fields.join(", "))
}

fn failure(stage: &Stage, attempt: &Attempt, reason: String, hint: Option<String>) -> Failure {
    // On a full disk the stage's own message may not have reached its log.
    let full = fs::available_space(&attempt.dir).is_ok_and(|bytes| bytes < FULL_BYTES);
    let full_hint = || {
        let place = attempt.dir.display();
        format!("no space is left on the disk that holds `{place}`; nothing was recorded")
    };
    let hint = if full { Some(full_hint()) } else { hint };
    let said = Said::by(&attempt.logs);
    Failure {
        reason: attempt.secrets.text(&reason),
        attempt: attempt.number,
        attempts: stage.retries + 1,
        hint: hint.map(|hint| attempt.secrets.text(&hint)),
        work_dir: Some(attempt.dir.clone()),
        tail: said.last_lines(&attempt.secrets),
        log: Some(said.log),
        machine: false,
        others_go_on: false,
    }
}

/// The failure of a stage that can't start, because something that it reads was not written or can't
/// be read.
pub(super) fn blocked(obstacle: &Obstacle) -> Failure {
    Failure {
        reason: obstacle.to_string(),
        attempt: 1,
        attempts: 1,
        hint: obstacle.hint(),
        work_dir: None,
        log: None,
        tail: Vec::new(),
        machine: matches!(obstacle, Obstacle::Unreadable(_)),
        others_go_on: matches!(obstacle, Obstacle::Data(_) | Obstacle::Gone(_)),
    }
}

/// The failure to put a stage's outs back, which is the machine's fault.
pub(super) fn not_restored(stage: &Stage, error: &RunError) -> Failure {
    Failure {
        reason: format!("could not be restored: {}", restage_worker::chain(error)),
        ..not_started(stage, 1, error)
    }
}

/// The failure to start a stage.
pub(super) fn not_started(stage: &Stage, number: u32, error: &RunError) -> Failure {
    Failure {
        reason: format!("could not be started: {}", restage_worker::chain(error)),
        attempt: number,
        attempts: stage.retries + 1,
        hint: error.hint(),
        work_dir: None,
        log: None,
        tail: Vec::new(),
        machine: !error.is_usage(),
        others_go_on: false,
    }
}

/// The failure to keep a result, which is the machine's fault unless the stage wrote what no folder
/// can hold.
pub(super) fn not_kept(stage: &Stage, attempt: &Attempt, error: &RunError) -> Box<Failure> {
    let reason = format!("could not be recorded: {}", restage_worker::chain(error));
    let mut failure = failure(stage, attempt, reason, error.hint());
    failure.machine = !matches!(
        error,
        RunError::Fs(fs) | RunError::Store(StoreError::Fs(fs)) if fs.is_about_content()
    );
    Box::new(failure)
}

/// Makes a record of what a stage made.
fn accept(
    ws: &Workspace,
    stage: &Stage,
    key: &Arc<StageKey>,
    attempt: &Attempt,
    made: Made,
    unflushed: Unflushed,
) -> Success {
    let mut warnings = Vec::new();
    if !made.undeclared.is_empty() {
        warnings.push(format!(
            "wrote files that it does not declare, which are not kept: {}",
            made.undeclared.join(", ")
        ));
    }
    if made.leftovers {
        warnings.push("left processes running; they were stopped".to_owned());
    }
    let kept = attempt.kept.clone();
    let record = made.into_record(key.as_ref().clone(), ws.qualified(&stage.name), kept);
    let before = ws.last_record(&stage.name);
    let unchanged = before.is_some_and(|before| stable(&before) == stable(&record));
    Success {
        record: Arc::new(record),
        unflushed,
        unchanged,
        warnings,
    }
}

/// The part of a record that later stages depend on.
fn stable(record: &Record) -> Vec<(&str, restage_core::digest::Digest)> {
    let kept = record.outs.iter().filter(|out| !out.volatile);
    kept.map(|out| (out.path.as_str(), out.content.content_id()))
        .collect()
}
