//! `restage clean`: removes outs that the pipeline no longer declares.

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::{Clean, PipelineArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::rel_path::RelPath;
use restage_engine::{FormerOut, clean as clean_outs, former_outs};

pub(crate) fn clean(settings: &Settings, args: &Clean, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let session = Session::open(settings, &loaded)?;
    let former = undeclared(&args.pipeline, &session)?;
    if !args.dry_run {
        clean_outs(&session.workspace, &former)?;
    }
    session.workspace.save_cache();
    let mut text = String::new();
    for one in &former {
        let files = one.files.len();
        text += &match settings.json {
            true => format!(
                "{}\n",
                json!({
                    "out": one.path.as_str(), "stage": one.stage, "files": files,
                    "dry_run": args.dry_run,
                })
            ),
            false => {
                let goes = match args.dry_run {
                    true => "would remove",
                    false => "removed",
                };
                let (path, stage) = (&one.path, &one.stage);
                format!("{goes} `{path}` of {stage} ({})\n", count(files, "file"))
            }
        };
    }
    if text.is_empty() && !settings.json {
        text = "nothing to remove: the pipeline declares every out that is here\n".to_owned();
    }
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// What runs wrote, is still there, and no profile declares.
pub(super) fn undeclared(
    args: &PipelineArgs,
    session: &Session<'_>,
) -> Result<Vec<FormerOut>, CliError> {
    let mut declared: BTreeSet<RelPath> = BTreeSet::new();
    let loaded = session.loaded;
    let profiles = loaded.pipeline().profiles.iter();
    for profile in profiles.filter(|profile| *profile != loaded.profile()) {
        let args = PipelineArgs {
            profile: Some(profile.clone()),
            ..args.clone()
        };
        // A profile that can't be read may declare anything.
        let other = loaded.graph_under(&args)?;
        let outs = other.stages().iter().flat_map(|stage| &stage.outs);
        declared.extend(outs.map(|out| out.path.clone()));
    }
    Ok(former_outs(&session.workspace, &loaded.graph, &declared)?)
}
