//! `restage trace FILE`: where its bytes, or a number in it, come from.

use crate::args::{PipelineArgs, Trace};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::render::lineage::{Cell, Drawing, Place};
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::tables::{Format, Lookup, RowName};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_core::suggest;
use restage_engine::git::CommittedFiles;
use restage_engine::lineage::{Lineage, Origin, lineage};
use restage_pipeline::graph::Input;

pub(crate) fn trace(settings: &Settings, args: &Trace, out: &mut Output) -> Result<Exit, CliError> {
    let first = Loaded::open(settings, &args.pipeline)?;
    let path = path(&first, &args.path)?;
    let loaded = writer(settings, &args.pipeline, first, &path)?;
    exists(&loaded, &path)?;
    let cell = match (&args.row, &args.column, &args.at) {
        (Some(row), Some(column), _) => Some(cell(&loaded, &path, row, column)?),
        (.., Some(pointer)) => Some(value(&loaded, &path, pointer)?),
        _ => None,
    };
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let plan = match loaded.graph.owner_of(&path) {
        Some((id, _)) => {
            let target = [loaded.graph.stage(id).name.clone()];
            let what = "whether these runs are up to date";
            session.plan_if_known(&target, what, out)?
        }
        None => None,
    };
    let found = lineage(workspace, &loaded.graph, plan.as_ref(), &[path])
        .map_err(|error| loaded.error(error))?;
    workspace.save_cache();
    let drawing = Drawing {
        committed: &CommittedFiles::among(
            &loaded.root,
            found.sources.iter().map(|s| s.path.as_str()),
        ),
        readers: readers(&loaded, &found),
        lineage: &found,
        cell: cell.as_ref(),
    };
    out.data(&match settings.json {
        true => drawing.json(),
        false => drawing.text(settings.out_style),
    })?;
    if !settings.json
        && let Some(hint) = drawing.hint()
    {
        out.hint(&hint);
    }
    Ok(match found.is_sound() {
        true => Exit::Ok,
        false => Exit::Different,
    })
}

/// The file that is meant: from where the user stands, or from the pipeline's folder.
fn path(loaded: &Loaded, word: &str) -> Result<RelPath, CliError> {
    if let Some(path) = loaded.named_from_here(word)
        && (loaded.graph.owner_of(&path).is_some() || fs::exists(&path.under(&loaded.root))?)
    {
        return Ok(path);
    }
    RelPath::new(word).map_err(|error| {
        CliError::usage(format!("`{word}` is not a path in this pipeline: {error}"))
            .with_hint("paths are relative to the pipeline file's folder")
    })
}

/// The pipeline under the requested profile, or else under one that writes the file.
fn writer(
    settings: &Settings,
    args: &PipelineArgs,
    first: Loaded,
    path: &RelPath,
) -> Result<Loaded, CliError> {
    if args.profile.is_some() || first.graph.owner_of(path).is_some() {
        return Ok(first);
    }
    let others = first.pipeline().profiles.iter().filter_map(|profile| {
        let args = PipelineArgs {
            profile: Some(profile.clone()),
            ..args.clone()
        };
        Loaded::open(settings, &args).ok()
    });
    let mut writers = others.filter(|other| other.graph.owner_of(path).is_some());
    Ok(writers.next().unwrap_or(first))
}

/// An error if the path does not exist and no stage writes it.
fn exists(loaded: &Loaded, path: &RelPath) -> Result<(), CliError> {
    if loaded.graph.owner_of(path).is_some() {
        return Ok(());
    }
    if loaded.graph.data_at(path).is_some() {
        return Ok(());
    }
    let stands = fs::metadata_if_exists(&path.under(&loaded.root))?;
    let outs = loaded.graph.stages().iter().flat_map(|stage| &stage.outs);
    let mut outs = outs.map(|out| out.path.as_str());
    if stands.is_some() {
        let inside = format!("{path}/");
        let below: Vec<&str> = outs.filter(|out| out.starts_with(&inside)).collect();
        return match below.is_empty() {
            true => Ok(()),
            false => Err(CliError::usage(format!(
                "`{path}` is a folder with several outs, each with its own history"
            ))
            .with_hint(format!("name one of them: {}", suggest::list(below)))),
        };
    }
    let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let alike: Vec<&str> = outs
        .clone()
        .filter(|out| file(out) == file(path.as_str()))
        .collect();
    let error = CliError::usage(format!("there is no `{path}`, and no stage writes it"));
    Err(match suggest::closest(path.as_str(), &mut outs) {
        Some(out) => error.with_hint(format!("did you mean `{out}`?")),
        None if !alike.is_empty() => {
            error.with_hint(format!("files with that name: {}", suggest::list(alike)))
        }
        None => error.with_hint("`restage dag` lists what each stage writes"),
    })
}

/// The stages that read the requested file, if it is a source.
fn readers(loaded: &Loaded, lineage: &Lineage) -> Vec<String> {
    let graph = &loaded.graph;
    let Some(file) = lineage.files.first() else {
        return Vec::new();
    };
    if !matches!(file.origin, Origin::Source(_)) {
        return Vec::new();
    }
    let reads = |input: &Input| match input {
        Input::Source { path } | Input::Notebook { path } => file.path.is_within(path),
        Input::SourceGlob { pattern, .. } => {
            restage_core::glob::Glob::new(pattern).is_ok_and(|glob| glob.matches(&file.path))
        }
        Input::Produced { .. } => false,
    };
    let ids = graph
        .ids()
        .iter()
        .filter(|id| graph.inputs(**id).iter().any(reads));
    ids.map(|id| graph.stage(*id).name.clone()).collect()
}

/// The table that holds the requested number.
fn table(loaded: &Loaded, path: &RelPath) -> Result<Lookup, CliError> {
    let tables = &loaded.pipeline().tables;
    if Format::of(path.as_str(), tables).is_none() {
        let message = format!("`{path}` is not a table, so it has no rows");
        return Err(CliError::usage(message).with_hint(
            "`--row` and `--column` are for .csv, .tsv and .jsonl files and those that `tables` names, \
             `--at` is for .json, .yaml and .toml files",
        ));
    }
    let bytes = fs::read_if_exists(&path.under(&loaded.root))?;
    let bytes = bytes.ok_or_else(|| {
        CliError::usage(format!(
            "`{path}` does not exist, so there is no number to read"
        ))
        .with_hint(format!("run `restage reproduce {path}` to make it"))
    })?;
    Lookup::parse(path.as_str(), &bytes, tables)
        .map_err(|fault| CliError::usage(format!("`{path}` {fault}")))
}

/// The number in a row and a column.
fn cell(loaded: &Loaded, path: &RelPath, row: &str, column: &str) -> Result<Cell, CliError> {
    let table = table(loaded, path)?;
    let name = table.row_name(row);
    let value = table.cell(&name, column).map_err(|missing| {
        let error = CliError::usage(format!("`{path}` {}", missing.why()));
        error.maybe_hint(near(&table, &name, column))
    })?;
    Ok(Cell {
        value: value.to_owned(),
        place: Place::Cell {
            row: name.to_string(),
            column: column.to_owned(),
        },
    })
}

/// The value at a JSON pointer.
fn value(loaded: &Loaded, path: &RelPath, pointer: &str) -> Result<Cell, CliError> {
    let found = table(loaded, path)?.value(pointer);
    let value = found.map_err(|missing| CliError::usage(format!("`{path}` {}", missing.why())))?;
    Ok(Cell {
        value,
        place: Place::Pointer(pointer.to_owned()),
    })
}

/// What a wrong row or column was probably meant to be.
fn near(table: &Lookup, row: &RowName, column: &str) -> Option<String> {
    let columns = || table.columns().iter().map(String::as_str);
    if !columns().any(|name| name == column) {
        return suggest::hint_among(column, "its columns are", columns());
    }
    let RowName::Key(pairs) = row else {
        return Some(format!("it has {}", count(table.rows(), "row")));
    };
    pairs.iter().find_map(|(column, value)| {
        let mut values = table.column(column).ok()?;
        values.sort();
        values.dedup();
        let known = values.iter().any(|known| known.trim() == value);
        let among = format!("values of `{column}` are");
        let values = values.iter().map(String::as_str);
        (!known).then(|| suggest::hint_among(value, &among, values))?
    })
}
