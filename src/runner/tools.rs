//! Asks tools which version they are, each question once.
//! It must not know what follows from an answer.
//!
//! A question is a command together with the variables that a stage declares, since these say
//! which tool is found. It is asked in the pipeline's folder with the environment that the stage
//! would get, but for secrets and for what restage sets for a single attempt.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::host::{HostEnv, declared_environment};
use crate::exec::{self, CaptureError};
use crate::spec::{Stage, Tool};

/// A tool that takes longer to say its version is no use at every plan.
const LIMIT: Duration = Duration::from_secs(10);

/// What a tool is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Question {
    line: String,
    env: BTreeMap<String, Option<String>>,
}

impl Question {
    pub(super) fn of(stage: &Stage, tool: &Tool) -> Self {
        Self {
            line: tool.line.clone(),
            env: stage.env.clone(),
        }
    }

    fn ask(&self, root: &Path, host: &HostEnv) -> Answer {
        let env = declared_environment(host, &self.env);
        exec::capture(&self.line, root, &env, LIMIT)
    }
}

type Answer = Result<String, CaptureError>;

/// The answers so far. What a tool said once holds for the whole call: a plan must not change while
/// it is carried out.
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

/// Whether every tool still says what it said.
pub(super) fn all_say_the_same(said: &[(Question, String)], root: &Path, host: &HostEnv) -> bool {
    said.par_iter()
        .all(|(question, before)| question.ask(root, host).as_ref() == Ok(before))
}
