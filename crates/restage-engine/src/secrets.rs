//! A stage's secrets: whether they are set, and that nothing it writes shows them (docs/adr/0007).

use std::path::Path;

use super::error::{RunError, SecretProblem};
use super::event::Audited;
use super::host::HostEnv;
use super::plan::Plan;
use restage_core::digest::{What, list, nothing};
use restage_core::fs::{self, Context};
use restage_exec::{Redaction, Secrets};
use restage_pipeline::Stage;
use restage_pipeline::graph::Graph;
use restage_store::LogPaths;

/// Checks that every stage that runs, or may, can be given its secrets.
pub(super) fn check(host: &HostEnv, graph: &Graph, plan: &Plan) -> Result<(), RunError> {
    for id in plan.pending() {
        let stage = graph.stage(id);
        for secret in &stage.secrets {
            let problem = match host.get(&secret.name) {
                Some(value) if Secrets::is_long_enough(value.as_encoded_bytes()) => continue,
                Some(value) if !value.is_empty() => SecretProblem::TooShort,
                // Shells often pass an unset variable on as an empty one.
                _ => SecretProblem::NotSet,
            };
            return Err(RunError::Secret {
                stage: stage.name.clone(),
                name: secret.name.clone(),
                location: secret.location,
                problem,
            });
        }
    }
    Ok(())
}

/// The secrets of a stage.
pub(super) fn of(stage: &Stage, host: &HostEnv) -> Secrets {
    let values = stage.secrets.iter().filter_map(|s| host.get(&s.name));
    Secrets::new(values.map(|value| value.as_encoded_bytes()))
}

/// What to hide in an attempt's logs and events; `None` where there are no secrets.
pub(super) fn redaction(stage: &Stage, secrets: &Secrets, logs: &LogPaths) -> Option<Redaction> {
    (!stage.secrets.is_empty()).then(|| Redaction {
        secrets: secrets.clone(),
        pipe: logs.dir.join("events.pipe"),
        file: logs.events.clone(),
    })
}

/// An audit's report without secrets.
pub(super) fn hide(secrets: &Secrets, mut audited: Audited) -> Audited {
    for file in &mut audited.files {
        file.path = secrets.text(&file.path);
        if let Some((_, item)) = &mut file.add {
            *item = secrets.text(item);
        }
    }
    for line in &mut audited.advice {
        *line = secrets.text(line);
    }
    audited
}

/// The first file among the outs that contains a secret, in its bytes or its name.
pub(super) fn leaked(
    stage: &Stage,
    secrets: &Secrets,
    work_dir: &Path,
) -> Result<Option<String>, RunError> {
    if stage.secrets.is_empty() {
        return Ok(None);
    }
    for out in &stage.outs {
        let path = out.path.under(work_dir);
        let metadata = fs::metadata(&path)?;
        if !metadata.is_dir() {
            if metadata.is_file() && in_file(secrets, &path)? {
                return Ok(Some(out.path.to_string()));
            }
            continue;
        }
        // The text of a link may be a secret, even if the link leads nowhere.
        for entry in fs::walk(&path)? {
            let inside = path.join(&entry.path);
            if entry.metadata.is_symlink() {
                let target = fs::read_link(&inside)?;
                let bytes = target.as_os_str().as_encoded_bytes();
                if secrets.stand_in(bytes).at("read", &inside)? {
                    let inner = entry.path.to_string_lossy();
                    return Ok(Some(format!("{}/{inner}", out.path)));
                }
            }
        }
        for entry in list(&path, &nothing)?.found {
            let inside = path.join(&entry.path);
            let named = |name: &Path| {
                let name = name.as_os_str().as_encoded_bytes();
                secrets.stand_in(name).at("read", &inside)
            };
            let found = named(&entry.path)?
                || match &entry.what {
                    What::File => entry.metadata.is_file() && in_file(secrets, &inside)?,
                    What::Link(_) | What::Followed(_) | What::EmptyFolder | What::Folder => false,
                };
            if found {
                let inner = entry.path.to_string_lossy();
                return Ok(Some(format!("{}/{inner}", out.path)));
            }
        }
    }
    Ok(None)
}

fn in_file(secrets: &Secrets, path: &Path) -> Result<bool, RunError> {
    Ok(secrets.stand_in(fs::open(path)?).at("read", path)?)
}
