//! `restage init --from dvc.yaml`: DVC's pipeline as ours, in the project's root. Never overwrites a file,
//! and never leaves one that would not load.

use std::path::Path;

use super::files::{self, Attempt, OnDisk, PIPELINE};
use super::page::{Missing, lines_json, page};
use super::results;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::files_below;
use crate::settings::Settings;
use restage_core::fs;
use restage_core::span::Location;
use restage_import_dvc::{Files, md5_in};
use restage_pipeline::graph::{Graph, Input};
use restage_pipeline::{self as spec, Diagnostics, LoadOptions};

pub(crate) fn import(
    settings: &Settings,
    from: &Path,
    wanted: Option<&Path>,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let meant = files::meant(settings, from)?;
    let attempt = files::attempt(settings, &meant, wanted)?;
    let Attempt {
        folder, imported, ..
    } = &attempt;
    let target = folder.join(PIPELINE);
    let shown = target.strip_prefix(".").unwrap_or(&target);
    if fs::exists(&target)? {
        return Err(CliError::usage(format!(
            "`{}` already exists; nothing was written",
            shown.display()
        ))
        .with_hint("move it away to import again"));
    }
    let Inputs {
        paths,
        other_readings,
    } = match inputs(folder, &imported.text) {
        Ok(inputs) => inputs,
        Err(diagnostics) => {
            out.note(&format!(
                "importing `{}` gives an invalid pipeline; nothing was written:\n",
                from.display()
            ));
            return Err(diagnostics.into());
        }
    };
    let missing = missing(folder, paths)?;
    fs::write_atomic(&target, imported.text.as_bytes())?;
    let results = results::adopt(settings, &attempt, out);
    let results = results.unwrap_or_else(|error| {
        let error = error.render(settings.err_style);
        out.warning(&format!(
            "DVC's results are not adopted:\n{}",
            error.trim_end()
        ));
        None
    });
    let results = results.unwrap_or_default();
    for name in &attempt.passed_over {
        out.warning(&format!(
            "`{name}` can't be read, and was passed over; `restage init --from {name}` says why"
        ));
    }
    for reading in other_readings {
        out.warning(&format!(
            "{reading}: stages get what it is here; write the value that is meant"
        ));
    }
    if settings.json {
        out.data(&lines_json(shown, imported, &missing, &results))?;
    } else {
        out.note(&format!("wrote {}\n", shown.display()));
        out.data(&page(imported, &missing, settings.out_style))?;
        out.data(&results.page(settings.out_style))?;
        out.note(&next(folder));
    }
    Ok(match imported.not_working().is_empty() {
        true => Exit::Ok,
        false => Exit::Different,
    })
}

/// What is to be looked at before a pipeline is written.
struct Inputs {
    /// What it reads and no stage writes.
    paths: Vec<String>,
    /// Values that scripts saw otherwise so far, with their places.
    other_readings: Vec<String>,
}

/// The inputs of the pipeline; an error if it is not a valid one.
fn inputs(folder: &Path, text: &str) -> Result<Inputs, Diagnostics> {
    let options = LoadOptions {
        open: files_below(folder),
        ..LoadOptions::default()
    };
    let pipeline = spec::load(PIPELINE, text, &options)?;
    let sources = pipeline.sources.clone();
    let place = |at: Location| {
        let source = (at.file as usize).checked_sub(1);
        let source = source.and_then(|n| sources.get(n));
        let file = source.map_or(PIPELINE, |source| &source.name);
        format!("{file}:{}", at.line)
    };
    let readings = pipeline.other_readings.iter();
    let readings = readings.map(|reading| format!("{reading} ({})", place(reading.location)));
    let other_readings = readings.collect();
    let wrong = |items| Diagnostics::new(PIPELINE, text, items).with(&sources);
    let graph = Graph::build(pipeline).map_err(wrong)?;
    let mut paths = Vec::new();
    for id in graph.topological() {
        for input in graph.inputs(*id) {
            if let Input::Source { path } = input {
                paths.push(path.as_str().to_owned());
            }
        }
    }
    paths.sort();
    paths.dedup();
    Ok(Inputs {
        paths,
        other_readings,
    })
}

/// Those that don't exist.
fn missing(folder: &Path, paths: Vec<String>) -> Result<Vec<Missing>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        if fs::metadata_if_exists(&folder.join(&path))?.is_none() {
            let tracked = OnDisk::below(folder).text(&format!("{path}.dvc"));
            found.push(Missing {
                md5: tracked.and_then(|text| md5_in(&text)),
                path,
            });
        }
    }
    Ok(found)
}

fn next(folder: &Path) -> String {
    let cd = match folder == Path::new(".") {
        true => String::new(),
        false => format!("  cd {}\n", folder.display()),
    };
    format!(
        "\nA stage runs by `bash -eo pipefail` in a folder that holds only its deps, and sees few of\n\
         your environment variables. If a script misses a file, add the file or its folder to `deps`;\n\
         `env: [NAME]` passes a variable on, `pass_env: [NAME]` one that changes no result (a proxy, a cache).\n\
         Stages run side by side, where DVC runs one at a time: `-j 1` does too.\n\
         next:\n{cd}  restage reproduce           run it (a second time, nothing runs)\n  \
         restage reproduce --audit   run it and report files it uses without declaring them\n"
    )
}
