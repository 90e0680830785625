//! `restage export tensorboard`: the tables of training runs, with times and parameters from their
//! records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::destination;
use crate::args::Tensorboard;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::left_over;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::tables::Lookup;
use restage_core::clock::WallTime;
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_engine::{Facts, Patterns, Workspace};
use restage_pipeline::Diagnostic;
use restage_pipeline::graph::StageId;
use restage_report::export::tensorboard::{Origin, Run};

pub(crate) fn tensorboard(
    settings: &Settings,
    args: &Tensorboard,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let wanted = loaded.named(&args.targets)?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let patterns = session.patterns()?;
    let found = tables(&loaded, &patterns, &wanted);
    left_over::warn(&patterns, out);
    let found = found?;
    let runs = runs(&loaded, workspace, &found, out)?;
    workspace.save_cache();

    let (mut package, folder) =
        destination::start(settings, &loaded, args.out.as_deref(), "tensorboard")?;
    for (name, run) in &runs {
        let path = match name.as_str() {
            "" => run.file_name(),
            name => format!("{name}/{}", run.file_name()),
        };
        package.write(&path, &run.to_bytes())?;
    }
    package.commit()?;

    if settings.json {
        return write_summary(&runs, &folder, out);
    }
    let mut text = String::new();
    for (name, run) in &runs {
        let name = if name.is_empty() { "." } else { name };
        let steps = count(run.scalars.steps(), "step");
        let scalars = count(run.scalars.tags().count(), "scalar");
        let adopted = adopted(run).map_or_else(String::new, |how| format!(", not run: {how}"));
        text += &format!("{name}: {steps}, {scalars}{adopted}\n");
    }
    let logdir = match args.out {
        Some(_) => folder.as_path(),
        None => folder.parent().unwrap_or(&folder),
    };
    text += &format!(
        "{} in {}; view with `tensorboard --logdir {}`\n",
        count(runs.len(), "run"),
        folder.display(),
        logdir.display()
    );
    out.data(&text)?;
    Ok(Exit::Ok)
}

fn write_summary(
    runs: &BTreeMap<String, Run>,
    folder: &Path,
    out: &mut Output,
) -> Result<Exit, CliError> {
    for (name, run) in runs {
        let line = json!({
            "event": "exported",
            "run": name,
            "file": folder.join(name).join(run.file_name()),
            "steps": run.scalars.steps(),
            "tags": run.scalars.tags().collect::<Vec<_>>(),
            "recorded": run.origin.is_some(),
            "adopted": adopted(run),
        });
        out.data(&format!("{line}\n"))?;
    }
    Ok(Exit::Ok)
}

fn adopted(run: &Run) -> Option<&str> {
    run.origin.as_ref()?.adopted.as_deref()
}

/// A table, and the rule that matches it.
struct Found<'a> {
    rule: &'a restage_pipeline::StepTables,
    run: String,
    path: RelPath,
    writer: Option<(StageId, usize)>,
}

/// The tables that rules match, of the `wanted` stages only if there are any.
fn tables<'a>(
    loaded: &'a Loaded,
    patterns: &Patterns,
    wanted: &BTreeSet<StageId>,
) -> Result<Vec<Found<'a>>, CliError> {
    if loaded.pipeline().export.tensorboard.is_empty() {
        let error = format!(
            "`{}` has no `export: {{tensorboard: [..]}}`",
            loaded.file_name
        );
        return Err(CliError::usage(error).with_hint(
            "list the tables that have a row per step:\n  \
             export: {tensorboard: [{tables: \"results/*/history.csv\", step: epoch}]}",
        ));
    }
    let mut found = Vec::new();
    for rule in &loaded.pipeline().export.tensorboard {
        let glob = Glob::new(&rule.tables).map_err(CliError::bug)?;
        for path in patterns.matching(&glob)? {
            let writer = loaded.graph.owner_of(&path);
            let is_wanted = wanted.is_empty() || writer.is_some_and(|(id, _)| wanted.contains(&id));
            if is_wanted {
                let run = run_name(&glob, &path);
                found.push(Found {
                    rule,
                    run,
                    path,
                    writer,
                });
            }
        }
    }
    if found.is_empty() {
        let of = match wanted.is_empty() {
            true => String::new(),
            false => " of these targets".to_owned(),
        };
        let (file, profile) = (&loaded.file_name, loaded.profile());
        let message =
            format!("no table{of} matches `export` in `{file}` under profile `{profile}`");
        return Err(CliError::usage(message).with_hint("run `restage reproduce` to make them"));
    }
    Ok(found)
}

/// What distinguishes a table from others of its pattern: its folder from the first special
/// character on, and its own name if the pattern leaves that open.
fn run_name(glob: &Glob, path: &RelPath) -> String {
    let path = path.as_str();
    let inside = match glob.base_folder() {
        "" => path,
        base => path[base.len()..].trim_start_matches('/'),
    };
    let (folder, file) = inside.rsplit_once('/').unwrap_or(("", inside));
    let open = glob.as_str().rsplit('/').next().is_some_and(Glob::is_glob);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    match (folder, open) {
        (folder, false) => folder.to_owned(),
        ("", true) => stem.to_owned(),
        (folder, true) => format!("{folder}/{stem}"),
    }
}

/// Reads the tables. Those that can't be read step by step are all reported at once.
fn runs(
    loaded: &Loaded,
    workspace: &Workspace,
    found: &[Found<'_>],
    out: &mut Output,
) -> Result<BTreeMap<String, Run>, CliError> {
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    let (mut mistakes, mut unknown) = (Vec::new(), Vec::new());
    for one in found {
        let path = &one.path;
        let bytes = fs::read(&path.under(&loaded.root))?;
        let run = runs.entry(one.run.clone()).or_default();
        let added =
            Lookup::parse(path.as_str(), &bytes, &loaded.pipeline().tables).and_then(|table| {
                let added = run.scalars.add(&table, &one.rule.step);
                added.map_err(|error| error.to_string())
            });
        if let Err(why) = added {
            let at = one.rule.location;
            mistakes.push(Diagnostic::new(at, format!("`{path}` {why}"), "named here"));
            continue;
        }
        match origin(loaded, workspace, one)? {
            Some(origin) => {
                // A run may be made from several stages: the first one to start counts, and the run
                // is adopted if any of them is.
                let (mut first, other) = match run.origin.take() {
                    Some(first) if first.started <= origin.started => (first, Some(origin)),
                    other => (origin, other),
                };
                let adopted = other.and_then(|other| other.adopted);
                first.adopted = first.adopted.or(adopted);
                run.origin = Some(first);
            }
            None => unknown.push(path.as_str()),
        }
    }
    if !mistakes.is_empty() {
        return Err(loaded.invalid(mistakes));
    }
    if let Some(first) = unknown.first() {
        let more = match unknown.len() - 1 {
            0 => " was".to_owned(),
            more => format!(" and {more} more were"),
        };
        out.note(&format!(
            "no record says how `{first}`{more} made: exported without times and parameters\n"
        ));
    }
    Ok(runs)
}

/// The run that wrote a table, if its record has the bytes that are there now.
fn origin(
    loaded: &Loaded,
    workspace: &Workspace,
    one: &Found<'_>,
) -> Result<Option<Origin>, CliError> {
    let Some((id, out)) = one.writer else {
        return Ok(None);
    };
    let stage = loaded.graph.stage(id);
    let Some(record) = workspace.last_record(&stage.name) else {
        return Ok(None);
    };
    let path = &stage.outs[out].path;
    let written = record.outs.iter().find(|out| out.path == path.as_str());
    let in_place = match written {
        Some(written) => workspace
            .out_in_place(written)
            .map_err(|error| loaded.error(error))?,
        None => false,
    };
    Ok(WallTime::parse(&record.started)
        .filter(|_| in_place)
        .map(|started| Origin {
            started,
            seconds: record.seconds,
            params: record.inputs.params.clone(),
            adopted: record.adopted.as_ref().map(ToString::to_string),
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pattern: &str, path: &str) -> String {
        run_name(&Glob::new(pattern).unwrap(), &RelPath::new(path).unwrap())
    }

    #[test]
    fn a_run_is_named_by_what_the_pattern_leaves_open() {
        let all = "results/quick/**/history.csv";
        assert_eq!(name(all, "results/quick/a/history.csv"), "a");
        assert_eq!(
            name(all, "results/quick/a/seed-42/history.csv"),
            "a/seed-42"
        );
        assert_eq!(name(all, "results/quick/history.csv"), "");
        assert_eq!(name("r/a*/h.csv", "r/ab/h.csv"), "ab");
        assert_eq!(name("r/{a,b}.csv", "r/a.csv"), "a");
        assert_eq!(name("r/*/*.csv", "r/x/y.z.csv"), "x/y.z");
        assert_eq!(name("*.csv", "a.csv"), "a");
        assert_eq!(name("*/h.csv", "a/h.csv"), "a");
        assert_eq!(name("r/h.csv", "r/h.csv"), "");
    }
}
