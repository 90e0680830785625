//! How far this machine lets stages be kept apart: tried once a run, before anything starts, and
//! said if it is less than all (docs/adr/0017).

use std::path::{Path, PathBuf};

use super::error::RunError;
use super::event::{Event, Observer};
use super::plan::Plan;
use super::workspace::Workspace;
use restage_exec::{Allowed, Isolation, Network, Processes, probe};
use restage_pipeline::graph::Graph;
use restage_pipeline::{IsolationRule, Runtime, Stage};
use restage_store::KeptApart;

/// What stages of this run can be given.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// The launcher and what it can do; `None`: no stage of the run is kept apart.
    machine: Option<(PathBuf, Allowed)>,
    rule: IsolationRule,
}

impl Apart {
    /// Tries what the machine allows, if a stage of the plan wants it. What it refuses is said
    /// once.
    pub(super) fn prepare(
        ws: &Workspace,
        graph: &Graph,
        plan: &Plan,
        launcher: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Self, RunError> {
        let rule = graph.pipeline().isolation;
        let none = Self {
            machine: None,
            rule,
        };
        let pending = plan.pending().map(|id| graph.stage(id));
        let pending: Vec<&Stage> = pending.filter(|stage| runtime(stage).is_none()).collect();
        let wants = |stage: &&&Stage| none.rule(stage) != IsolationRule::None;
        let Some(launcher) = launcher else {
            return Ok(none);
        };
        if pending.iter().find(wants).is_none() {
            return Ok(none);
        }
        let offline = pending.iter().find(|stage| stage.offline);
        let workdirs = ws.run_store().workdirs();
        let folder = workdirs.new_work("isolation-probe")?;
        let allowed = probe(launcher, &folder, offline.is_some()).map_err(RunError::Launcher);
        workdirs.discard(&folder);
        let allowed = allowed?;
        let lacking = lacking(&allowed);
        if !lacking.is_empty() {
            let refusal = allowed.refusal.as_ref();
            let reason = refusal.map(ToString::to_string).unwrap_or_default();
            let advice = refusal.and_then(|refusal| refusal.advice);
            let required = pending.iter().find(|stage| {
                let needs_it = allowed.is_full() && !stage.offline;
                none.rule(stage) == IsolationRule::Required && !needs_it
            });
            if let Some(stage) = required {
                return Err(RunError::NotApart {
                    stage: stage.name.clone(),
                    reason,
                    advice,
                });
            }
            let mut text = format!("{}: {reason}", lacking.join(", "));
            if let Some(advice) = advice {
                text += &format!("; to allow it, {advice}");
            }
            observer.event(&Event::Warning {
                stage: "isolation",
                text: &text,
            });
        }
        Ok(Self {
            machine: Some((launcher.to_owned(), allowed)),
            rule,
        })
    }

    /// What a stage's record says of it, `isolation` being what it was given.
    pub(super) fn kept(&self, stage: &Stage, isolation: Option<&Isolation>) -> KeptApart {
        if let Some(by) = runtime(stage) {
            return KeptApart {
                files: true,
                processes: by != Runtime::Apptainer,
                why: Some(format!("a container, by {}", by.program())),
            };
        }
        let files = isolation.is_some_and(|it| it.view.is_some());
        let processes = isolation.is_some_and(|it| it.processes == Processes::Namespace);
        let refusal = || {
            let (_, allowed) = self.machine.as_ref()?;
            Some(allowed.refusal.as_ref()?.what())
        };
        let why = match (files, self.has_view(stage)) {
            (true, _) if processes => None,
            _ if self.rule(stage) == IsolationRule::None => Some("`isolation: none`".to_owned()),
            // It could have had a view.
            (false, true) => Some("`--audit`".to_owned()),
            _ => refusal(),
        };
        KeptApart {
            files,
            processes,
            why,
        }
    }

    /// What holds for a stage.
    pub(super) fn rule(&self, stage: &Stage) -> IsolationRule {
        stage.isolation.unwrap_or(self.rule)
    }

    /// Whether a stage can be given a view of its files.
    pub(super) fn has_view(&self, stage: &Stage) -> bool {
        let machine = self.machine.as_ref();
        runtime(stage).is_none()
            && self.rule(stage) != IsolationRule::None
            && machine.is_some_and(|(_, it)| it.files)
    }

    /// How a stage is kept apart, but for a view.
    pub(super) fn of(&self, stage: &Stage) -> Option<Isolation> {
        let (launcher, allowed) = self.machine.as_ref()?;
        if self.rule(stage) == IsolationRule::None || runtime(stage).is_some() {
            return None;
        }
        Some(Isolation {
            launcher: launcher.clone(),
            processes: allowed.processes?,
            network: match stage.offline && allowed.network {
                true => Network::None,
                false => Network::Host,
            },
            view: None,
        })
    }
}

/// What runs the image that a stage runs in: it makes namespaces of its own.
fn runtime(stage: &Stage) -> Option<Runtime> {
    let environment = stage.environment.as_ref()?;
    environment.image().map(|(_, by)| by)
}

/// What the machine does not allow, for people.
fn lacking(allowed: &Allowed) -> Vec<&'static str> {
    let mut lacking = Vec::new();
    if !allowed.files {
        lacking.push("stages see all files");
    }
    match allowed.processes {
        Some(Processes::Namespace) => {}
        Some(Processes::Subreaper) => {
            lacking.push("their processes are held together by restage alone");
        }
        None => lacking.push("their processes are held together by process groups alone"),
    }
    if !allowed.network {
        lacking.push("`network: none` has no effect");
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_exec::{Refusal, View};

    /// What a record says of a stage under a rule, on a machine that allows this much.
    fn said(rule: IsolationRule, files: bool, processes: Processes, audited: bool) -> String {
        let refusal = (!files || processes != Processes::Namespace).then(|| Refusal {
            step: "proc".into(),
            errno: 1,
            reason: Some("it is a container"),
            advice: None,
        });
        let allowed = Allowed {
            files,
            processes: Some(processes),
            network: true,
            user_namespace: false,
            refusal,
        };
        let apart = Apart {
            machine: Some(("restage".into(), allowed)),
            rule,
        };
        let stage = Stage::default();
        let mut isolation = apart.of(&stage);
        if let Some(isolation) = &mut isolation
            && files
            && !audited
        {
            isolation.view = Some(View {
                work: "/work".into(),
                at: "/at".into(),
                binds: Vec::new(),
            });
        }
        apart.kept(&stage, isolation.as_ref()).to_string()
    }

    #[test]
    fn a_record_says_what_was_lacking_and_why() {
        use IsolationRule::{Auto, None};
        use Processes::{Namespace, Subreaper};
        let refused = "`proc` was refused (EPERM)";
        let lacks = |what: &str, why: &str| format!("{what}: {why}");
        let no_files = "without a view of its own files";
        assert_eq!(said(Auto, true, Namespace, false), "in namespaces");
        assert_eq!(
            said(Auto, true, Subreaper, false),
            lacks("without a PID namespace", refused)
        );
        assert_eq!(
            said(Auto, false, Subreaper, false),
            lacks("without isolation", refused)
        );
        assert_eq!(
            said(Auto, false, Namespace, false),
            lacks(no_files, refused)
        );
        assert_eq!(
            said(Auto, true, Namespace, true),
            lacks(no_files, "`--audit`")
        );
        assert_eq!(
            said(None, true, Namespace, false),
            lacks("without isolation", "`isolation: none`")
        );
    }
}
