//! Asks tools which version they are, each question once.
//!
//! A question is a command together with the variables that a stage declares and passes on, because
//! these decide which tool is found. It is read by the shell that reads the stage's command, and asked
//! in the pipeline's folder with the stage's environment, without secrets and without what restage sets
//! for a single attempt.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::host::stage_environment;
use super::spec;
use restage_exec::CaptureError;
use restage_pipeline::{Stage, Tool};
use restage_worker::HostEnv;

/// Every plan asks: a tool that takes longer to report its version is of no use.
const LIMIT: Duration = Duration::from_secs(10);

/// A command that asks a tool for its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Question {
    argv: Vec<String>,
    env: BTreeMap<String, Option<String>>,
    pass_env: BTreeSet<String>,
}

impl Question {
    pub(super) fn of(stage: &Stage, tool: &Tool) -> Self {
        Self {
            argv: spec::question(stage, tool).argv,
            env: stage.env.clone(),
            pass_env: stage.pass_env.clone(),
        }
    }

    fn ask(&self, root: &Path, host: &HostEnv) -> Answer {
        let stage = Stage {
            env: self.env.clone(),
            pass_env: self.pass_env.clone(),
            ..Stage::default()
        };
        let env = stage_environment(host, &stage);
        restage_exec::capture(&self.argv, root, &env, LIMIT)
    }
}

type Answer = Result<String, CaptureError>;

/// The answers so far. They hold for the whole call: a plan must not change while it is carried
/// out.
#[derive(Debug, Default)]
pub(super) struct Answers(RefCell<BTreeMap<Question, Answer>>);

impl Answers {
    /// Asks those that were not asked yet, several at a time.
    pub(super) fn ask_all(
        &self,
        questions: impl IntoIterator<Item = Question>,
        root: &Path,
        host: &HostEnv,
    ) {
        let known = self.0.borrow();
        let new: BTreeSet<Question> = questions
            .into_iter()
            .filter(|question| !known.contains_key(question))
            .collect();
        drop(known);
        let new: Vec<Question> = new.into_iter().collect();
        let answers: Vec<Answer> = new.par_iter().map(|q| q.ask(root, host)).collect();
        self.0.borrow_mut().extend(new.into_iter().zip(answers));
    }

    pub(super) fn get(&self, question: Question, root: &Path, host: &HostEnv) -> Answer {
        if let Some(answer) = self.0.borrow().get(&question) {
            return answer.clone();
        }
        let answer = question.ask(root, host);
        self.0.borrow_mut().insert(question, answer.clone());
        answer
    }
}

/// Whether every tool still gives the same answer.
pub(super) fn all_unchanged(said: &[(Question, String)], root: &Path, host: &HostEnv) -> bool {
    said.par_iter()
        .all(|(question, before)| question.ask(root, host).as_ref() == Ok(before))
}
