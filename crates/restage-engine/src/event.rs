//! What a run reports while it goes on, and at its end. Nothing here is printed; the cli does that.

use std::path::PathBuf;

use super::plan::Plan;
use super::progress::StageEvent;
use super::stands::Gate;
use restage_pipeline::graph::Graph;

/// Receives events in the order in which they happen.
pub trait Observer {
    /// One thing happened.
    fn event(&mut self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// What will run is known; nothing has started.
    Planned {
        /// The stages.
        graph: &'a Graph,
        /// What becomes of each.
        plan: &'a Plan,
    },
    /// cargo starts to build these packages.
    Building {
        /// Package names.
        packages: &'a [String],
    },
    /// A line that cargo printed.
    BuildLine {
        /// The line.
        text: &'a str,
    },
    /// The programs are there.
    Built {
        /// Wall time.
        seconds: f64,
    },
    /// An environment starts to be built.
    MakingEnvironment {
        /// Its name.
        name: &'a str,
        /// By what.
        kind: &'a str,
    },
    /// An environment is there, or can't be built.
    EnvironmentMade {
        /// Its name.
        name: &'a str,
        /// Wall time.
        seconds: f64,
        /// Whether it can't be.
        failed: bool,
    },
    /// Another restage runs this stage; this one waits for it.
    WaitingForOther {
        /// The stage's name.
        stage: &'a str,
    },
    /// An attempt starts.
    Started {
        /// The stage's name.
        stage: &'a str,
        /// From 1.
        attempt: u32,
        /// Attempts allowed.
        attempts: u32,
        /// Wall time of its last success.
        expected_seconds: Option<f64>,
    },
    /// A running stage said something.
    Stage {
        /// The stage's name.
        stage: &'a str,
        /// What it said.
        event: &'a StageEvent,
    },
    /// An attempt failed and another one follows.
    Retrying {
        /// The stage's name.
        stage: &'a str,
        /// Why.
        failure: &'a Failure,
    },
    /// A traced attempt did what the stage does not declare.
    Audited {
        /// The stage's name.
        stage: &'a str,
        /// What.
        audited: &'a Audited,
    },
    /// A stage has ended. One that ran may fail afterwards, with a second event, if its result can't
    /// be kept.
    Finished {
        /// The stage's name.
        stage: &'a str,
        /// How.
        outcome: &'a StageOutcome,
    },
    /// Something worth a look that stops nothing.
    Warning {
        /// The stage's name.
        stage: &'a str,
        /// What.
        text: &'a str,
    },
    /// The user asked to stop; running stages are being ended.
    Interrupted,
}

/// How a stage ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StageOutcome {
    /// Its outs were there and right.
    Fresh,
    /// Its outs were put back from the store.
    Restored {
        /// How many.
        outs: usize,
    },
    /// It ran.
    Ran {
        /// Wall time of the attempt that succeeded.
        seconds: f64,
        /// Whether its outs are those of its last run, so that nothing downstream reruns.
        unchanged: bool,
    },
    /// It failed; nothing was recorded and its last good outs are untouched.
    Failed(Failure),
    /// It would have to run, and can't here.
    Gated(Gate),
    /// A stage that it reads from failed.
    Blocked {
        /// That stage's name.
        by: String,
    },
    /// The run ended before it could start, or while it ran.
    Cancelled,
}

/// How a run went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Stages that ran and succeeded.
    pub ran: usize,
    /// Stages whose outs were put back.
    pub restored: usize,
    /// Stages that were up to date.
    pub fresh: usize,
    /// Stages that failed.
    pub failed: usize,
    /// Stages that can't run here.
    pub gated: usize,
    /// Stages whose inputs could not be made.
    pub blocked: usize,
    /// Stages that did not start, or were stopped.
    pub cancelled: usize,
    /// The user stopped it.
    pub interrupted: bool,
    /// A failure was the machine's, not the stage's.
    pub machine_failed: bool,
    /// Wall time.
    pub seconds: f64,
}

impl Summary {
    /// Counts a stage's end.
    pub(super) fn count(&mut self, outcome: &StageOutcome) {
        *self.counter(outcome) += 1;
        if let StageOutcome::Failed(failure) = outcome {
            self.machine_failed |= failure.machine;
        }
    }

    /// Takes back that a stage had ended so.
    pub(super) fn uncount(&mut self, outcome: &StageOutcome) {
        *self.counter(outcome) -= 1;
    }

    fn counter(&mut self, outcome: &StageOutcome) -> &mut usize {
        match outcome {
            StageOutcome::Fresh => &mut self.fresh,
            StageOutcome::Restored { .. } => &mut self.restored,
            StageOutcome::Ran { .. } => &mut self.ran,
            StageOutcome::Failed(_) => &mut self.failed,
            StageOutcome::Gated(_) => &mut self.gated,
            StageOutcome::Blocked { .. } => &mut self.blocked,
            StageOutcome::Cancelled => &mut self.cancelled,
        }
    }
}

/// Why a stage has no result.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What happened, such as `exited with 3`.
    pub reason: String,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Attempts allowed.
    pub attempts: u32,
    /// What to do.
    pub hint: Option<String>,
    /// Where the attempt's files are kept.
    pub work_dir: Option<PathBuf>,
    /// Where what it printed is kept.
    pub log: Option<PathBuf>,
    /// The last lines of that.
    pub tail: Vec<String>,
    /// Whether the machine failed rather than the stage.
    pub machine: bool,
    /// Whether it says nothing of other stages, which then start as if it had not failed.
    pub others_go_on: bool,
}

/// What an attempt did that its stage does not declare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// Files, in the order in which it asked for them.
    pub files: Vec<Undeclared>,
    /// Calls whose files could not be seen.
    pub unseen: u64,
    /// What to do about it, one a line.
    pub advice: Vec<String>,
}

/// A file that a stage does not declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeclared {
    /// Relative to the pipeline's folder, or absolute if it lies elsewhere; folders end in `/`.
    pub path: String,
    /// What was done to it.
    pub access: Access,
    /// What would declare it: a field of the stage and an item to add to it.
    pub add: Option<(&'static str, String)>,
}

/// What a stage did to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read its bytes.
    Read,
    /// Listed the names in it.
    Listed,
    /// Checked that it is there.
    LookedAt,
    /// Looked for it; it is not there.
    Missed,
    /// Created, changed or removed it.
    Wrote,
    /// Ran it.
    Ran,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Listed => "listed",
            Access::LookedAt => "looked at",
            Access::Missed => "looked for",
            Access::Wrote => "wrote",
            Access::Ran => "ran",
        })
    }
}

impl Audited {
    /// Whether there is nothing to say.
    pub fn is_clean(&self) -> bool {
        self.files.is_empty() && self.unseen == 0
    }
}
