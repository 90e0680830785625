//! `restage init --from dvc.yaml`: DVC's pipeline as ours, next to it. Never overwrites a file, and
//! never leaves one that would not load.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::results::{self, Results};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::settings::Settings;
use crate::style::Style;
use restage_core::fs;
use restage_import_dvc::{DvcFile, Imported};
use restage_pipeline::graph::{Graph, Input};
use restage_pipeline::yaml;
use restage_pipeline::{self as spec, Diagnostics, LoadOptions};

/// What is written.
pub(super) const PIPELINE: &str = "pipeline.yaml";

pub(crate) fn import(settings: &Settings, from: &Path, out: &mut Output) -> Result<Exit, CliError> {
    let file_name = from.display().to_string();
    let path = settings.path(from);
    let Some(text) = text_of(&path, &file_name)? else {
        return Err(
            CliError::usage(format!("there is no `{file_name}`")).with_hint(
                "name a DVC project's pipeline file: `restage init --from path/to/dvc.yaml`",
            ),
        );
    };
    let own = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Attempt {
        folder,
        texts,
        imported,
    } = at_the_right_folder(settings, own, &file_name, &text)?;
    let folder = folder.as_path();
    let target = folder.join(PIPELINE);
    if fs::exists(&target)? {
        return Err(CliError::usage(format!(
            "`{}` already exists; nothing was written",
            target.display()
        ))
        .with_hint("move it away to import again"));
    }
    let missing = match inputs(&imported.text) {
        Ok(inputs) => missing(folder, inputs)?,
        Err(diagnostics) => {
            out.note(&format!(
                "importing `{file_name}` gives an invalid pipeline; nothing was written:\n"
            ));
            return Err(diagnostics.into());
        }
    };
    fs::write_atomic(&target, imported.text.as_bytes())?;
    let results = results::adopt(settings, own, folder, &imported, out);
    let results = results.unwrap_or_else(|error| {
        let error = error.render(settings.err_style);
        out.warning(&format!(
            "DVC's results are not adopted:\n{}",
            error.trim_end()
        ));
        None
    });
    let results = results.unwrap_or_default();
    if settings.json {
        let lines = lines_json(&file_name, &target, &imported, &missing, &results);
        out.data(&lines)?;
    } else {
        out.note(&format!("wrote {}\n", target.display()));
        out.data(&page(&file_name, &imported, &missing, settings.out_style))?;
        out.data(&results.page(settings.out_style))?;
        warn_of_other_readings(&imported, &texts, out);
        out.note(&next(folder));
    }
    Ok(Exit::Ok)
}

/// Warns of values in params files that scripts saw otherwise so far.
fn warn_of_other_readings(imported: &Imported, texts: &BTreeMap<String, String>, out: &mut Output) {
    for name in &imported.copied {
        let Some(text) = texts.get(name) else {
            continue;
        };
        let Some(root) = yaml::parse(text, &mut Vec::new()) else {
            continue;
        };
        for reading in spec::other_readings(&root, text) {
            out.warning(&format!(
                "{reading} ({name}:{}): stages get what it is here; under `params:` write the value \
                 that is meant",
                reading.location.line
            ));
        }
    }
}

/// An import for a pipeline in some folder.
struct Attempt {
    folder: PathBuf,
    texts: BTreeMap<String, String>,
    imported: Imported,
}

/// The import for the nearest folder, from dvc.yaml's own upwards, that no path leads out of. It goes no
/// higher than the project's root, which `.dvc` or `.git` marks, or else the current folder. If there
/// is none, the import for dvc.yaml's own folder.
fn at_the_right_folder(
    settings: &Settings,
    own: &Path,
    file_name: &str,
    text: &str,
) -> Result<Attempt, CliError> {
    let real = fs::canonicalize(own)?;
    let here = fs::canonicalize(&settings.path(Path::new(".")))?;
    let marked = |folder: &Path| -> Result<bool, CliError> {
        Ok(fs::exists(&folder.join(".dvc"))? || fs::exists(&folder.join(".git"))?)
    };
    let mut top = None;
    for folder in real.ancestors() {
        if marked(folder)? {
            top = Some(folder);
            break;
        }
    }
    let top = top.or_else(|| real.starts_with(&here).then_some(here.as_path()));
    let top = top.unwrap_or(&real);
    let first = attempt(own, "", file_name, text);
    let outside = |tried: &Result<Attempt, CliError>| match tried {
        Ok(tried) => tried.imported.leads_outside,
        Err(_) => true,
    };
    if !outside(&first) {
        return first;
    }
    for folder in real
        .ancestors()
        .skip(1)
        .take_while(|folder| folder.starts_with(top))
    {
        let inner = real.strip_prefix(folder).unwrap_or(&real);
        // A path that is not UTF-8 can't be written into a pipeline.
        let Some(inner) = inner.to_str() else { break };
        let tried = attempt(folder, inner, file_name, text);
        if !outside(&tried) {
            return tried;
        }
    }
    first
}

/// The import for a pipeline in `folder`, from which `inner` leads to dvc.yaml's.
fn attempt(folder: &Path, inner: &str, file_name: &str, text: &str) -> Result<Attempt, CliError> {
    let file = DvcFile::read(file_name, text)?.in_folder(inner);
    let mut texts = BTreeMap::new();
    for name in file.params_files() {
        if let Some(text) = text_of(&folder.join(&name), &name)? {
            texts.insert(name, text);
        }
    }
    let root = fs::canonicalize(folder)?;
    let name = root.file_name().map(|name| name.to_string_lossy());
    let name = name.filter(|name| !name.trim().is_empty());
    let is_file = |path: &str| {
        let found = fs::metadata_if_exists(&folder.join(path));
        found.is_ok_and(|found| found.is_some_and(|found| found.is_file()))
    };
    let imported = file.import(name.as_deref().unwrap_or("imported"), &texts, &is_file)?;
    Ok(Attempt {
        folder: folder.to_owned(),
        texts,
        imported,
    })
}

/// A file's text, if it exists.
pub(super) fn text_of(path: &Path, name: &str) -> Result<Option<String>, CliError> {
    let bytes = fs::read_if_exists(path)?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_| CliError::usage(format!("`{name}` is not UTF-8 text")))
}

/// What the pipeline reads and no stage writes; an error if it is not a valid pipeline.
fn inputs(text: &str) -> Result<Vec<String>, Diagnostics> {
    let pipeline = spec::load(PIPELINE, text, &LoadOptions::default())?;
    let graph = Graph::build(pipeline).map_err(|items| Diagnostics::new(PIPELINE, text, items))?;
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
    Ok(paths)
}

/// Those that don't exist.
fn missing(folder: &Path, mut paths: Vec<String>) -> Result<Vec<String>, CliError> {
    let mut found = Vec::new();
    for path in paths.drain(..) {
        let there = fs::metadata_if_exists(&folder.join(&path));
        if there?.is_none() {
            found.push(path);
        }
    }
    Ok(found)
}

fn lines_json(
    file: &str,
    target: &Path,
    imported: &Imported,
    missing: &[String],
    results: &Results,
) -> String {
    let mut lines = Vec::new();
    for stage in &imported.stages {
        lines.push(json!({"event": "imported", "stage": stage}));
    }
    for change in &imported.changes {
        lines.push(json!({
            "event": "changed", "file": file, "line": change.line, "stage": change.stage,
            "change": change.text,
        }));
    }
    for item in &imported.unmapped {
        lines.push(json!({
            "event": "unmapped", "file": file, "line": item.line, "stage": item.stage,
            "field": item.field, "advice": item.advice,
        }));
    }
    for path in missing {
        lines.push(json!({"event": "missing", "path": path}));
    }
    lines.extend(results.lines());
    lines.push(json!({
        "event": "summary", "wrote": target.display().to_string(),
        "stages": imported.stages.len(), "unmapped": imported.unmapped.len(),
        "copied": imported.copied, "left_out": imported.left_out,
        "adopted": results.adopted.len(),
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The stages, what changed on the way, and what is missing.
fn page(file: &str, imported: &Imported, missing: &[String], style: Style) -> String {
    let mut text = format!(
        "{}: {}\n",
        style.good(&format!(
            "imported {}",
            count(imported.stages.len(), "stage")
        )),
        imported.stages.join(", ")
    );
    if imported.left_out > 0 {
        let left_out = count(imported.left_out, "stage");
        text += &format!(
            "{}: see below\n",
            style.bad(&format!("left out {left_out}"))
        );
    }
    if !imported.copied.is_empty() {
        let files: Vec<String> = imported.copied.iter().map(|f| format!("`{f}`")).collect();
        text += &format!(
            "values from {} are now under `params:` in pipeline.yaml: edit them there\n",
            files.join(", ")
        );
    }
    let changes = imported.changes.iter();
    let changes = changes.map(|c| (c.line, c.stage.clone(), c.text.clone()));
    text += &table(&style.busy("changed"), file, &changes.collect::<Vec<_>>());
    let unmapped = imported.unmapped.iter().map(|item| {
        let what = match &item.stage {
            Some(stage) => format!("{stage}: {}", item.field),
            None => item.field.clone(),
        };
        (item.line, what, item.advice.clone())
    });
    text += &table(
        &style.bad("not imported"),
        file,
        &unmapped.collect::<Vec<_>>(),
    );
    for path in missing {
        text += &format!(
            "{} `{path}`: if DVC tracks it, run `dvc pull`\n",
            style.busy("missing")
        );
    }
    text
}

/// A line for each row: where, what, and a remark.
fn table(title: &str, file: &str, rows: &[(usize, String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let place = |line: usize| format!("{file}:{line}");
    let first = rows.iter().map(|row| place(row.0).chars().count()).max();
    let second = rows.iter().map(|row| row.1.chars().count()).max();
    let (first, second) = (first.unwrap_or(0), second.unwrap_or(0));
    let mut text = format!("{title}:\n");
    for (line, what, about) in rows {
        text += &format!("  {:first$}  {what:second$}  {about}\n", place(*line));
    }
    text
}

fn next(folder: &Path) -> String {
    let cd = match folder == Path::new(".") {
        true => String::new(),
        false => format!("  cd {}\n", folder.display()),
    };
    format!(
        "\nA stage runs by `bash -eo pipefail` in a folder that holds only its deps, and sees few of\n\
         your environment variables. If a script misses a file, such as a module that it imports,\n\
         add the file or its folder to `deps`; `env: [NAME]` passes a variable on, `pass_env: [NAME]`\n\
         one that changes no result (a proxy, a cache).\n\
         next:\n{cd}  restage reproduce           run it (a second time, nothing runs)\n  \
         restage reproduce --audit   run it and report files it uses without declaring them\n"
    )
}
