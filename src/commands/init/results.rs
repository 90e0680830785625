//! Results that DVC made: adopted where `dvc.lock` still describes what is here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::files::{Attempt, DVC_FILE, PIPELINE, text_of};
use crate::args::PipelineArgs;
use crate::commands::adopt::adopt_in;
use crate::error::CliError;
use crate::format::{count, grouped};
use crate::output::Output;
use crate::session::Loaded;
use crate::settings::Settings;
use crate::style::Style;
use restage_core::fs::{self, Context, FsError};
use restage_import_dvc::{DvcLock, Locked, file_md5, folder_md5};

/// What stands beside a dvc.yaml once it has run.
const LOCK: &str = "dvc.lock";

/// What became of DVC's results.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Stages whose results were adopted.
    pub(super) adopted: Vec<String>,
    /// Stages that run instead, and why.
    rest: Vec<(String, String)>,
}

/// Adopts what the `dvc.lock` beside each dvc.yaml says of the pipeline; `None` if there is none.
pub(super) fn adopt(
    settings: &Settings,
    attempt: &Attempt,
    out: &mut Output,
) -> Result<Option<Results>, CliError> {
    let Attempt {
        folder,
        imported,
        sources,
        ..
    } = attempt;
    let mut locks = BTreeMap::new();
    for (name, own) in sources {
        let shown = match name.strip_suffix(DVC_FILE) {
            Some(folder) => format!("{folder}{LOCK}"),
            None => LOCK.to_owned(),
        };
        if let Some(text) = text_of(&own.join(LOCK), &shown)? {
            locks.insert(name.as_str(), DvcLock::read(&shown, &text)?);
        }
    }
    if locks.is_empty() {
        return Ok(None);
    }
    let pipeline = PipelineArgs {
        profile: None,
        overrides: Vec::new(),
        file: Some(fs::canonicalize(&folder.join(PIPELINE))?),
    };
    let loaded = Loaded::open(settings, &pipeline)?;
    let graph = &loaded.graph;
    let (mut compared, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for instance in &imported.instances {
        let lock = locks.get(instance.dvc_file.as_str());
        let none = || format!("there is no dvc.lock beside `{}`", instance.dvc_file);
        let same = lock.ok_or_else(none).and_then(|lock| lock.files(instance));
        let same = same.and_then(|files| unchanged(&loaded.root, &files, &mut seen));
        compared.insert(instance.stage.as_str(), same);
    }
    let mut stages = BTreeSet::new();
    let mut results = Results::default();
    for &id in graph.topological() {
        let name = &graph.stage(id).name;
        let same = compared.remove(name.as_str());
        let same = same.unwrap_or_else(|| Err("no stage of dvc.yaml has its name".to_owned()));
        let mut reads = graph.dependencies(id).iter();
        let same = same.and_then(|()| match reads.find(|up| !stages.contains(*up)) {
            None => Ok(()),
            Some(up) => Err(format!(
                "it reads what `{}` writes, which is not adopted",
                graph.stage(*up).name
            )),
        });
        match same {
            Ok(()) => drop(stages.insert(id)),
            Err(reason) => results.rest.push((name.clone(), reason)),
        }
    }
    if !stages.is_empty() {
        let adopted = adopt_in(settings, &loaded, &stages, Some(LOCK), out)?;
        results.adopted = adopted.into_iter().map(|stage| stage.stage).collect();
    }
    Ok(Some(results))
}

/// Whether all files are what DVC read and wrote there; `seen` has the MD5 of those looked at.
///
/// # Errors
/// The first that is not.
fn unchanged(
    root: &Path,
    files: &[Locked],
    seen: &mut BTreeMap<String, Option<String>>,
) -> Result<(), String> {
    for Locked { path, md5, is_out } in files {
        if !seen.contains_key(path) {
            let found = md5_at(&root.join(path)).map_err(|error| error.to_string())?;
            seen.insert(path.clone(), found);
        }
        let is = match (seen.get(path).and_then(Option::as_ref), is_out) {
            (Some(now), _) if now == md5 => continue,
            (None, _) => "is not there",
            (Some(_), true) => "is not what DVC wrote",
            (Some(_), false) => "is not what DVC read",
        };
        return Err(format!("`{path}` {is}"));
    }
    Ok(())
}

/// What DVC would name a file or folder by; `None` if nothing is there that it could name.
fn md5_at(at: &Path) -> Result<Option<String>, FsError> {
    let of_file = |at: &Path| match fs::metadata_if_exists(at)? {
        Some(there) if there.is_file() => file_md5(fs::open(at)?).at("read", at).map(Some),
        _ => Ok(None),
    };
    if !fs::metadata_if_exists(at)?.is_some_and(|there| there.is_dir()) {
        return of_file(at);
    }
    let mut files = BTreeMap::new();
    for entry in fs::walk(at)? {
        if entry.metadata.is_dir() {
            continue;
        }
        let (Some(name), Some(md5)) = (entry.path.to_str(), of_file(&at.join(&entry.path))?) else {
            return Ok(None);
        };
        files.insert(name.to_owned(), md5);
    }
    Ok(Some(folder_md5(&files)))
}

impl Results {
    pub(super) fn lines(&self) -> Vec<Value> {
        let adopted = self.adopted.iter();
        let adopted = adopted.map(|stage| json!({"event": "adopted", "stage": stage}));
        let rest = self.rest.iter();
        let rest =
            rest.map(|(stage, why)| json!({"event": "not_adopted", "stage": stage, "reason": why}));
        adopted.chain(rest).collect()
    }

    pub(super) fn page(&self, style: Style) -> String {
        let results = count(self.adopted.len(), "result");
        let mut text = match self.adopted.is_empty() {
            true => String::new(),
            false => format!(
                "{}: {}\n",
                style.good(&format!("adopted {results} from {LOCK}")),
                grouped(self.adopted.iter().map(String::as_str))
            ),
        };
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (stage, reason) in &self.rest {
            reasons.entry(reason).or_default().push(stage);
        }
        let rest = reasons.into_iter();
        let rest: Vec<_> = rest.map(|(why, stages)| (grouped(stages), why)).collect();
        let Some(width) = rest.iter().map(|(stages, _)| stages.chars().count()).max() else {
            return text;
        };
        text += &format!("{}:\n", style.busy("not adopted"));
        for (stages, why) in rest {
            text += &format!("  {stages:width$}  {why}\n");
        }
        text += "these stages run; `restage reproduce --set-aside` moves away what stands where they write\n";
        text
    }
}
