//! `restage remote`: what a remote has, whether it is right, and the key that signs results.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::args::{Remote as Arguments, RemoteTargets};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::output::Output;
use crate::remotes::{self, FromRemote};
use crate::render::Reading;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::digest::Digest;
use restage_engine::know;
use restage_remote::{Found, Wanted};

pub(crate) fn remote(
    settings: &Settings,
    args: &Arguments,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match args {
        Arguments::Key => key(settings, out),
        Arguments::Status(args) => status(settings, args, out),
        Arguments::Check(args) => check(settings, args, out),
    }
}

/// Shows the caller's public key, and makes one where there is none.
fn key(settings: &Settings, out: &mut Output) -> Result<Exit, CliError> {
    let key = match remotes::own_key(settings)? {
        Some(key) => key,
        None => {
            let (key, path) = remotes::make_key(settings)?;
            out.note(&format!("made a new key in `{}`\n", path.display()));
            key
        }
    };
    let public = key.public();
    if settings.json {
        let value = json!({"key": public.to_string(), "signer": public.signer()});
        out.data(&format!("{value}\n"))?;
        return Ok(Exit::Ok);
    }
    out.data(&format!("{public}\n"))?;
    out.note(&format!(
        "its records are named {}; `trusted = [\"{public}\"]` in restage.toml makes others use them\n",
        public.signer()
    ));
    Ok(Exit::Ok)
}

/// What a remote has of the keys that stages have now, were all that it has here.
struct Asked<'a> {
    session: Session<'a>,
    from: FromRemote,
    /// By stage: its name, and its key if that is known.
    keys: Vec<(String, Option<Digest>)>,
    found: BTreeMap<Digest, Found>,
}

fn ask<'a>(
    settings: &'a Settings,
    loaded: &'a Loaded,
    args: &RemoteTargets,
) -> Result<Asked<'a>, CliError> {
    let (remote, config) = remotes::remote(settings, &loaded.root, args.remote.as_deref())?;
    let trusted = remotes::trusted(settings, &config)?;
    let session = Session::open(settings, loaded)?;
    let from = FromRemote::new(remote, &session.workspace.store, trusted);
    let selected = loaded.select(&args.targets, false)?;
    let workspace = &session.workspace;
    let known = know(workspace, &loaded.graph, &selected, &BTreeSet::new(), &from);
    let known = known.map_err(|error| loaded.error(error))?;
    workspace.save_cache();
    let keys: Vec<(String, Option<Digest>)> = known
        .plan
        .stages
        .iter()
        .map(|(id, planned)| {
            let key = planned.key.as_ref().map(|key| key.digest());
            (loaded.graph.stage(*id).name.clone(), key)
        })
        .collect();
    let all: BTreeSet<Digest> = keys.iter().filter_map(|(_, key)| *key).collect();
    let all: Vec<Digest> = all.into_iter().collect();
    let found = from.find(&all);
    match from.take_failure() {
        Some(error) => Err(error.into()),
        None => Ok(Asked {
            session,
            from,
            keys,
            found: found.into_iter().map(|found| (found.key, found)).collect(),
        }),
    }
}

/// A line for each stage.
fn status(settings: &Settings, args: &RemoteTargets, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let asked = ask(settings, &loaded, args)?;
    let width = asked.keys.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (name, key) in &asked.keys {
        let found = key.as_ref().and_then(|key| asked.found.get(key));
        let (word, more) = match found.map(|found| &found.what) {
            None => ("unknown", "it reads what has no result".to_owned()),
            Some(Wanted::NotThere) => ("not there", String::new()),
            Some(Wanted::Record(record)) => ("there", format!("made on {}", record.host)),
            Some(Wanted::Strangers(signers)) => {
                ("not trusted", format!("signed by {}", signers.join(", ")))
            }
            Some(Wanted::Refused(why)) => ("refused", why.clone()),
        };
        text += &match settings.json {
            true => {
                let key = key.map(|key| key.to_string());
                let value = json!({"stage": name, "remote": asked.from.remote.name(), "state": word, "key": key, "more": more});
                format!("{value}\n")
            }
            false => {
                let line = format!("{name:width$}  {word:11}  {more}");
                format!("{}\n", line.trim_end())
            }
        };
    }
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// Reads every byte of what the pipeline's results are made of.
fn check(settings: &Settings, args: &RemoteTargets, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let asked = ask(settings, &loaded, args)?;
    let records = asked.found.values().filter_map(|found| match &found.what {
        Wanted::Record(record) => Some(record.clone()),
        _ => None,
    });
    let records: Vec<_> = records.collect();
    let name = asked.from.remote.name();
    let moving = Reading::of_objects(settings);
    let checked = asked.from.pull().check(&records);
    drop(moving);
    let bad = checked.failed.len();
    for (stage, error) in &checked.failed {
        out.warning(&format!("`{name}` has not all of {stage}: {error}"));
        if let Some(hint) = error.hint() {
            out.hint(&hint);
        }
    }
    drop(asked.session);
    if let Some(error) = checked.ended {
        return Err(error.into());
    }
    if settings.json {
        let value = json!({
            "remote": name, "results": records.len(), "files": checked.objects, "bytes": checked.bytes, "damaged": bad,
        });
        out.data(&format!("{value}\n"))?;
    } else {
        out.data(&format!(
            "checked {} in {name} ({}, {}): {}\n",
            count(records.len(), "result"),
            count(checked.objects, "file"),
            size(checked.bytes as f64),
            match bad {
                0 => "all is right".to_owned(),
                bad => format!("{} damaged or not whole", count(bad, "result")),
            }
        ))?;
    }
    Ok(match bad {
        0 => Exit::Ok,
        _ => Exit::Different,
    })
}
