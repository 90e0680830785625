//! `restage logs STAGE`: what its last attempt printed.

use crate::args::Logs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::fs;
use restage_engine::Workspace;

pub(crate) fn logs(settings: &Settings, args: &Logs, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let named = loaded.named(std::slice::from_ref(&args.stage))?;
    for id in named {
        let stage = &loaded.graph.stage(id).name;
        let Some(paths) = workspace.last_logs(stage)? else {
            let error = CliError::usage(format!(
                "stage `{stage}` has not run here under profile `{}`",
                loaded.profile()
            ));
            return Err(error.maybe_hint(elsewhere(workspace, stage)?));
        };
        for path in [&paths.stdout, &paths.stderr] {
            if fs::exists(path)? {
                out.file(path)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// Where to find the logs if the stage's result came from another workspace.
fn elsewhere(workspace: &Workspace, stage: &str) -> Result<Option<String>, CliError> {
    let Some(record) = workspace.last_record(stage) else {
        return Ok(None);
    };
    let (started, host) = (&record.started, &record.host);
    let ran = format!("its result came from the store; it ran {started} on {host}");
    let root = workspace.ran_in(&record)?;
    Ok(Some(match root {
        Some(root) => format!("{ran}:\n  `restage -C {} logs {stage}`", root.display()),
        None => format!("{ran}, and its logs are there"),
    }))
}
