//! A stage's secrets: whether they are set, and that nothing it says shows them (docs/adr/0007).

use super::error::{RunError, SecretProblem};
use super::event::Audited;
use super::plan::Plan;
use restage_exec::{Redaction, Secrets};
use restage_pipeline::Stage;
use restage_pipeline::graph::Graph;
use restage_store::LogPaths;
use restage_worker::HostEnv;

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
