//! What a stage runs, what it is given and what it must write, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::{Declared, HostEnv};
use super::params_text;
use restage_core::rel_path::RelPath;

/// The variable that holds a stage's own name, where its command asks for it.
pub const OWN_NAME: &str = "RESTAGE_STAGE";

/// A stage without what it reads. Every path in it is relative to the folder that the stage runs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its name: `train@resnet18`.
    pub name: String,
    /// What is run.
    pub runs: Runs,
    /// The folder below the work folder in which it runs; empty for that itself.
    pub folder: String,
    /// Parameters by dotted path.
    pub params: BTreeMap<String, Value>,
    /// A value sets a variable, `None` passes the caller's on.
    pub env: BTreeMap<String, Option<String>>,
    /// Variables that it is given and no result depends on.
    pub pass_env: BTreeSet<String>,
    /// Variables whose values are never shown.
    pub secrets: BTreeSet<String>,
    /// Its name, if it is given that in [`OWN_NAME`].
    pub own_name: Option<String>,
    /// What it writes, in declared order.
    pub outs: Vec<Out>,
    /// What its key says of its tools, and how they are asked.
    pub tools: Vec<ToolQuestion>,
    /// What it may use.
    pub limits: Limits,
}

/// What a stage runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// A program that was built before.
    Program {
        /// Its package.
        package: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A command with its arguments.
    Words(Vec<String>),
    /// Restage itself, with these arguments.
    Restage(Vec<String>),
}

/// A file or folder that a stage writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Out {
    /// Where.
    pub path: RelPath,
    /// Whether its bytes enter no key.
    pub volatile: bool,
}

/// A command whose output is an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolQuestion {
    /// As the key names it.
    pub line: String,
    /// The whole command.
    pub argv: Vec<String>,
}

/// What a stage may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Threads that libraries are told to start.
    pub threads: u32,
    /// Graphics cards; `None` if nothing is said of them.
    pub cards: Option<u32>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Wall time.
    pub timeout: Option<Duration>,
}

/// What a single attempt is given.
#[derive(Debug)]
pub struct Given<'a> {
    /// Threads of its own programs.
    pub threads: u32,
    /// Names of the graphics cards that are its own.
    pub cards: &'a [String],
    /// The file with its parameters.
    pub params: &'a Path,
    /// Where it reports its progress.
    pub events: &'a Path,
    /// Where it keeps checkpoints.
    pub scratch: &'a Path,
    /// The store that a restage which it starts is to use.
    pub store: Option<&'a Path>,
}

impl Spec {
    /// What is started; `program` says where a package's binary is.
    pub fn argv(&self, program: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<OsString> {
        let (first, words) = match &self.runs {
            Runs::Program { package, args } => (program(package), args),
            Runs::Words(words) => (None, words),
            Runs::Restage(words) => (Some("/proc/self/exe".into()), words),
        };
        let first = first.map(PathBuf::into_os_string).into_iter();
        first.chain(words.iter().map(OsString::from)).collect()
    }

    /// The whole environment of an attempt, without software environments and containers.
    pub fn environment(&self, host: &HostEnv, given: &Given<'_>) -> BTreeMap<OsString, OsString> {
        let mut env = self.declared().environment(host);
        for name in &self.secrets {
            if let Some(value) = host.get(name) {
                env.insert(name.into(), value.to_owned());
            }
        }
        // An override for measuring; results never depend on it.
        let threads = host
            .text("RESTAGE_THREADS")
            .unwrap_or_else(|| given.threads.to_string());
        if self.limits.cards.is_some() {
            env.insert("CUDA_VISIBLE_DEVICES".into(), given.cards.join(",").into());
            // A number has to mean the same card to us, to `nvidia-smi` and to CUDA.
            env.insert("CUDA_DEVICE_ORDER".into(), "PCI_BUS_ID".into());
        }
        if let Some(name) = &self.own_name {
            env.insert(OWN_NAME.into(), name.into());
        }
        let params = params_text::text(&self.params);
        if params_text::fits_variable(&params) {
            env.insert("RESTAGE_PARAMS".into(), params.into());
        }
        env.insert("RESTAGE_THREADS".into(), threads.into());
        if let Some(store) = given.store {
            env.insert("RESTAGE_STORE".into(), store.into());
        }
        for (name, place) in [
            ("RESTAGE_PARAMS_FILE", given.params),
            ("RESTAGE_EVENTS", given.events),
            ("RESTAGE_SCRATCH", given.scratch),
        ] {
            env.insert(name.into(), place.into());
        }
        env
    }

    /// What it says of its environment.
    pub fn declared(&self) -> Declared<'_> {
        Declared {
            env: &self.env,
            pass_env: &self.pass_env,
            threads: self.limits.threads,
            says_cards: self.limits.cards.is_some(),
        }
    }
}
