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
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_engine::{FormerOut, clean as clean_outs, former_outs};
use restage_pipeline::{ClaimRule, DepPattern, Pipeline};

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
        text =
            "nothing to remove: the pipeline declares or reads every out that is here\n".to_owned();
    }
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// What runs wrote, is still there, and no profile declares or reads.
pub(super) fn undeclared(
    args: &PipelineArgs,
    session: &Session<'_>,
) -> Result<Vec<FormerOut>, CliError> {
    let loaded = session.loaded;
    let mut keep = named(loaded.pipeline());
    let profiles = loaded.pipeline().profiles.iter();
    for profile in profiles.filter(|profile| *profile != loaded.profile()) {
        let args = PipelineArgs {
            profile: Some(profile.clone()),
            ..args.clone()
        };
        // A profile that can't be read may declare anything.
        let other = loaded.graph_under(&args)?;
        let outs = other.stages().iter().flat_map(|stage| &stage.outs);
        keep.extend(outs.map(|out| out.path.clone()));
        keep.extend(named(other.pipeline()));
    }
    Ok(former_outs(&session.workspace, &keep)?)
}

/// What a pipeline reads by name: stages, claims, the page, exports and `compare`.
fn named(pipeline: &Pipeline) -> BTreeSet<RelPath> {
    let deps = pipeline.stages.iter().flat_map(|stage| &stage.deps);
    let mut named: BTreeSet<RelPath> = deps
        .filter_map(|dep| match &dep.pattern {
            DepPattern::Path(path) => Some(path.clone()),
            DepPattern::Glob(_) => None,
        })
        .collect();
    let mut of_claims: Vec<String> = Vec::new();
    for claim in &pipeline.claims {
        let holds = match &claim.rule {
            ClaimRule::Holds(expression) => Some(expression),
            ClaimRule::Absolute(_) | ClaimRule::Relative(_) => None,
        };
        // Files are among its strings; what else is quoted names none.
        for expression in [&claim.ours, &claim.needs]
            .into_iter()
            .flatten()
            .chain(holds)
        {
            let below = |text: &str| match claim.folder.as_str() {
                "" => text.to_owned(),
                folder => format!("{folder}/{text}"),
            };
            let quoted = expression.text.split(['"', '\'']);
            of_claims.extend(quoted.map(below));
        }
    }
    let mut texts: Vec<&str> = of_claims.iter().map(String::as_str).collect();
    texts.extend(pipeline.compare.iter().map(|rule| rule.files.as_str()));
    texts.extend(
        pipeline
            .export
            .tensorboard
            .iter()
            .map(|it| it.tables.as_str()),
    );
    texts.extend(pipeline.export.ro_crate.also.iter().map(String::as_str));
    if let Some(report) = &pipeline.report {
        texts.extend(report.facts.iter().map(|fact| fact.table.as_str()));
        let shown = report.sections.iter().flat_map(|section| &section.show);
        texts.extend(shown.map(|show| show.files.as_str()));
    }
    let paths = texts.into_iter().filter(|text| !Glob::is_glob(text));
    named.extend(paths.filter_map(|text| RelPath::new(text).ok()));
    named
}
