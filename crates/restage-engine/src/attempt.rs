//! One attempt at a stage: its work directory, its environment, its command.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::audit::{self, Audit};
use super::container::{Container, Inside};
use super::environment_builds::Ready;
use super::error::RunError;
use super::inputs::{Inputs, Sought};
use super::isolation::Apart;
use super::programs::Programs;
use super::secrets;
use super::spec;
use super::tokens::Lease;
use super::view::{self, Own};
use super::workspace::Workspace;
use restage_core::digest::StageKey;
use restage_core::fs;
use restage_exec::{Job, Secrets, Tracing, View};
use restage_pipeline::graph::{Graph, StageId};
use restage_store::{EnvironmentPlace, KeptApart, KeyLock, LogPaths, Record};
use restage_worker::{Given, Spec, params_text};

/// Between TERM and KILL: long enough to finish writing a checkpoint.
const GRACE: Duration = Duration::from_secs(10);

/// A stage ready to be started.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Where it runs.
    pub(super) dir: PathBuf,
    /// Files for what it prints.
    pub(super) logs: LogPaths,
    /// Where it reports its progress.
    pub(super) events: PathBuf,
    /// What it reads.
    pub(super) inputs: Inputs,
    /// What the executor gets.
    pub(super) job: Job,
    /// The environment that it runs in, where nothing keeps it from writing to it.
    pub(super) environment: Option<EnvironmentPlace>,
    /// What it is to do.
    pub(super) spec: Spec,
    /// How it is kept apart.
    pub(super) kept: KeptApart,
    /// The container that it runs in.
    pub(super) container: Option<Container>,
    /// From 1.
    pub(super) number: u32,
    /// Values to hide in everything that is kept or shown of it.
    pub(super) secrets: Secrets,
}

impl Attempt {
    /// What it saw, if its work folder stood at the workspace's path.
    pub(super) fn view(&self) -> Option<&View> {
        self.job.isolation.as_ref()?.view.as_ref()
    }
}

/// What a stage holds from before its first attempt until its last one has ended.
pub(super) struct Held {
    /// The key of its result.
    pub(super) key: Arc<StageKey>,
    /// The right to work on that key.
    pub(super) lock: KeyLock,
    /// Its share of the machine.
    pub(super) lease: Lease,
}

/// What an attempt is made from.
pub(super) struct Parts<'a> {
    pub(super) ws: &'a Workspace,
    pub(super) graph: &'a Graph,
    pub(super) id: StageId,
    /// The records whose outs it reads.
    pub(super) inputs: &'a dyn Fn(StageId) -> Option<Arc<Record>>,
    pub(super) programs: &'a Programs,
    /// What it runs in, if it names an environment.
    pub(super) ready: Option<&'a Ready>,
    /// From 1.
    pub(super) number: u32,
    pub(super) audit: Option<&'a Audit>,
    pub(super) apart: &'a Apart,
}

/// Makes the work directory, which holds what the stage declares and nothing else
/// (docs/adr/0003).
pub(super) fn prepare(parts: &Parts<'_>, held: &Held) -> Result<Attempt, RunError> {
    let Parts { ws, graph, id, .. } = *parts;
    let stage = graph.stage(id);
    let scratch = held.lock.scratch()?;
    let dir = ws.run_store().workdirs().new_work(&stage.name)?;
    let logs = ws
        .run_store()
        .workdirs()
        .new_logs(&ws.qualified(&stage.name))?;
    let events = logs.events.clone();
    // An audit finds what a stage reads though it does not declare it, which is not there in a view.
    let has_view = parts.apart.has_view(stage) && parts.audit.is_none();
    let sought = Sought {
        ws,
        graph,
        id,
        key: &held.key,
        records: parts.inputs,
        binds: has_view,
    };
    let mut inputs = Inputs::place(&sought, &dir)?;
    for out in &stage.outs {
        make_parent(&out.path.under(&dir))?;
    }
    if !stage.folder.is_empty() {
        fs::create_dir_all(&dir.join(&stage.folder))?;
    }
    let spec = spec::of(stage, held.lease.gpus.len());
    let argv = spec.argv(&|package| parts.programs.get(package).cloned());
    let image = parts.ready.and_then(Ready::image);
    // It would trace what runs the image.
    let audit = parts.audit.filter(|_| image.is_none());
    let tracing = audit.map(|audit| {
        let program = argv.first().map(Path::new).filter(|p| p.is_absolute());
        let mut own = vec![dir.as_path(), logs.dir.as_path(), scratch.as_path()];
        own.extend(ws.data_places(&graph.data_of(id)));
        own.extend(program);
        own.extend(parts.ready.and_then(Ready::path));
        Tracing {
            helper: audit.helper.clone(),
            scope: audit::scope(&ws.root, &ws.env, &own),
        }
    });
    let params = params_text::text(&stage.params);
    let file = &logs.params;
    let line = format!("{params}\n");
    fs::write_all(&mut fs::create(file)?, line.as_bytes(), file)?;
    let secrets = secrets::of(stage, &ws.env);
    let redaction = secrets::redaction(stage, &secrets, &logs);
    let written = redaction.as_ref().map_or(&events, |r| &r.pipe);
    let mut isolation = parts.apart.of(stage);
    if let (true, Some(isolation)) = (has_view, &mut isolation) {
        let program = argv.first().map(Path::new);
        let mut read: Vec<&Path> = program
            .filter(|path| path.is_absolute())
            .into_iter()
            .collect();
        read.extend(parts.ready.and_then(Ready::path));
        let seen: Vec<&Path> = parts
            .ready
            .and_then(Ready::interpreter)
            .into_iter()
            .collect();
        let own = Own {
            written: [&scratch, &logs.dir],
            read: &read,
            seen: &seen,
        };
        isolation.view = Some(view::view(ws, stage, &dir, &mut inputs, &own)?);
    }
    let kept = parts.apart.kept(stage, isolation.as_ref());
    let given = Given {
        threads: held.lease.threads,
        cards: &held.lease.gpus,
        params: file,
        events: written,
        scratch: &scratch,
        store: ws.store.location().shared(),
    };
    let mut env = spec.environment(&ws.env, &given);
    let mut argv = argv;
    if let Some(ready) = parts.ready {
        ready.enter(&mut argv, &mut env);
    }
    let container = image.map(|(image, by)| -> Result<_, RunError> {
        let key = held.key.digest();
        let container = Container::of(by, &key, ws.run_store().location().dir());
        container.remove(&ws.env, &ws.root);
        let inside = Inside {
            stage,
            image,
            by,
            at: &fs::canonicalize(&ws.root)?,
            work: &fs::canonicalize(&dir)?,
            written: [&scratch, &logs.dir],
            placed: &inputs.placed,
            has_cards: !held.lease.gpus.is_empty(),
            name: &container,
        };
        (argv, env) = inside.command(&argv, &env, &ws.env);
        Ok(container)
    });
    let container = container.transpose()?;
    let job = Job {
        name: stage.name.clone(),
        argv,
        env,
        dir: dir.clone(),
        isolation,
        stdout: logs.stdout.clone(),
        stderr: logs.stderr.clone(),
        timeout: stage.timeout,
        // What runs the image sees to it.
        memory: stage.resources.mem.filter(|_| image.is_none()),
        tracing,
        redaction,
        grace: GRACE,
    };
    Ok(Attempt {
        dir,
        logs,
        events,
        inputs,
        job,
        container,
        environment: parts
            .ready
            .and_then(Ready::place)
            .filter(|_| !has_view)
            .cloned(),
        spec,
        kept,
        number: parts.number,
        secrets,
    })
}

fn make_parent(path: &Path) -> Result<(), RunError> {
    match path.parent() {
        Some(parent) => Ok(fs::create_dir_all(parent)?),
        None => Ok(()),
    }
}
