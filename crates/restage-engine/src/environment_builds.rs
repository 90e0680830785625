//! Makes the environments of the stages that run, each once, into the store (docs/adr/0027).
//!
//! An environment that can't be made fails its stages; others run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment_kinds::{
    Entry, Kind, Making, Named, Source, Step, installers_environment, kind,
};
use super::error::RunError;
use super::event::{Event, Failure, Observer};
use super::plan::Plan;
use super::said::Said;
use super::workspace::Workspace;
use restage_core::clock::{Instant, WallTime};
use restage_core::fs;
use restage_environments::EnvironmentError;
use restage_exec::{Executor, Finished, Job, Outcome, Secrets};
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{Environment, Runtime};
use restage_store::{EnvironmentPlace, KeyLock, LogPaths};

/// How long one wait lasts at most.
const TICK: Duration = Duration::from_millis(50);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// What stages run in, by the environment's name.
#[derive(Debug, Default)]
pub(super) struct Built(BTreeMap<String, Result<Ready, Box<Failure>>>);

/// An environment that is there.
#[derive(Debug, Clone)]
pub(super) enum Ready {
    /// A folder with programs and packages, and that of the interpreter.
    Folder {
        place: EnvironmentPlace,
        interpreter: Option<PathBuf>,
        entry: Entry,
    },
    /// An image, and what runs it.
    Image { image: String, by: Runtime },
}

impl Ready {
    /// The folder of an environment that is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder { place, .. } => Some(place.path()),
            Self::Image { .. } => None,
        }
    }

    /// Where it is in the store.
    pub(super) fn place(&self) -> Option<&EnvironmentPlace> {
        match self {
            Self::Folder { place, .. } => Some(place),
            Self::Image { .. } => None,
        }
    }

    /// The image of one that is one, and what runs it.
    pub(super) fn image(&self) -> Option<(&str, Runtime)> {
        match self {
            Self::Folder { .. } => None,
            Self::Image { image, by } => Some((image, *by)),
        }
    }

    /// The folder of its interpreter, which its programs lead to.
    pub(super) fn interpreter(&self) -> Option<&Path> {
        match self {
            Self::Folder { interpreter, .. } => interpreter.as_deref(),
            Self::Image { .. } => None,
        }
    }

    /// Makes a stage's command run in it.
    pub(super) fn enter(&self, argv: &mut Vec<OsString>, env: &mut BTreeMap<OsString, OsString>) {
        if let Self::Folder { entry, .. } = self {
            entry.enter(argv, env);
        }
    }
}

impl Built {
    /// What a stage runs in; the failure of one whose environment is not there.
    pub(super) fn get(
        &self,
        environment: Option<&Environment>,
    ) -> Result<Option<&Ready>, Box<Failure>> {
        let Some(environment) = environment else {
            return Ok(None);
        };
        match self.0.get(&environment.name) {
            Some(Ok(ready)) if ready.place().is_none_or(is_there) => Ok(Some(ready)),
            Some(Ok(_)) => {
                let what = "was written to by a stage that ran in it, or is gone".to_owned();
                let hint = "run again: it is made anew".to_owned();
                Err(failure(environment, what, Some(hint), None))
            }
            Some(Err(failure)) => Err(failure.clone()),
            // It was not to run when the run began.
            None => {
                let hint = "run again: environments are built when a run begins".to_owned();
                Err(failure(
                    environment,
                    "is not built".to_owned(),
                    Some(hint),
                    None,
                ))
            }
        }
    }
}

/// What can't be looked at is for the stage to find.
fn is_there(place: &EnvironmentPlace) -> bool {
    place.is_ready().unwrap_or(true)
}

/// Makes those that are missing of the stages that run, or may.
pub(super) fn build(
    ws: &Workspace,
    graph: &Graph,
    plan: &Plan,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> Result<Built, RunError> {
    ws.environments.note_found(&ws.store)?;
    let mut built = Built::default();
    let pending: BTreeSet<StageId> = plan.pending().collect();
    // Those of stages that run come first: others may only be looked at.
    let all = plan.stages.keys().filter(|id| !pending.contains(id));
    for id in pending.iter().chain(all) {
        let stage = graph.stage(*id);
        let Some(environment) = &stage.environment else {
            continue;
        };
        // A stage whose environment has no name has no key either, and does not run.
        let Ok(named) = ws.environment(environment) else {
            continue;
        };
        if built.0.contains_key(&environment.name) || interrupted() {
            continue;
        }
        let mut builder = Builder {
            ws,
            environment,
            named: &named,
            executor: &mut *executor,
            observer: &mut *observer,
            interrupted,
        };
        // A result that proves to be lost is made again in this run.
        let ready = match pending.contains(id) {
            true => Some(builder.ready()?),
            false => builder.there()?.map(Ok),
        };
        if let Some(ready) = ready {
            built.0.insert(environment.name.clone(), ready);
        }
    }
    Ok(built)
}

struct Builder<'a> {
    ws: &'a Workspace,
    environment: &'a Environment,
    named: &'a Named,
    executor: &'a mut dyn Executor,
    observer: &'a mut dyn Observer,
    interrupted: &'a dyn Fn() -> bool,
}

type Answer<T> = Result<Result<T, Box<Failure>>, RunError>;

impl Builder<'_> {
    /// What there is without making anything.
    fn there(&mut self) -> Result<Option<Ready>, RunError> {
        if let Some((image, by)) = self.environment.image() {
            let image = image.to_owned();
            return Ok(Some(Ready::Image { image, by }));
        }
        let (Some(place), Some((kind, source))) =
            (self.named.place(&self.ws.store)?, self.source())
        else {
            return Ok(None);
        };
        if !place.is_ready()? || !kind.is_usable(place.path())? {
            return Ok(None);
        }
        let environments = self.ws.store.environments();
        if let Some(what) = environments.look(&place)? {
            environments.condemn(&place)?;
            self.observer.event(&Event::Warning {
                stage: &self.environment.name,
                text: &format!("{what}: it is made anew"),
            });
            return Ok(None);
        }
        let interpreter = source.interpreter.as_ref().map(|it| it.prefix.clone());
        let entry = kind.entry(place.path())?;
        Ok(Some(Ready::Folder {
            place,
            interpreter,
            entry,
        }))
    }

    /// Its kind and what it is made from, if it is a folder.
    fn source(&self) -> Option<(&dyn Kind, &Source)> {
        Some((kind(&self.environment.made)?, self.named.source.as_ref()?))
    }

    fn ready(&mut self) -> Answer<Ready> {
        if let Some((image, by)) = self.environment.image() {
            return self.image(image, by);
        }
        if let Some(ready) = self.there()? {
            return Ok(Ok(ready));
        }
        let Some(place) = self.named.place(&self.ws.store)? else {
            return Ok(Err(self.failure("is not a folder".to_owned(), None, None)));
        };
        let started = Instant::now();
        let (name, kind) = (&self.environment.name, &self.named.key.kind);
        self.observer
            .event(&Event::MakingEnvironment { name, kind });
        let made = self.make_alone(&place)?;
        let failed = made.is_err();
        let seconds = started.elapsed().as_secs_f64();
        self.observer.event(&Event::EnvironmentMade {
            name,
            seconds,
            failed,
        });
        Ok(made)
    }

    /// Makes it, unless somebody else does.
    fn make_alone(&mut self, place: &EnvironmentPlace) -> Answer<Ready> {
        let Some(lock) = self.lock(place)? else {
            let what = "was not built: the run was stopped";
            return Ok(Err(self.failure(what.to_owned(), None, None)));
        };
        // Whoever held the lock until now may have made it.
        if let Some(ready) = self.there()? {
            return Ok(Ok(ready));
        }
        self.ws.store.environments().begin(place)?;
        let made = self.make(place, &lock)?;
        Ok(match (made, self.there()?) {
            (Err(failure), _) => Err(failure),
            (Ok(()), Some(ready)) => Ok(ready),
            (Ok(()), None) => Err(self.failure("is gone again".to_owned(), None, None)),
        })
    }

    /// The right to make an environment; `None` if the run was stopped before somebody else let go of it.
    fn lock(&mut self, place: &EnvironmentPlace) -> Result<Option<KeyLock>, RunError> {
        let locks = self.ws.store.locks();
        let lock = locks.lock(&place.lock(), self.interrupted, TICK)?;
        if let Some(lock) = &lock {
            lock.settle()?;
        }
        Ok(lock)
    }

    fn make(&mut self, place: &EnvironmentPlace, lock: &KeyLock) -> Answer<()> {
        let named = self.named;
        let (Some(kind), Some(source)) = (kind(&self.environment.made), &named.source) else {
            return Ok(Err(self.failure("is not a folder".to_owned(), None, None)));
        };
        let recipe = kind.recipe(&Making {
            source,
            at: place.path(),
            beside: &place.beside(),
            root: &self.ws.root,
            env: installers_environment(&self.ws.env),
        });
        for (path, text) in &recipe.files {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write_atomic(path, text.as_bytes())?;
        }
        for (path, target) in &recipe.links {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::symlink(target, path)?;
        }
        for step in recipe.steps {
            if let Err(failure) = self.run(&step, Some(lock))? {
                self.ws.store.environments().drop_place(place)?;
                return Ok(Err(failure));
            }
        }
        if let Err(error) = kind.check(source, place.path()) {
            self.ws.store.environments().drop_place(place)?;
            return Ok(Err(self.wrong(&error)));
        }
        let made = WallTime::now().to_string();
        let environments = self.ws.store.environments();
        environments.finish(place, &named.key.kind, source.program(), &made)?;
        Ok(Ok(()))
    }

    fn lock_file(&self) -> String {
        let source = self.named.source.as_ref();
        source.map_or(String::new(), |source| source.lock.0.to_string())
    }

    /// Gets an image that is not here yet.
    fn image(&mut self, image: &str, by: Runtime) -> Answer<Ready> {
        let ready = Ready::Image {
            image: image.to_owned(),
            by,
        };
        let env = installers_environment(&self.ws.env);
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let pull = match by {
            // It gets an image when it runs it, and keeps it.
            Runtime::Apptainer => return Ok(Ok(ready)),
            Runtime::Podman | Runtime::Docker => {
                let program = by.program();
                let look = words(&[program, "image", "inspect", "--format", "{{.Id}}", image]);
                let limit = Duration::from_secs(30);
                if restage_exec::capture(&look, &self.ws.root, &env, limit).is_ok() {
                    return Ok(Ok(ready));
                }
                words(&[program, "pull", "--quiet", image])
            }
        };
        let started = Instant::now();
        let (name, kind) = (&self.environment.name, by.program());
        self.observer
            .event(&Event::MakingEnvironment { name, kind });
        let mut step = Step::new(&format!("{kind} pull"), &self.ws.root, env);
        step.argv.extend(pull.into_iter().map(OsString::from));
        let done = self.run(&step, None)?;
        self.observer.event(&Event::EnvironmentMade {
            name,
            seconds: started.elapsed().as_secs_f64(),
            failed: done.is_err(),
        });
        Ok(done.map(|()| ready))
    }

    /// Runs a step to its end.
    fn run(&mut self, step: &Step, lock: Option<&KeyLock>) -> Answer<()> {
        let logs = self.ws.store.workdirs();
        let logs = logs.new_logs(&format!("environments/{}", self.environment.name))?;
        let job = self.executor.submit(Job {
            name: format!("environment {}", self.environment.name),
            argv: step.argv.clone(),
            dir: step.folder.clone(),
            isolation: None,
            env: step.env.clone(),
            stdout: logs.stdout.clone(),
            stderr: logs.stderr.clone(),
            timeout: None,
            memory: None,
            grace: GRACE,
            tracing: None,
            redaction: None,
        })?;
        if let (Some(lock), Some(process)) = (lock, self.executor.process(job)) {
            lock.note_process(&process)?;
        }
        let mut cancelled = false;
        let finished: Finished = loop {
            if !cancelled && (self.interrupted)() {
                cancelled = true;
                self.executor.cancel(job);
            }
            // Nothing else runs yet.
            let mut ended = self.executor.poll(TICK).into_iter();
            if let Some(finished) = ended.find(|finished| finished.id == job) {
                break finished;
            }
        };
        let how = match &finished.outcome {
            Outcome::Exited(0) => {
                if let Some(path) = &step.printed {
                    let printed = fs::read_if_exists(&logs.stdout)?.unwrap_or_default();
                    fs::write_atomic(path, &printed)?;
                }
                return Ok(Ok(()));
            }
            Outcome::Exited(code) => format!("exited with {code}"),
            Outcome::Signaled(signal) => format!("was ended by signal {signal}"),
            Outcome::NotStarted(why) => format!("could not be started: {why}"),
            Outcome::Cancelled | Outcome::TimedOut | Outcome::OverMemory(_) => {
                "was stopped".to_owned()
            }
        };
        let hint = hint(&step.name, &logs, &finished.outcome, &self.lock_file());
        let reason = format!("could not be built: `{}` {how}", step.name);
        Ok(Err(self.failure(reason, hint, Some(&logs))))
    }

    fn wrong(&self, error: &EnvironmentError) -> Box<Failure> {
        self.failure(format!("could not be used: {error}"), error.hint(), None)
    }

    fn failure(&self, what: String, hint: Option<String>, logs: Option<&LogPaths>) -> Box<Failure> {
        failure(self.environment, what, hint, logs)
    }
}

fn failure(
    environment: &Environment,
    what: String,
    hint: Option<String>,
    logs: Option<&LogPaths>,
) -> Box<Failure> {
    let said = logs.map(Said::by);
    let last = said
        .as_ref()
        .map(|said| said.last_lines(&Secrets::default()));
    Box::new(Failure {
        reason: format!("did not start: environment `{}` {what}", environment.name),
        attempt: 1,
        attempts: 1,
        hint,
        work_dir: None,
        tail: last.unwrap_or_default(),
        log: said.map(|said| said.log),
        machine: false,
        others_go_on: false,
    })
}

/// What an installer says, in lower case, and what helps.
const HINTS: [(&str, &str); 17] = [
    (
        "there is no package called",
        "install renv for this R: `Rscript -e 'install.packages(\"renv\")'`",
    ),
    (
        "does not provide attribute",
        "`shell` names one of the flake's `devShells` for this system",
    ),
    (
        "getting status of",
        "the flake reads another file, which would be in no key: write its content into `flake.nix`",
    ),
    (
        "not up-to-date with",
        "the manifest was edited since it was locked: run `pixi lock`, look at the change and keep it",
    ),
    (
        "needs to be updated",
        "the manifest was edited since it was locked: run `uv lock`, look at the change and keep it",
    ),
    (
        "no module named pip",
        "install pip for this Python (on Debian: python3-pip), or use `uv:` instead of `venv:`",
    ),
    (
        "no module named venv",
        "install venv for this Python (on Debian: python3-venv), or use `uv:` instead of `venv:`",
    ),
    (
        "no such option: --python",
        "pip must be 22.3 or newer: `pip install --upgrade pip`, or use `uv:` instead of `venv:`",
    ),
    (
        "do not match the hashes",
        "a package has other bytes than when the file was written: find out why before you change its hash",
    ),
    (
        "hash mismatch",
        "a package has other bytes than when it was locked: find out why before you lock again",
    ),
    (
        "which is not installed",
        "name in the file all packages that others need: `pip freeze` and `uv pip compile` do",
    ),
    (
        "in --require-hashes mode",
        "give each package of the file its hashes: `uv pip compile --generate-hashes` does",
    ),
    (
        "no matching distribution",
        "no index has this version for this Python and platform; `python:` names another one",
    ),
    (
        "no space left on device",
        "free some space; `restage gc` removes environments that no result names",
    ),
    ("unauthorized", "log in to where the packages or images are"),
    (
        "failed to fetch",
        "the first build downloads packages; try again when the network is up",
    ),
    (
        "resolution",
        "the first build downloads packages; try again when the network is up",
    ),
];

fn hint(step: &str, logs: &LogPaths, outcome: &Outcome, lock: &str) -> Option<String> {
    if matches!(outcome, Outcome::NotStarted(_)) {
        let program = step.split(' ').next().unwrap_or(step);
        let other = match step.ends_with(" create") {
            true => "; `by` of the environment names another installer",
            false => "",
        };
        return Some(format!("install `{program}`, or put it on `PATH`{other}"));
    }
    if matches!(outcome, Outcome::Cancelled) {
        return Some("nothing is lost; the next run builds it".to_owned());
    }
    let said = Said::by(logs);
    let lines: BTreeSet<String> = said.lines().map(str::to_lowercase).collect();
    let known = HINTS
        .iter()
        .find(|(words, _)| lines.iter().any(|line| line.contains(words)));
    Some(match known {
        Some((_, hint)) => (*hint).to_owned(),
        None if lock.is_empty() => "nothing ran in it".to_owned(),
        None => format!("nothing ran in it; it is made from `{lock}`"),
    })
}
