//! `restage push`: puts results into a remote.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::args::Push as Arguments;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::output::Output;
use crate::remotes;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::suggest::list;
use restage_engine::Decision;
use restage_remote::{Push, Pushed, RemoteError};
use restage_store::Record;

pub(crate) fn push(
    settings: &Settings,
    args: &Arguments,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let (remote, config) = remotes::remote(settings, &loaded.root, args.remote.as_deref())?;
    let signer = remotes::own_key(settings)?.ok_or_else(|| {
        CliError::usage("results are signed, and you have no key").with_hint(
            "`restage remote key` makes one and shows what others write into `trusted` in restage.toml",
        )
    })?;
    let session = Session::open(settings, &loaded)?;
    let selected = loaded.select(&args.targets, false)?;
    let plan = session.plan(&selected, &BTreeSet::new())?;
    session.workspace.save_cache();
    let mut records: Vec<Arc<Record>> = Vec::new();
    let mut without = Vec::new();
    for (id, planned) in &plan.stages {
        match &planned.decision {
            Decision::Fresh(record) | Decision::Restore(record, _) => {
                records.push(Arc::clone(record));
            }
            _ => without.push(loaded.graph.stage(*id).name.as_str()),
        }
    }
    if !without.is_empty() {
        out.warning(&format!(
            "{} no result and can't be pushed: {}",
            match without.len() {
                1 => "a stage has".to_owned(),
                many => format!("{many} stages have"),
            },
            list(without.iter().copied())
        ));
    }
    let others = remotes::trusted(settings, &config)?;
    if !others.keys().iter().any(|key| key.is(signer.public())) {
        out.warning(&format!(
            "restage.toml does not trust your key: nobody who reads it uses what you push to `{}`",
            remote.name()
        ));
        out.hint(&format!("add \"{}\" to `trusted`", signer.public()));
    }
    let location = session.workspace.store.location();
    let push = Push {
        remote: &remote,
        store: &session.workspace.store,
        signer: &signer,
        notes: location
            .own()
            .join("remotes")
            .join(remote.name())
            .join("uploads"),
        repair: args.repair,
    };
    let pushed = push.push(&records);
    say(settings, remote.name(), &pushed, out)?;
    let failed = !pushed.failed.is_empty();
    for (stage, error) in pushed.failed {
        out.warning(&format!("{stage} was not pushed: {error}"));
        if let Some(hint) = error.hint() {
            out.hint(&hint);
        }
    }
    match pushed.ended {
        Some(RemoteError::Refused { what, by, .. }) => {
            let message = format!(
                "remote `{}` does not let {by} write `{what}`",
                remote.name()
            );
            Err(CliError::refused(message).with_hint(
                "nothing is lost: what was sent stays, and the next push goes on; use credentials that may write",
            ))
        }
        Some(error) => Err(error.into()),
        None if failed => Ok(Exit::Machine),
        None => Ok(Exit::Ok),
    }
}

fn say(settings: &Settings, name: &str, pushed: &Pushed, out: &mut Output) -> Result<(), CliError> {
    if settings.json {
        let value = json!({
            "remote": name, "pushed": pushed.put, "were_there": pushed.were_there, "files": pushed.objects,
            "files_there": pushed.objects_there, "bytes": pushed.bytes, "failed": pushed.failed.len(),
        });
        return out.data(&format!("{value}\n"));
    }
    let sent = match pushed.objects {
        0 => "no file was missing".to_owned(),
        objects => format!("{}, {}", count(objects, "file"), size(pushed.bytes as f64)),
    };
    let there = match pushed.were_there {
        0 => String::new(),
        there => format!("; {there} were there"),
    };
    out.data(&format!(
        "pushed {} to {name} ({sent}){there}\n",
        count(pushed.put, "result")
    ))
}
