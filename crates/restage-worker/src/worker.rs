//! Runs a job of a batch: its tasks, one after another, from a store alone (docs/adr/0037).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cards::Card;
use super::host::HostEnv;
use super::judge::{Ending, Left};
use super::keeper::Keeper;
use super::params_text;
use super::spec::Given;
use super::task::{CameTo, Input, Refusal, Said, Task, read_result, result_line};
use restage_core::clock::Instant;
use restage_core::digest::{Digest, KeyAction};
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;
use restage_exec::{
    Allowed, ExecError, Executor, Finished, Isolation, Job, Network, Outcome, Processes, Redaction,
    Secrets, capture, probe,
};
use restage_store::{
    Batch, KeptApart, KeyLock, Lease, LogPaths, Placement, Reports, Seen, Store, StoreError, Terms,
    Unflushed, Waiting,
};

/// How long one wait lasts at most.
const TICK: Duration = Duration::from_millis(100);
/// How often a key is tried that somebody else works on.
const BUSY_TICK: Duration = Duration::from_secs(1);
/// Between TERM and KILL, as everywhere.
const GRACE: Duration = Duration::from_secs(10);
/// A tool that takes longer to say its version is of no use.
const ASK_LIMIT: Duration = Duration::from_secs(60);
/// Where the facts of a key name the kinds of graphics cards.
const CARD_FACT: &str = "gpu";
/// What a record says of how its run was kept apart.
const NO_VIEW: &str = "it ran in a worker, which does not know the workspace's folder";

/// A worker could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The store could not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// No process can be started here.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The batch has no such job.
    #[error("the batch has no job {job}: the last one is {last}")]
    NoJob {
        /// What was asked for.
        job: u32,
        /// The last job.
        last: u32,
    },
    /// The system gave no thread to look after the lease.
    #[error("the system is out of threads")]
    NoThread(#[source] std::io::Error),
    /// The launcher failed.
    #[error("stages can't be kept apart here")]
    Launcher(#[source] std::io::Error),
}

/// What a job came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks with a result, now or before.
    pub done: usize,
    /// Tasks that failed, or were refused.
    pub failed: usize,
    /// Tasks that another worker has to run.
    pub left: usize,
}

/// What a worker works with.
pub struct Worker<'a> {
    /// Where everything comes from and goes to.
    pub store: &'a Store,
    /// The worker's own variables.
    pub host: &'a HostEnv,
    /// Runs commands here.
    pub executor: &'a mut dyn Executor,
    /// A program that becomes a launcher: restage itself. `None`: stages are plain processes.
    pub launcher: Option<&'a Path>,
    /// Whether the worker is to end.
    pub interrupted: &'a dyn Fn() -> bool,
    /// How long leases take.
    pub terms: Terms,
    /// Is told what became of each task, a line each.
    pub tell: &'a dyn Fn(&str),
}

/// A task that is to be run here.
struct Ready {
    lock: KeyLock,
    lease: Lease,
    /// What became of whoever had the key before.
    told: Option<String>,
    dir: PathBuf,
    logs: LogPaths,
    placed: Vec<RelPath>,
    secrets: Secrets,
    job: Job,
    kept: KeptApart,
}

impl Worker<'_> {
    /// Runs what is left of a job of a batch.
    pub fn run(&mut self, batch: &Batch, job: u32) -> Result<Tally, WorkError> {
        let all = batch.tasks()?;
        let last = all.iter().map(|task| task.job).max().unwrap_or(0);
        if job > last {
            return Err(WorkError::NoJob { job, last });
        }
        let known = batch.results()?;
        let is_done = |key: &Digest| {
            let results = known.iter().filter(|result| result.key == *key);
            results.filter_map(read_result).any(|it| it.is_final())
        };
        let mut reports = batch.worker(job)?;
        let mut log = Log::default();
        let mut tally = Tally::default();
        for line in all.iter().filter(|task| task.job == job) {
            if is_done(&line.key) {
                tally.done += 1;
                continue;
            }
            if (self.interrupted)() {
                tally.left += 1;
                continue;
            }
            let (came_to, lock) = match Task::read(line) {
                Ok(task) => {
                    let (came_to, lock) = self.task(&task, &mut reports, &mut log)?;
                    (self.tell)(&format!("{}: {came_to}", task.qualified));
                    (came_to, lock)
                }
                Err(why) => {
                    (self.tell)(&format!("task {}: {why}", line.key.short()));
                    (CameTo::NotRun { why, lost: None }, None)
                }
            };
            match came_to {
                CameTo::Made { .. } | CameTo::Known => tally.done += 1,
                CameTo::Failed { .. } | CameTo::Refused(_) => tally.failed += 1,
                CameTo::Stopped | CameTo::NotRun { .. } => tally.left += 1,
            }
            reports.add(&result_line(line.key, &came_to))?;
            // Until now nobody could know that there is no need to run it.
            drop(lock);
        }
        Ok(tally)
    }

    /// Runs a task. An error is one of the worker's own files: what else fails is what became of the task. Its
    /// key stays locked with what is returned.
    fn task(
        &mut self,
        task: &Task,
        reports: &mut Reports,
        log: &mut Log,
    ) -> Result<(CameTo, Option<KeyLock>), WorkError> {
        let not_run = |error: WorkError| CameTo::NotRun {
            lost: lost(&error),
            why: chain(&error),
        };
        let ready = match self.prepare(task) {
            Ok(Ok(ready)) => ready,
            Ok(Err(came_to)) => return Ok((came_to, None)),
            Err(error) => return Ok((not_run(error), None)),
        };
        let ended = self.carry_out(&ready);
        let said = log.add(reports, task, &ready)?;
        let came_to = ended.and_then(|finished| self.judge(task, &ready, &finished, said));
        self.store.workdirs().remove(&ready.dir);
        self.store.workdirs().remove(&ready.logs.dir);
        match ready.lease.look() {
            Seen::Mine => ready.lease.remove(),
            // Whoever has it now waits for this.
            Seen::Others | Seen::Unreadable => {
                ready.lock.forsake();
                if let Err(error) = ready.lease.say_gone() {
                    return Ok((not_run(error.into()), None));
                }
            }
        }
        Ok((came_to.unwrap_or_else(not_run), Some(ready.lock)))
    }

    /// Takes the key and all that the task needs; or what became of it before anything ran.
    fn prepare(&mut self, task: &Task) -> Result<Result<Ready, CameTo>, WorkError> {
        let key = task.key.digest();
        let locks = self.store.locks();
        let Some(lock) = locks.lock(&key, self.interrupted, BUSY_TICK)? else {
            return Ok(Err(CameTo::Stopped));
        };
        if self.store.records().get(&key)?.is_some() {
            return Ok(Err(CameTo::Known));
        }
        let since = Instant::now();
        let waiting = Waiting {
            terms: self.terms,
            now: &|| since.elapsed(),
            pause: &|| {
                std::thread::sleep(BUSY_TICK.min(self.terms.look()));
                !(self.interrupted)()
            },
        };
        let Some((lease, told)) = lock.settle_by_lease(&waiting)? else {
            return Ok(Err(CameTo::Stopped));
        };
        // Whoever was waited for may have made it.
        if self.store.records().get(&key)?.is_some() {
            lease.remove();
            return Ok(Err(CameTo::Known));
        }
        let ready = self.make_ready(task, lock, &lease, told);
        if !matches!(ready, Ok(Ok(_))) {
            lease.remove();
        }
        ready
    }

    /// Puts inputs in place and looks at the machine.
    fn make_ready(
        &mut self,
        task: &Task,
        lock: KeyLock,
        lease: &Lease,
        told: Option<String>,
    ) -> Result<Result<Ready, CameTo>, WorkError> {
        let spec = &task.spec;
        let secrets = match self.secrets(task) {
            Ok(secrets) => secrets,
            Err(refusal) => return Ok(Err(CameTo::Refused(refusal))),
        };
        let dir = self.store.workdirs().new_work(&spec.name)?;
        let mut placed = Vec::new();
        for input in &task.inputs {
            if self.place(input, &dir)? {
                placed.push(input.path.clone());
            }
        }
        for out in &spec.outs {
            if let Some(folder) = out.path.under(&dir).parent() {
                fs::create_dir_all(folder)?;
            }
        }
        if !spec.folder.is_empty() {
            fs::create_dir_all(&dir.join(&spec.folder))?;
        }
        let cards = match self.refuses(task, &dir) {
            Ok(cards) => cards,
            Err(refusal) => {
                self.store.workdirs().remove(&dir);
                return Ok(Err(CameTo::Refused(refusal)));
            }
        };
        let logs = self.store.workdirs().new_logs(&task.qualified)?;
        let text = format!("{}\n", params_text::text(&spec.params));
        fs::write_all(
            &mut fs::create(&logs.params)?,
            text.as_bytes(),
            &logs.params,
        )?;
        let redaction = (!spec.secrets.is_empty()).then(|| Redaction {
            secrets: secrets.clone(),
            pipe: logs.dir.join("events.pipe"),
            file: logs.events.clone(),
        });
        let scratch = lock.scratch()?;
        let given = Given {
            threads: spec.limits.threads,
            cards: &cards,
            params: &logs.params,
            events: redaction.as_ref().map_or(&logs.events, |r| &r.pipe),
            scratch: &scratch,
            store: self.shared_store()?,
        };
        let (isolation, kept) = self.isolation(task)?;
        let job = Job {
            name: spec.name.clone(),
            argv: spec.argv(&|_| self.program(task)),
            env: spec.environment(&self.host_of(task), &given),
            dir: dir.clone(),
            isolation,
            stdout: logs.stdout.clone(),
            stderr: logs.stderr.clone(),
            timeout: spec.limits.timeout,
            memory: spec.limits.memory,
            tracing: None,
            redaction,
            grace: GRACE,
        };
        Ok(Ok(Ready {
            lock,
            lease: lease.clone(),
            told,
            dir,
            logs,
            placed,
            secrets,
            job,
            kept,
        }))
    }

    /// The store, for a restage that a stage starts; none where it is a workspace's own.
    fn shared_store(&self) -> Result<Option<&Path>, FsError> {
        let dir = self.store.location().dir();
        Ok(fs::exists(&dir.join("workspaces"))?.then_some(dir))
    }

    /// This machine's variables for a task: what was not set where its key was made is not set here.
    fn host_of(&self, task: &Task) -> HostEnv {
        let unset = task.spec.env.iter().filter(|(_, value)| value.is_none());
        self.host.without(unset.map(|(name, _)| name))
    }

    /// Puts an input in place, unless it is there with the folder that it lies in. A copy: what happens to it
    /// concerns nobody else.
    fn place(&self, input: &Input, dir: &Path) -> Result<bool, StoreError> {
        let dest = input.path.under(dir);
        if fs::symlink_metadata_if_exists(&dest)?.is_some() {
            return Ok(false);
        }
        let objects = self.store.objects();
        let placement = Placement::Input {
            link_from: u64::MAX,
        };
        match input.inside.as_str() {
            "" => objects.materialize(&input.content, &dest, placement)?,
            inside => objects.materialize_part(&input.content, inside, &dest, placement)?,
        }
        Ok(true)
    }

    /// Where the binary of a task's program is.
    fn program(&self, task: &Task) -> Option<PathBuf> {
        let KeyAction::Program { package, code, .. } = &task.key.action else {
            return None;
        };
        let folder = self.store.location().dir().join("programs");
        Some(folder.join(code.to_string()).join(package))
    }

    fn secrets(&self, task: &Task) -> Result<Secrets, Refusal> {
        let mut values = Vec::new();
        for name in &task.spec.secrets {
            let value = self.host.get(name).map(std::ffi::OsStr::as_encoded_bytes);
            let value = value.filter(|value| Secrets::is_long_enough(value));
            values.push(value.ok_or_else(|| Refusal::Secret(name.clone()))?);
        }
        Ok(Secrets::new(values))
    }

    /// The graphics cards that a task gets here; or why this is not a machine for it.
    fn refuses(&self, task: &Task, dir: &Path) -> Result<Vec<String>, Refusal> {
        let wanted = task.spec.limits.cards.unwrap_or(0) as usize;
        let here: &[Card] = match wanted {
            0 => &[],
            _ => self.host.cards(),
        };
        let cards = fitting(here, wanted, task.key.machine.get(CARD_FACT))?;
        let env = task.spec.declared().environment(&self.host_of(task));
        for tool in &task.spec.tools {
            let key = task.key.tools.get(&tool.line).cloned().unwrap_or_default();
            let here = match capture(&tool.argv, dir, &env, ASK_LIMIT) {
                Ok(answer) if answer == key => continue,
                Ok(answer) => answer,
                Err(error) => error.to_string(),
            };
            let line = tool.line.clone();
            return Err(Refusal::Tool { line, here, key });
        }
        if let Some(program) = self.program(task)
            && !fs::exists(&program).unwrap_or(false)
        {
            return Err(Refusal::Program("the store does not have it".to_owned()));
        }
        Ok(cards)
    }

    /// How a task is kept apart here, and what its record says of that.
    fn isolation(&self, task: &Task) -> Result<(Option<Isolation>, KeptApart), WorkError> {
        let kept = |processes: bool, why: &str| KeptApart {
            files: false,
            processes,
            why: Some(why.to_owned()),
        };
        if !task.is_apart {
            return Ok((None, kept(false, "`isolation: none`")));
        }
        let Some(launcher) = self.launcher else {
            return Ok((None, kept(false, NO_VIEW)));
        };
        let workdirs = self.store.workdirs();
        let folder = workdirs.new_work("isolation-probe")?;
        let allowed = probe(launcher, &folder, task.is_offline).map_err(WorkError::Launcher);
        workdirs.remove(&folder);
        let Allowed {
            processes, network, ..
        } = allowed?;
        let Some(processes) = processes else {
            return Ok((None, kept(false, NO_VIEW)));
        };
        let isolation = Isolation {
            launcher: launcher.to_owned(),
            processes,
            network: match task.is_offline && network {
                true => Network::None,
                false => Network::Host,
            },
            view: None,
        };
        Ok((
            Some(isolation),
            kept(processes == Processes::Namespace, NO_VIEW),
        ))
    }

    /// Runs the command to its end, or until the worker is to end, or somebody else has the key.
    fn carry_out(&mut self, ready: &Ready) -> Result<Finished, WorkError> {
        let keeper = Keeper::new(&ready.lease, self.terms).map_err(WorkError::NoThread)?;
        let id = self.executor.submit(ready.job.clone())?;
        if let Some(process) = self.executor.process(id) {
            ready.lock.note_process(&process)?;
        }
        let mut asked = false;
        loop {
            if !asked && ((self.interrupted)() || keeper.is_lost()) {
                asked = true;
                self.executor.cancel(id);
            }
            let ended = self.executor.poll(TICK);
            if let Some(finished) = ended.into_iter().find(|it| it.id == id) {
                return Ok(finished);
            }
        }
    }

    /// What a command that has ended came to. If it has a result, that is recorded.
    fn judge(
        &self,
        task: &Task,
        ready: &Ready,
        finished: &Finished,
        said: Said,
    ) -> Result<CameTo, WorkError> {
        let left = Left {
            spec: &task.spec,
            dir: &ready.dir,
            finished,
            others: [&ready.placed, &[]],
            secrets: &ready.secrets,
        };
        let failed = |ending: Ending| CameTo::Failed {
            ending,
            seconds: finished.seconds,
            peak_memory: finished.peak_memory,
            said,
        };
        match &finished.outcome {
            Outcome::Cancelled => return Ok(CameTo::Stopped),
            Outcome::NotStarted(why) if matches!(task.key.action, KeyAction::Program { .. }) => {
                return Ok(CameTo::Refused(Refusal::Program(why.clone())));
            }
            _ => {}
        }
        let mut ending = left.bad_end();
        if ending.is_none() {
            ending = left.missing()?;
        }
        if ending.is_none() {
            ending = left.leaked()?;
        }
        if let Some(ending) = ending {
            return Ok(failed(ending));
        }
        // Whoever took the key meanwhile has a result as good as this one, and others may have read it.
        let is_ours = ready.lease.look() == Seen::Mine;
        if !is_ours && self.store.records().get(&task.key.digest())?.is_some() {
            return Ok(CameTo::Known);
        }
        let (made, unflushed) = left.take(self.store.objects())?;
        let kept = ready.kept.clone();
        let (key, stage) = (task.key.clone(), task.qualified.clone());
        let record = made.clone().into_record(key, stage, kept.clone());
        let mut records = Unflushed::default();
        self.store
            .commit(&ready.lock, &record, unflushed, &mut records)?;
        self.store.objects().flush(&records)?;
        Ok(CameTo::Made { made, kept })
    }
}

/// The first cards of a kind that the key names, so many as are wanted.
fn fitting(here: &[Card], wanted: usize, kinds: Option<&String>) -> Result<Vec<String>, Refusal> {
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let key = kinds.cloned().unwrap_or_default();
    let fits = |card: &&Card| key.split(" or ").any(|kind| kind == card.kind);
    let names: Vec<String> = here.iter().filter(fits).map(|it| it.name.clone()).collect();
    if names.len() >= wanted {
        return Ok(names.into_iter().take(wanted).collect());
    }
    let kinds: Vec<String> = here.iter().map(|card| format!("`{}`", card.kind)).collect();
    let here = match kinds.is_empty() {
        true => "no graphics card".to_owned(),
        false => kinds.join(", "),
    };
    Err(Refusal::Cards { here, key })
}

/// How much was written to a worker's log.
#[derive(Default)]
struct Log {
    length: u64,
}

impl Log {
    /// Adds what a task printed, with a line that says whose it is.
    fn add(
        &mut self,
        reports: &mut Reports,
        task: &Task,
        ready: &Ready,
    ) -> Result<Said, WorkError> {
        let mut head = format!("==> {} {}\n", task.qualified, task.key.digest());
        if let Some(told) = &ready.told {
            head += &format!("==> {told}\n");
        }
        self.write(reports, head.as_bytes())?;
        let from = self.length;
        for path in [&ready.logs.stdout, &ready.logs.stderr] {
            self.write(reports, &fs::read_if_exists(path)?.unwrap_or_default())?;
        }
        let to = self.length;
        self.write(reports, b"\n")?;
        let worker = reports.token().to_string();
        Ok(Said { worker, from, to })
    }

    fn write(&mut self, reports: &mut Reports, bytes: &[u8]) -> Result<(), WorkError> {
        reports.log(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// The object that is gone, if that is what an error means.
fn lost(error: &WorkError) -> Option<Digest> {
    match error {
        WorkError::Store(error) => error.lost_object(),
        _ => None,
    }
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
