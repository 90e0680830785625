//! `restage merge-lock BASE OURS THEIRS`: git's merge driver for `pipeline.lock`.

use std::path::Path;

use serde_json::json;

use crate::args::MergeLock;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::settings::Settings;
use restage_core::fs;
use restage_store::StoreError;
use restage_store::lockfile::{self, Disagreement, LockFile, Reason, merge};

pub(crate) fn merge_lock(
    settings: &Settings,
    args: &MergeLock,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let at = |path: &Path| settings.path(path);
    let base = base(&at(&args.base), out)?;
    let ours = side("our", &at(&args.ours))?;
    let theirs = side("their", &at(&args.theirs))?;
    let merged = merge(&base, &ours, &theirs);
    lockfile::write(&at(&args.ours), &merged.lock)?;
    if settings.json {
        for Disagreement {
            profile,
            stage,
            reason,
        } in &merged.left_out
        {
            let reason = match reason {
                Reason::BothChanged => "both-changed",
                Reason::RemovedAndChanged => "removed-and-changed",
            };
            let line = json!({"profile": profile, "stage": stage, "left_out": reason});
            out.data(&format!("{line}\n"))?;
        }
    }
    if !merged.left_out.is_empty() {
        print_left_out(&merged.left_out, out);
    }
    Ok(Exit::Ok)
}

/// One side of a merge. If it is missing, nothing is merged: git keeps ours and says so.
fn side(whose: &str, path: &Path) -> Result<LockFile, CliError> {
    if !fs::exists(path)? {
        return Err(missing(path));
    }
    LockFile::read(path).map_err(|error| match error {
        StoreError::LockFile { reason, .. } => CliError::usage(format!(
            "{whose} pipeline.lock can't be read: {reason}; nothing was merged"
        ))
        .with_hint("run `restage reproduce`, then `git add pipeline.lock`; no result is lost"),
        error => error.into(),
    })
}

fn missing(path: &Path) -> CliError {
    CliError::usage(format!("there is no `{}`", path.display()))
}

/// The common ancestor. Git passes an empty file if there is none. If it can't be read, only stages
/// that are the same on both sides, or are on one side alone, are certain.
fn base(path: &Path, out: &mut Output) -> Result<LockFile, CliError> {
    let found = fs::read_if_exists(path)?.ok_or_else(|| missing(path))?;
    if found.is_empty() {
        return Ok(LockFile::default());
    }
    match LockFile::read(path) {
        Err(StoreError::LockFile { reason, .. }) => {
            out.warning(&format!("the common ancestor of pipeline.lock can't be read: {reason}\n  so every stage that \
                 differs between the sides is left out"));
            Ok(LockFile::default())
        }
        read => Ok(read?),
    }
}

fn print_left_out(stages: &[Disagreement], out: &mut Output) {
    let mut text = format!(
        "pipeline.lock: {} left out because the two sides disagree:",
        count(stages.len(), "stage")
    );
    for Disagreement {
        profile,
        stage,
        reason,
    } in stages
    {
        let reason = match reason {
            Reason::BothChanged => "different results on the two sides",
            Reason::RemovedAndChanged => "changed on one side, removed on the other",
        };
        text += &format!("\n  {stage} (profile {profile}): {reason}");
    }
    out.warning(&text);
    out.hint("once everything is merged, run `restage reproduce` and commit pipeline.lock");
}
