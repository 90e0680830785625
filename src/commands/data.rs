//! `restage data`: what lies outside the pipeline's folder and is read all the same (docs/adr/0025).

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::{Data, DataCommand};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::digest::Kind;
use restage_core::suggest::hint_among;
use restage_engine::{DataDifference, DataError, DataNow};
use restage_pipeline::graph::StageId;
use restage_pipeline::{Action, Data as Declared, Fetch, size_text};
use restage_store::lockfile;

pub(crate) fn data(settings: &Settings, args: &Data, out: &mut Output) -> Result<Exit, CliError> {
    match &args.command {
        None => list(settings, &Loaded::open(settings, &args.pipeline)?, out),
        Some(DataCommand::Update(update)) => {
            let loaded = Loaded::open(settings, &update.pipeline)?;
            accept(settings, &loaded, &update.names, out)
        }
    }
}

/// What is known of data.
enum State<'a> {
    /// It is what it is pinned to.
    Pinned(&'a DataNow),
    /// It is not pinned yet.
    New(&'a DataNow),
    Changed(&'a DataNow, DataDifference),
    Wrong(&'a DataError),
}

impl State<'_> {
    fn word(&self) -> &'static str {
        match self {
            Self::Pinned(_) => "unchanged",
            Self::New(_) => "not pinned",
            Self::Changed(..) => "changed",
            Self::Wrong(DataError::Missing { .. } | DataError::NotSet { .. }) => "missing",
            Self::Wrong(_) => "unusable",
        }
    }

    fn now(&self) -> Option<&DataNow> {
        match self {
            Self::Pinned(now) | Self::New(now) | Self::Changed(now, _) => Some(now),
            Self::Wrong(_) => None,
        }
    }
}

fn state<'a>(session: &'a Session<'_>, data: &Declared) -> Option<State<'a>> {
    let workspace = &session.workspace;
    Some(match workspace.data_now(&data.name)? {
        Err(error) => State::Wrong(error),
        Ok(now) if now.pin.is_none() => State::New(now),
        Ok(now) => match workspace.data_difference(now) {
            None => State::Pinned(now),
            Some(difference) => State::Changed(now, difference),
        },
    })
}

/// A line for each, with what is wrong below it.
fn list(settings: &Settings, loaded: &Loaded, out: &mut Output) -> Result<Exit, CliError> {
    let session = Session::look(settings, loaded)?;
    let all = &loaded.pipeline().data;
    let downloads = downloads(&session)?;
    if all.is_empty() && downloads.is_empty() && !settings.json {
        out.note(&format!("{} declares no data\n", loaded.file_name));
    }
    loaded.warn_of_committed_local_file(out)?;
    loaded.warn_of_unknown_local_data(out);
    let mut text = String::new();
    let widths = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let all_names = all.iter().map(|data| data.name.as_str());
    let mut names = all_names
        .chain(downloads.iter().map(|one| one.name))
        .map(str::len);
    let names = widths(&mut names);
    let all_places = all.iter().map(|data| data.place.as_str());
    let mut places = all_places
        .chain(downloads.iter().map(|one| one.place))
        .map(str::len);
    let places = widths(&mut places);
    for data in all {
        let Some(state) = state(&session, data) else {
            continue;
        };
        let path = session.workspace.data_path(data);
        if settings.json {
            let problem = match &state {
                State::Wrong(error) => Some(error.to_string()),
                State::Changed(_, difference) => Some(difference.to_string()),
                State::Pinned(_) | State::New(_) => None,
            };
            let content = state.now().map(DataNow::content);
            let value = json!({
                "data": data.name,
                "state": state.word(),
                "place": data.place.as_str(),
                "path": path.ok().map(|path| path.display().to_string()),
                "blake3": content.map(|content| content.content_id().to_string()),
                "pinned": state.now().and_then(|now| now.pin).map(|pin| pin.to_string()),
                "files": content.map(|content| content.files),
                "bytes": content.map(|content| content.size),
                "problem": problem,
            });
            text += &format!("{value}\n");
            continue;
        }
        let place = data.place.as_str();
        let at = path.map_or_else(|_| data.path.to_string(), |path| path.display().to_string());
        let size = state.now().map(size).unwrap_or_default();
        let word = state.word();
        let line = format!(
            "{word:10}  {:names$}  {place:places$}  {at}{size}",
            data.name
        );
        text += &format!("{}\n", line.trim_end());
        match &state {
            State::Wrong(error) => {
                text += &format!("  {error}\n");
                if let Some(hint) = error.hint() {
                    text += &format!("  {hint}\n");
                }
            }
            State::Changed(_, difference) => {
                text += &format!(
                    "  {difference}; `restage data update {}` accepts it\n",
                    data.name
                );
            }
            State::Pinned(_) | State::New(_) => {}
        }
    }
    for Download {
        name,
        place,
        url,
        sha256,
        kept,
    } in downloads
    {
        let word = if kept { "here" } else { "not here" };
        text += &match settings.json {
            true => {
                let value = json!({
                    "data": name, "state": word, "place": place, "url": url, "sha256": sha256,
                });
                format!("{value}\n")
            }
            false => format!("{word:10}  {name:names$}  {place:places$}  {url}\n"),
        };
    }
    session.workspace.save_cache();
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// Data that is downloaded.
struct Download<'a> {
    name: &'a str,
    place: &'a str,
    url: &'a str,
    sha256: &'a str,
    /// Whether the store has it.
    kept: bool,
}

fn downloads<'a>(session: &'a Session<'_>) -> Result<Vec<Download<'a>>, CliError> {
    let graph = &session.loaded.graph;
    let fetches = graph
        .ids()
        .iter()
        .filter_map(|id| match &graph.stage(*id).action {
            Action::Fetch(fetch) => Some((*id, fetch)),
            Action::Program { .. } | Action::Command(_) => None,
        });
    let fetches: Vec<(StageId, &Fetch)> = fetches.collect();
    let ids = fetches.iter().map(|(id, _)| *id).collect();
    let plan = session.plan(&ids, &BTreeSet::new())?;
    let all = fetches.into_iter().map(|(id, fetch)| {
        let stage = graph.stage(id);
        Download {
            name: &stage.name,
            place: stage.outs.first().map_or("", |out| out.path.as_str()),
            url: &fetch.url,
            sha256: &fetch.sha256,
            kept: plan
                .stages
                .get(&id)
                .is_some_and(|planned| planned.record().is_some()),
        }
    });
    Ok(all.collect())
}

/// " (12 files, 3.4 GiB)".
fn size(now: &DataNow) -> String {
    let content = now.content();
    let bytes = size_text(content.size);
    match content.kind {
        Kind::Tree => format!("  ({}, {bytes})", count(content.files as usize, "file")),
        Kind::File { .. } => format!("  ({bytes})"),
    }
}

/// Pins data to what it is now.
fn accept(
    settings: &Settings,
    loaded: &Loaded,
    names: &[String],
    out: &mut Output,
) -> Result<Exit, CliError> {
    let all = &loaded.pipeline().data;
    for name in names {
        let downloaded = loaded
            .graph
            .id(name)
            .map(|id| &loaded.graph.stage(id).action);
        if let Some(Action::Fetch(_)) = downloaded {
            let message = format!("data `{name}` is downloaded, and its `sha256` says what it is");
            let hint = format!("for another file, change `sha256` in {}", loaded.file_name);
            return Err(CliError::usage(message).with_hint(hint));
        }
        if !all.iter().any(|data| data.name == *name) {
            let known = all.iter().map(|data| data.name.as_str());
            let message = format!("{} has no data `{name}`", loaded.file_name);
            return Err(CliError::usage(message).maybe_hint(hint_among(name, "it has", known)));
        }
    }
    let session = Session::open(settings, loaded)?;
    let workspace = &session.workspace;
    let location = workspace.store.location();
    let path = loaded.root.join(lockfile::name(loaded.base_name()));
    for data in all.iter().filter(|data| names.contains(&data.name)) {
        let Some(state) = state(&session, data) else {
            continue;
        };
        let (now, said) = match &state {
            State::Wrong(error) => {
                let hint = error.hint();
                return Err(CliError::new((*error).clone(), Exit::Usage).maybe_hint(hint));
            }
            State::Pinned(now) => (*now, "it is what it was".to_owned()),
            State::New(now) => (*now, "pinned".to_owned()),
            State::Changed(now, difference) => (*now, format!("accepted, {difference}")),
        };
        if !matches!(state, State::Pinned(_)) {
            let _turn = lockfile::Turn::wait(location.dir())?;
            let content = now.content().content_id();
            lockfile::pin(&location.own_tmp(), &path, &data.name, content)?;
        }
        workspace.keep_list(now)?;
        if settings.json {
            let value = json!({
                "data": data.name,
                "was": now.pin.map(|pin| pin.to_string()),
                "is": now.content().content_id().to_string(),
            });
            out.data(&format!("{value}\n"))?;
        } else {
            out.data(&format!("{}: {said}{}\n", data.name, size(now)))?;
        }
    }
    workspace.save_cache();
    Ok(Exit::Ok)
}
