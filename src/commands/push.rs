//! `restage push`: puts results into a remote.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::args::Push as Arguments;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::output::Output;
use crate::remotes;
use crate::render::Reading;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::suggest::list;
use restage_engine::Decision;
use restage_pipeline::graph::StageId;
use restage_remote::{Push, Pushed, Remote, RemoteError, Signer};
use restage_store::Record;

pub(crate) fn push(
    settings: &Settings,
    args: &Arguments,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    // What is wrong with it is said before inputs are read.
    let to = To::open(settings, &loaded.root, args.remote.as_deref())?;
    let session = Session::open(settings, &loaded)?;
    let selected = loaded.select(&args.targets, false)?;
    let (pushed, without) = to.push(&session, &selected, args.repair, out)?;
    if !without.is_empty() {
        out.warning(&format!(
            "{} no result and can't be pushed: {}",
            match without.len() {
                1 => "a stage has".to_owned(),
                many => format!("{many} stages have"),
            },
            list(without.iter().map(String::as_str))
        ));
    }
    let name = to.remote.name();
    if settings.json {
        out.data(&format!("{}\n", in_json(name, &pushed)))?;
    } else {
        out.data(&format!("{}\n", in_words(name, &pushed)))?;
    }
    let failed = !pushed.failed.is_empty();
    for (stage, error) in &pushed.failed {
        out.warning(&format!("{stage} was not pushed: {error}"));
        if let Some(hint) = error.hint() {
            out.hint(&hint);
        }
    }
    match pushed.ended {
        Some(RemoteError::Refused { what, by, .. }) => {
            let message = format!("remote `{name}` does not let {by} write `{what}`");
            Err(CliError::refused(message).with_hint(
                "nothing is lost: what was sent stays, and the next push goes on; use credentials that may write",
            ))
        }
        Some(error) => Err(error.into()),
        None if failed => Ok(Exit::Machine),
        None => Ok(Exit::Ok),
    }
}

/// Pushes the results of a run. What can't be pushed costs a warning.
pub(super) fn push_after_run(
    session: &Session<'_>,
    selected: &BTreeSet<StageId>,
    name: Option<&str>,
    quiet: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let settings = session.settings;
    let to = match To::open(settings, &session.loaded.root, name) {
        Ok(to) => to,
        Err(error) => {
            out.warning(&format!(
                "nothing was pushed:\n{}",
                error.render(settings.err_style).trim_end()
            ));
            return Ok(());
        }
    };
    let (pushed, _) = to.push(session, selected, false, out)?;
    let name = to.remote.name();
    if settings.json {
        out.data(&format!("{}\n", in_json(name, &pushed)))?;
    } else if !quiet {
        out.note(&format!("{}\n", in_words(name, &pushed)));
    }
    let failed = pushed
        .failed
        .iter()
        .map(|(stage, error)| (stage.as_str(), error));
    let ended = pushed.ended.iter().map(|error| ("the rest", error));
    for (what, error) in failed.chain(ended) {
        let hint = error.hint().map(|hint| format!(" ({hint})"));
        let hint = hint.unwrap_or_default();
        out.warning(&format!("`{name}`: {what} was not pushed: {error}{hint}"));
    }
    Ok(())
}

/// Where results go, and who signs them.
struct To {
    remote: Remote,
    signer: Signer,
    /// Whether those who read restage.toml use what we push.
    is_trusted: bool,
}

impl To {
    fn open(settings: &Settings, root: &Path, name: Option<&str>) -> Result<Self, CliError> {
        let (remote, config) = remotes::remote(settings, root, name)?;
        let signer = remotes::own_key(settings)?.ok_or_else(|| {
            CliError::usage("results are signed, and you have no key").with_hint(
                "`restage remote key` makes one and shows what others write into `trusted` in restage.toml",
            )
        })?;
        let trusted = remotes::trusted(settings, &config)?;
        let is_trusted = trusted.keys().iter().any(|key| key.is(signer.public()));
        Ok(Self {
            remote,
            signer,
            is_trusted,
        })
    }

    /// Pushes the current results of stages. Returns the names of those that have none, too.
    fn push(
        &self,
        session: &Session<'_>,
        selected: &BTreeSet<StageId>,
        repair: bool,
        out: &mut Output,
    ) -> Result<(Pushed, Vec<String>), CliError> {
        let plan = session.plan(selected, &BTreeSet::new())?;
        session.workspace.save_cache();
        let mut records: Vec<Arc<Record>> = Vec::new();
        let mut without = Vec::new();
        for (id, planned) in &plan.stages {
            match &planned.decision {
                Decision::Fresh(record) | Decision::Restore(record, _) => {
                    records.push(Arc::clone(record));
                }
                _ => without.push(session.loaded.graph.stage(*id).name.clone()),
            }
        }
        let name = self.remote.name();
        if !self.is_trusted {
            out.warning(&format!(
                "restage.toml does not trust your key: nobody who reads it uses what you push to `{name}`"
            ));
            out.hint(&format!("add \"{}\" to `trusted`", self.signer.public()));
        }
        let store = &session.workspace.store;
        let push = Push {
            remote: &self.remote,
            store,
            signer: &self.signer,
            notes: store
                .location()
                .own()
                .join("remotes")
                .join(name)
                .join("uploads"),
            repair,
        };
        let _moving = Reading::of_objects(session.settings);
        Ok((push.push(&records), without))
    }
}

fn in_json(name: &str, pushed: &Pushed) -> serde_json::Value {
    json!({
        "event": "pushed", "remote": name, "pushed": pushed.put, "were_there": pushed.were_there,
        "files": pushed.objects, "files_there": pushed.objects_there, "bytes": pushed.bytes,
        "failed": pushed.failed.len(),
    })
}

fn in_words(name: &str, pushed: &Pushed) -> String {
    let sent = match pushed.objects {
        0 => "no file was missing".to_owned(),
        objects => format!("{}, {}", count(objects, "file"), size(pushed.bytes as f64)),
    };
    let there = match pushed.were_there {
        0 => String::new(),
        there => format!("; {there} were there"),
    };
    let results = count(pushed.put, "result");
    format!("pushed {results} to {name} ({sent}){there}")
}
