//! `restage export ro-crate`: the records of all stages, as a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::destination;
use super::gather::{Copies, Gathered};
use crate::args::RoCrate;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, grouped, shell_word, size};
use crate::left_over;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::clock::WallTime;
use restage_core::digest::{DepContent, KeyAction};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_engine::{Decision, Patterns};
use restage_pipeline::graph::{Graph, StageId};
use restage_report::export::ro_crate::{About, Adopted, Agent, Crate, StageRun, Step, Tool};
use restage_store::Record;

/// Files next to the pipeline that a reader would look for.
const BESIDE: [&str; 2] = ["README.md", "pipeline.lock"];

pub(crate) fn ro_crate(
    settings: &Settings,
    args: &RoCrate,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let records = records(&session)?;
    let pipeline = Path::new(&loaded.file_name).file_name().unwrap_or_default();
    let pipeline = pipeline.to_string_lossy().into_owned();

    let mut gathered = Gathered::new(workspace);
    let patterns = session.patterns()?;
    for path in paths(&loaded, &patterns, &records, &pipeline)? {
        gathered.add(&path).map_err(|error| loaded.error(error))?;
    }
    workspace.save_cache();
    left_over::warn(&patterns, out);
    let (mut package, folder) =
        destination::start(settings, &loaded, args.out.as_deref(), "ro-crate")?;
    let copies = gathered.copy(&mut package, args.up_to, &pipeline);
    let copies = copies?;
    if let Some(changed) = copies.changed.first() {
        let message = format!("`{changed}` changed while it was exported; nothing was written");
        return Err(
            CliError::usage(message).with_hint("export again when nothing is writing there")
        );
    }
    let described = describe(&loaded, &records, pipeline, gathered);
    let metadata = package.write("ro-crate-metadata.json", described.to_json().as_bytes());
    metadata?;
    package.commit()?;
    out.data(&summary(settings, &folder, &copies))?;
    Ok(Exit::Ok)
}

fn summary(settings: &Settings, folder: &Path, copies: &Copies) -> String {
    if settings.json {
        let line = json!({
            "event": "exported",
            "crate": folder,
            "files": copies.files,
            "bytes": copies.bytes,
            "by_digest": copies.left_out,
        });
        return format!("{line}\n");
    }
    let (files, bytes) = (count(copies.files, "file"), size(copies.bytes as f64));
    let left_out = match copies.left_out.len() {
        0 => String::new(),
        n => format!(", and {} by digest only", count(n, "larger file")),
    };
    format!("{} has {files} ({bytes}){left_out}\n", folder.display())
}

/// The current record of every stage, in an order in which the stages can run.
fn records(session: &Session<'_>) -> Result<Vec<(StageId, Arc<Record>)>, CliError> {
    let loaded = session.loaded;
    let graph = &loaded.graph;
    let all = loaded.select(&[], false)?;
    let plan = session.plan(&all, &BTreeSet::new())?;
    let mut records = Vec::new();
    let mut stale = Vec::new();
    for &id in graph.topological() {
        match plan.stages.get(&id).map(|planned| &planned.decision) {
            Some(Decision::Fresh(record)) => records.push((id, Arc::clone(record))),
            _ => stale.push(graph.stage(id).name.as_str()),
        }
    }
    if stale.is_empty() {
        return Ok(records);
    }
    let (n, of) = (stale.len(), graph.stages().len());
    let are = if n == 1 { "is" } else { "are" };
    let (names, profile) = (grouped(stale), loaded.profile());
    let of = count(of, "stage");
    let message = format!("{n} of {of} {are} not up to date under profile `{profile}`: {names}");
    Err(CliError::stale(message)
        .with_hint("a crate describes how the files here were made; run `restage reproduce` first"))
}

/// Every path that the crate describes.
fn paths(
    loaded: &Loaded,
    patterns: &Patterns,
    records: &[(StageId, Arc<Record>)],
    pipeline: &str,
) -> Result<Vec<RelPath>, CliError> {
    let named = |path: &str| RelPath::new(path).ok();
    let mut paths: Vec<RelPath> = named(pipeline).into_iter().collect();
    paths.extend(BESIDE.iter().filter_map(|path| named(path)));
    for (_, record) in records {
        // Outs first: a dep may lie inside another stage's out.
        paths.extend(record.outs.iter().filter_map(|out| named(&out.path)));
    }
    for (_, record) in records {
        paths.extend(record.inputs.deps.iter().filter_map(|dep| named(&dep.path)));
    }
    for pattern in &loaded.pipeline().export.ro_crate.also {
        // Loading the pipeline checked the pattern.
        let glob = Glob::new(pattern).map_err(CliError::bug)?;
        paths.extend(patterns.matching(&glob)?);
    }
    Ok(paths)
}

fn describe(
    loaded: &Loaded,
    records: &[(StageId, Arc<Record>)],
    pipeline: String,
    gathered: Gathered<'_>,
) -> Crate {
    let graph = &loaded.graph;
    let described = loaded.pipeline().export.ro_crate.clone();
    let steps = steps(graph).into_iter().map(|name| Step {
        name: name.to_owned(),
        desc: graph
            .stages()
            .iter()
            .find(|stage| stage.group == name)
            .and_then(|stage| stage.desc.clone()),
    });
    let runs = records.iter();
    Crate {
        name: graph.pipeline().name.clone(),
        profile: loaded.profile().to_owned(),
        about: About {
            description: described.description,
            license: described.license,
            agent: described.agent.map(|agent| Agent {
                name: agent.name,
                id: agent.id,
            }),
        },
        pipeline,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        steps: steps.collect(),
        runs: runs
            .map(|(id, record)| stage_run(graph, *id, record))
            .collect(),
        items: gathered.items,
    }
}

/// Groups of stages, each after the groups that any of its instances reads from, otherwise in
/// declared order.
fn steps(graph: &Graph) -> Vec<&str> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut left: Vec<&str> = Vec::new();
    for (id, stage) in graph.ids().iter().zip(graph.stages()) {
        let group = stage.group.as_str();
        if !left.contains(&group) {
            left.push(group);
        }
        let on = graph
            .dependencies(*id)
            .iter()
            .map(|up| graph.stage(*up).group.as_str());
        waits
            .entry(group)
            .or_default()
            .extend(on.filter(|up| *up != group));
    }
    let mut ordered: Vec<&str> = Vec::new();
    while !left.is_empty() {
        let is_ready = |group: &&str| {
            let on = waits.get(*group).into_iter().flatten();
            on.into_iter().all(|up| ordered.contains(up))
        };
        // Instances of two groups may read from each other: then no order is right.
        let next = left.iter().position(is_ready).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

fn stage_run(graph: &Graph, id: StageId, record: &Record) -> StageRun {
    let stage = graph.stage(id);
    let key = &record.inputs;
    let (tool, command) = match &key.action {
        KeyAction::Program {
            package,
            code,
            args,
        } => {
            let code = code.to_string();
            let words = std::iter::once(package)
                .chain(args)
                .map(|word| shell_word(word));
            let package = package.clone();
            (
                Tool::Program { package, code },
                words.collect::<Vec<_>>().join(" "),
            )
        }
        action @ (KeyAction::Command(_) | KeyAction::Script { .. } | KeyAction::Fetch { .. }) => {
            (Tool::Command, action.command().unwrap_or_default())
        }
    };
    let started = WallTime::parse(&record.started);
    let started = started.unwrap_or(WallTime {
        seconds: 0,
        nanos: 0,
    });
    let took = Duration::try_from_secs_f64(record.seconds).unwrap_or_default();
    let read = key
        .deps
        .iter()
        .filter(|dep| dep.content != DepContent::Missing);
    let set = key.env.iter();
    StageRun {
        name: stage.name.clone(),
        step: stage.group.clone(),
        tool,
        command,
        params: key.params.clone(),
        env: set
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect(),
        tools: key.tools.clone(),
        reads: read.map(|dep| dep.path.clone()).collect(),
        writes: record.outs.iter().map(|out| out.path.clone()).collect(),
        key: record.key.to_string(),
        started,
        ended: started.later(took),
        peak_memory: record.peak_memory,
        host: record.host.clone(),
        nondeterministic: record.nondeterministic,
        adopted: record.adopted.as_ref().map(|adoption| Adopted {
            by: adoption.by.clone(),
            how: adoption.to_string(),
        }),
    }
}
