//! The stage key: everything that can change a stage's result, and nothing else.
//!
//! An include list: what is not a field here (a stage's name, description, resources,
//! timeout, retries, threads, log level) changes no key. Two stages never share a key, since
//! no two write the same path.
//!
//! Numbers in `params` are compared as JSON text after parsing: `1e-3` and `0.001` are the same
//! number, but the integer `1` and the float `1.0` are not, because a stage can tell them
//! apart.
//!
//! History of `version` (docs/adr/0023):
//! 1, the first. `tools`, `secrets` and `environment` came later; they did not need a new version
//! because a key without them is what it was before.
//! 2: a command names its shell, and its layout does not count; the environment of every stage is
//! the same. Keys of version 1 can still be read, to say what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::environment::KeyEnvironment;
use super::frame::Frame;
use super::hash::Digest;
use super::json::{canonical_json, escaped};

/// Everything that can change a stage's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageKey {
    /// Which rule made this key: [`StageKey::VERSION`] when it was made.
    pub version: u32,
    /// What is run.
    pub action: KeyAction,
    /// Declared parameters by dotted path.
    pub params: BTreeMap<String, Value>,
    /// What is read. Order and repetition don't count.
    pub deps: Vec<KeyDep>,
    /// Globs among the deps. Order and repetition don't count.
    pub globs: Vec<KeyGlob>,
    /// Declared environment; `None` is a variable that is not set.
    pub env: BTreeMap<String, Option<String>>,
    /// What is written. Order and repetition don't count.
    pub outs: Vec<KeyOut>,
    /// Facts of the machine that change bits, such as the kind of its GPU.
    pub machine: BTreeMap<String, String>,
    /// Outputs of the commands that the stage declares as its tools, by command.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, String>,
    /// Names of variables whose values must not change the result.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// The software that it runs in, if that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<KeyEnvironment>,
}

/// What a stage runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    /// A program of this workspace.
    Program {
        /// Its package.
        package: String,
        /// The sources that it is built from.
        code: Digest,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A line for `sh -c`, in keys of version 1.
    Command(String),
    /// Texts for a shell, run one after another until one fails.
    Script {
        /// The words before each text.
        shell: Vec<String>,
        /// The texts, without the layout that the shell does not see.
        lines: Vec<String>,
    },
    /// A download by restage itself, wherever it comes from.
    Fetch {
        /// Of what is downloaded, in hexadecimal digits.
        sha256: String,
        /// What it is unpacked from, if it is.
        unpack: Option<String>,
    },
}

impl KeyAction {
    /// What a command says, for people; `None` for a program.
    pub fn command(&self) -> Option<String> {
        match self {
            Self::Program { .. } => None,
            Self::Fetch { sha256, unpack } => Some(match unpack {
                Some(kind) => format!("download and unpack the {kind} with SHA-256 {sha256}"),
                None => format!("download the file with SHA-256 {sha256}"),
            }),
            Self::Command(line) => Some(line.clone()),
            Self::Script { lines, .. } => Some(lines.join("\n")),
        }
    }
}

/// Something that the stage reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyDep {
    /// Where the stage reads it.
    pub path: String,
    /// What it reads there.
    pub content: DepContent,
}

/// What a stage reads at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepContent {
    /// These bytes ([`PathDigest::content_id`](super::PathDigest::content_id)).
    Bytes(Digest),
    /// Whatever the stage with this key wrote: a volatile out.
    VolatileOf(Digest),
    /// Nothing.
    Missing,
}

/// A glob and what it matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyGlob {
    /// The pattern as declared, templates filled in.
    pub pattern: String,
    /// The paths that it matched.
    pub paths: Vec<String>,
}

/// Something that the stage writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyOut {
    /// Where.
    pub path: String,
    /// Whether its bytes enter no key.
    pub volatile: bool,
}

/// What the walk over a key reports to.
trait Sink {
    /// Structure: a count or a variant's number.
    fn number(&mut self, number: u64);
    /// A value, and what people call it.
    fn value(&mut self, label: fmt::Arguments<'_>, value: &str);
    /// A part of the key whose value follows with a label that contains it.
    fn name(&mut self, name: &str);
    /// A digest, and what people call it; `role` says whose digest it is, unless that is
    /// obvious.
    fn digest(&mut self, label: fmt::Arguments<'_>, role: &str, digest: &Digest);
}

impl StageKey {
    /// The rule by which keys are made now. A new rule takes a new number, and every stage
    /// runs again.
    pub const VERSION: u32 = 2;

    /// The digest that names this key.
    pub fn digest(&self) -> Digest {
        let mut frame = Frame::new("restage stage key");
        self.walk(&mut frame);
        frame.finish()
    }

    /// Every ingredient as a label and a value, in a fixed order; maps are flattened to their
    /// leaves: `("param train.optimizer.learning_rate", "0.001")`.
    pub fn explain(&self) -> Vec<(String, String)> {
        let mut lines = Lines(Vec::new());
        self.walk(&mut lines);
        lines.0
    }

    /// The part of [`explain`](Self::explain) that is not code, command or files: parameters,
    /// variables, names of secrets, tools, packages and the machine's facts.
    pub fn given(&self) -> Vec<(String, String)> {
        let kinds = [
            "param ",
            "env ",
            "machine ",
            "tool ",
            "secret ",
            "environment ",
            "package ",
        ];
        let mut given = self.explain();
        given.retain(|(label, _)| kinds.iter().any(|kind| label.starts_with(kind)));
        given
    }

    /// The hash rule, written once: what is walked here is the key, in this order.
    fn walk(&self, sink: &mut impl Sink) {
        sink.value(format_args!("key version"), &self.version.to_string());
        match &self.action {
            KeyAction::Program {
                package,
                code,
                args,
            } => {
                sink.number(0);
                sink.value(format_args!("program"), package);
                sink.digest(format_args!("code"), "", code);
                sink.number(args.len() as u64);
                for (i, arg) in args.iter().enumerate() {
                    sink.value(format_args!("arg {}", i + 1), arg);
                }
            }
            KeyAction::Command(line) => {
                sink.number(1);
                sink.value(format_args!("command"), line);
            }
            KeyAction::Script { shell, lines } => {
                sink.number(2);
                sink.number(shell.len() as u64);
                for word in shell {
                    sink.value(format_args!("shell"), word);
                }
                sink.number(lines.len() as u64);
                for line in lines {
                    sink.value(format_args!("command"), line);
                }
            }
            KeyAction::Fetch { sha256, unpack } => {
                sink.number(3);
                sink.value(format_args!("sha256"), sha256);
                sink.number(u64::from(unpack.is_some()));
                sink.value(format_args!("unpack"), unpack.as_deref().unwrap_or("no"));
            }
        }
        sink.number(self.params.len() as u64);
        for (path, value) in &self.params {
            sink.name(path);
            walk_value(path, value, sink);
        }
        let deps = set(&self.deps);
        sink.number(deps.len() as u64);
        for dep in deps {
            sink.name(&dep.path);
            let label = format_args!("dep {}", dep.path);
            match &dep.content {
                DepContent::Bytes(digest) => {
                    sink.number(0);
                    sink.digest(label, "", digest);
                }
                DepContent::VolatileOf(key) => {
                    sink.number(1);
                    sink.digest(label, "written under key ", key);
                }
                DepContent::Missing => {
                    sink.number(2);
                    sink.value(label, "missing");
                }
            }
        }
        let globs = set(&self.globs);
        sink.number(globs.len() as u64);
        for glob in globs {
            sink.value(format_args!("glob {}", glob.pattern), &glob.pattern);
            let paths = set(&glob.paths);
            sink.number(paths.len() as u64);
            for path in paths {
                sink.value(format_args!("match of {}", glob.pattern), path);
            }
        }
        sink.number(self.env.len() as u64);
        for (name, value) in &self.env {
            sink.name(name);
            let label = format_args!("env {name}");
            match value {
                Some(value) => {
                    sink.number(0);
                    sink.value(label, &escaped(value));
                }
                None => {
                    sink.number(1);
                    sink.value(label, "not set");
                }
            }
        }
        let outs = set(&self.outs);
        sink.number(outs.len() as u64);
        for out in outs {
            sink.name(&out.path);
            let volatile = if out.volatile {
                "volatile"
            } else {
                "kept exactly"
            };
            sink.value(format_args!("out {}", out.path), volatile);
        }
        sink.number(self.machine.len() as u64);
        for (fact, value) in &self.machine {
            sink.name(fact);
            sink.value(format_args!("machine {fact}"), value);
        }
        // The following parts are left out if they are empty, and each begins with its name, so
        // that keys without them stay what they were before these parts were added.
        if !self.tools.is_empty() {
            sink.name("tools");
            sink.number(self.tools.len() as u64);
            for (command, said) in &self.tools {
                sink.name(command);
                let lines: Vec<&str> = said.split('\n').collect();
                sink.number(lines.len() as u64);
                for line in lines {
                    sink.value(format_args!("tool {}", escaped(command)), line);
                }
            }
        }
        if !self.secrets.is_empty() {
            sink.name("secrets");
            sink.number(self.secrets.len() as u64);
            for name in &self.secrets {
                sink.name(name);
                sink.value(format_args!("secret {name}"), "whatever its value");
            }
        }
        if let Some(environment) = &self.environment {
            sink.name("environment");
            walk_environment(environment, sink);
        }
    }
}

impl KeyEnvironment {
    /// The digest that names it: equal for equal software.
    pub fn digest(&self) -> Digest {
        let mut frame = Frame::new("restage environment 1");
        walk_environment(self, &mut frame);
        frame.finish()
    }
}

fn walk_environment(environment: &KeyEnvironment, sink: &mut impl Sink) {
    sink.value(format_args!("environment kind"), &environment.kind);
    sink.number(environment.facts.len() as u64);
    for (name, value) in &environment.facts {
        sink.name(name);
        sink.value(format_args!("environment {name}"), value);
    }
    sink.number(environment.packages.len() as u64);
    for (name, package) in &environment.packages {
        sink.name(name);
        sink.name(&package.version);
        let role = format!("{} ", package.version);
        sink.digest(format_args!("package {name}"), &role, &package.content);
    }
}

/// The distinct items of a list, sorted: order and repetition don't count.
fn set<T: Ord>(list: &[T]) -> Vec<&T> {
    let mut items: Vec<&T> = list.iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}

fn walk_value(label: &str, value: &Value, sink: &mut impl Sink) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            sink.number(1);
            sink.number(items.len() as u64);
            for (i, item) in items.iter().enumerate() {
                walk_value(&format!("{label}[{i}]"), item, sink);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            sink.number(2);
            sink.number(map.len() as u64);
            // serde_json may keep the file's order.
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            for (name, value) in sorted {
                sink.name(name);
                walk_value(&member(label, name), value, sink);
            }
        }
        leaf => {
            sink.number(0);
            sink.value(format_args!("param {label}"), &canonical_json(leaf));
        }
    }
}

/// `label.name`; a name that could be mistaken for several is quoted.
fn member(label: &str, name: &str) -> String {
    if name.is_empty() || name.contains(['.', '[', '"', ' ']) {
        format!("{label}.{}", escaped(name))
    } else {
        format!("{label}.{name}")
    }
}

impl Sink for Frame {
    fn number(&mut self, number: u64) {
        Frame::number(self, number);
    }

    fn value(&mut self, _label: fmt::Arguments<'_>, value: &str) {
        self.text(value);
    }

    fn name(&mut self, name: &str) {
        self.text(name);
    }

    fn digest(&mut self, _label: fmt::Arguments<'_>, _role: &str, digest: &Digest) {
        Frame::digest(self, digest);
    }
}

/// The walk as lines for people.
struct Lines(Vec<(String, String)>);

impl Sink for Lines {
    fn number(&mut self, _number: u64) {}

    fn value(&mut self, label: fmt::Arguments<'_>, value: &str) {
        self.0.push((label.to_string(), value.to_owned()));
    }

    fn name(&mut self, _name: &str) {}

    fn digest(&mut self, label: fmt::Arguments<'_>, role: &str, digest: &Digest) {
        self.0.push((label.to_string(), format!("{role}{digest}")));
    }
}
