//! The running stage as its own code sees it: parameters, threads, scratch, progress.
//! It must not know any particular stage's parameters or outs.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::events::{Events, Progress};
use crate::{StageError, files};

/// A running stage.
#[derive(Debug)]
pub struct Stage {
    name: String,
    params: String,
    threads: NonZeroUsize,
    scratch: PathBuf,
    isa: Option<String>,
    gpus: Option<String>,
    events: Events,
}

impl Stage {
    /// Reads `RESTAGE_*` and makes sure that the scratch folder exists.
    ///
    /// # Errors
    /// A variable that is missing or wrong, or a scratch folder that cannot be made.
    pub(crate) fn from_environment(name: &str) -> Result<Self, StageError> {
        let environment = Environment::read(name, |variable| std::env::var_os(variable))?;
        files::create_dir_all(&environment.scratch)?;
        Ok(Self {
            name: environment.name,
            params: environment.params,
            threads: environment.threads,
            scratch: environment.scratch,
            isa: environment.isa,
            gpus: environment.gpus,
            events: Events::new(environment.events),
        })
    }

    /// A stage named `test` with these parameters (JSON text), one thread, no GPU, no events.
    ///
    /// `scratch` must exist. Change the rest by [`Stage::with_threads`],
    /// [`Stage::with_isa`] and [`Stage::with_events`].
    #[must_use]
    pub fn for_test(params: &str, scratch: &Path) -> Self {
        Self {
            name: "test".to_owned(),
            params: params.to_owned(),
            threads: NonZeroUsize::MIN,
            scratch: scratch.to_owned(),
            isa: None,
            gpus: Some(String::new()),
            events: Events::new(None),
        }
    }

    /// The same stage with this many threads; for tests.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// The same stage with this instruction set, as if `RESTAGE_ISA` had it; for tests.
    #[must_use]
    pub fn with_isa(mut self, isa: &str) -> Self {
        self.isa = Some(isa.to_owned());
        self
    }

    /// The same stage with its events appended to this file; for tests.
    #[must_use]
    pub fn with_events(mut self, path: &Path) -> Self {
        self.events = Events::new(Some(path.to_owned()));
        self
    }

    /// The declared parameters as the stage's own type.
    ///
    /// # Errors
    /// Text that is not JSON, or does not fit `T`: names the field. It exits with 2.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, StageError> {
        let mut json = serde_json::Deserializer::from_str(&self.params);
        let params = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let problem = error.into_inner();
            // Line and column of the environment's one line of JSON help nobody.
            let text = problem.to_string();
            let text = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(text, _)| text);
            let place = match path.as_str() {
                "." | "?" => "parameters".to_owned(),
                path => format!("parameter `{path}`"),
            };
            StageError::usage_message(format!("{place}: {text}"))
                .with_hint(format!("`{}` got {}", self.name, self.params))
        })?;
        json.end().map_err(|_| {
            StageError::usage_message("parameters: text follows the JSON object")
                .with_hint(format!("`{}` got {}", self.name, self.params))
        })?;
        Ok(params)
    }

    /// What the runner calls this stage, such as `train@resnet18`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many threads to use, 1 or more; results must not depend on it.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.get()
    }

    /// The folder that is kept across attempts of the same key.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The instruction set the user asked for: `avx512`, `avx2` or `plain`.
    #[must_use]
    pub fn isa(&self) -> Option<&str> {
        self.isa.as_deref()
    }

    /// The GPUs that the stage may use, as CUDA_VISIBLE_DEVICES names them: none if it is empty,
    /// all if it is not set, as by hand.
    #[must_use]
    pub fn gpus(&self) -> Option<&str> {
        self.gpus.as_deref()
    }

    /// Tells the runner how far the work is; at most about five times a second is written,
    /// the first and the last always.
    pub fn progress(&self, progress: Progress<'_>) {
        self.events.progress(progress);
    }

    /// Tells the user something in passing, such as `resumed from epoch 12`.
    pub fn message(&self, text: &str) {
        self.events.message(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Params {
        train: Train,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Train {
        epochs: u32,
        optimizer: Optimizer,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Optimizer {
        name: String,
    }

    fn parse(json: &str) -> Result<Params, StageError> {
        Stage::for_test(json, Path::new("/nowhere")).params()
    }

    #[test]
    fn parameters_become_the_stages_own_type() {
        let params = parse(r#"{"train":{"epochs":3,"optimizer":{"name":"adam"}}}"#).unwrap();
        assert_eq!(params.train.epochs, 3);
        assert_eq!(params.train.optimizer.name, "adam");
    }

    #[test]
    fn a_wrong_parameter_is_named_by_its_path() {
        let cases = [
            (
                r#"{"train":{"epochs":"x","optimizer":{"name":"adam"}}}"#,
                "parameter `train.epochs`: invalid type: string \"x\", expected u32",
            ),
            (
                r#"{"train":{"epochs":1,"optimizer":{}}}"#,
                "parameter `train.optimizer`: missing field `name`",
            ),
            ("{}", "parameters: missing field `train`"),
            ("{", "parameters: EOF while parsing an object"),
        ];
        for (json, expected) in cases {
            let error = parse(json).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.exit_code(), 2);
        }
    }
}
