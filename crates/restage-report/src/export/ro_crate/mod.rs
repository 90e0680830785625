//! A reproduced pipeline as an RO-Crate: what ran, on what, to what.
//!
//! Profiles: Provenance Run Crate 0.5 and those that it extends (Process and Workflow Run Crate
//! 0.5, Workflow RO-Crate 1.0), over RO-Crate 1.1. A stage of the file is a `HowToStep`, the
//! program or command that it runs a `SoftwareApplication`, and each instance that ran a
//! `CreateAction`; a `ControlAction` joins a step with its instances.

mod actions;
mod entity;
mod files;
mod parameters;
#[cfg(test)]
mod tests;
mod workflow;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use restage_core::clock::WallTime;

/// The content of a crate.
#[derive(Debug, Clone)]
pub struct Crate {
    /// The experiment's name.
    pub name: String,
    /// The profile that ran.
    pub profile: String,
    /// What it is about.
    pub about: About,
    /// The pipeline file's path in the crate.
    pub pipeline: String,
    /// restage's own version.
    pub version: String,
    /// Stages in declared order.
    pub steps: Vec<Step>,
    /// Their instances, in an order in which they can run.
    pub runs: Vec<StageRun>,
    /// Each path that is named: the pipeline file, inputs, outs and the files in them.
    pub items: BTreeMap<String, Item>,
}

/// Metadata that only people know.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// What the experiment is.
    pub description: Option<String>,
    /// Of everything in the crate: an SPDX identifier, an address, or a text.
    pub license: Option<String>,
    /// Who ran it.
    pub agent: Option<Agent>,
}

/// A person or an organisation.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its address, such as an ORCID's.
    pub id: Option<String>,
}

/// A stage as it is declared.
#[derive(Debug, Clone)]
pub struct Step {
    /// `train`
    pub name: String,
    /// For people.
    pub desc: Option<String>,
}

/// What a stage runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// A program of the workspace.
    Program {
        /// Its package.
        package: String,
        /// Digest of the sources that it was built from.
        code: String,
    },
    /// A line for the shell.
    Command,
}

/// A stage instance that ran.
#[derive(Debug, Clone)]
pub struct StageRun {
    /// `train@resnet18`
    pub name: String,
    /// The name of its step.
    pub step: String,
    /// What was run.
    pub tool: Tool,
    /// The program with its arguments, or the line.
    pub command: String,
    /// Declared parameters by dotted path.
    pub params: BTreeMap<String, Value>,
    /// Declared environment that was set.
    pub env: BTreeMap<String, String>,
    /// The versions that tools print, by command.
    pub tools: BTreeMap<String, String>,
    /// Paths that it read.
    pub reads: Vec<String>,
    /// Paths that it wrote.
    pub writes: Vec<String>,
    /// The key of its record.
    pub key: String,
    /// When it started.
    pub started: WallTime,
    /// When it ended.
    pub ended: WallTime,
    /// Its peak memory in bytes.
    pub peak_memory: Option<u64>,
    /// The machine.
    pub host: String,
    /// Whether another run of the same key wrote other bytes.
    pub nondeterministic: bool,
    /// Set if it did not run: its files were there, and somebody said that they are its result.
    pub adopted: Option<Adopted>,
}

/// Who said so, and how.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The user's name.
    pub by: String,
    /// `adopted by ada at 2026-01-31T12:00:00Z`
    pub how: String,
}

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Item {
    /// A file.
    File {
        /// In bytes.
        size: u64,
        /// BLAKE3 of its bytes, in hexadecimal.
        blake3: String,
        /// SHA-256 of its bytes, in hexadecimal; known if the file was read.
        sha256: Option<String>,
        /// Whether its bytes are in the crate.
        included: bool,
    },
    /// A folder.
    Folder {
        /// The paths of all files below it.
        files: Vec<String>,
        /// restage's digest of it.
        digest: String,
    },
}

impl Crate {
    /// `ro-crate-metadata.json`, with a final line break; the same crate gives the same bytes.
    pub fn to_json(&self) -> String {
        let document = Document {
            of: self,
            values: parameters::values(&self.runs),
        };
        let mut graph = vec![document.descriptor(), document.root()];
        graph.extend(profiles());
        graph.extend(document.workflow());
        graph.extend(document.parameters());
        graph.extend(document.actions());
        graph.extend(document.data());
        graph.extend(self.about.agent.as_ref().map(Agent::entity));
        graph.extend(self.about.license.as_deref().map(|license| {
            json!({"@id": entity::license(license), "@type": "CreativeWork", "name": license})
        }));
        // Leave out fields without a value.
        for entity in graph.iter_mut().filter_map(Value::as_object_mut) {
            entity.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        }
        let document = json!({
            "@context": [
                "https://w3id.org/ro/crate/1.1/context",
                "https://w3id.org/ro/terms/workflow-run/context",
            ],
            "@graph": graph,
        });
        format!("{document:#}\n")
    }
}

/// Writes a crate as JSON.
struct Document<'a> {
    of: &'a Crate,
    /// Different values of each parameter.
    values: BTreeMap<String, Vec<Value>>,
}

impl Document<'_> {
    fn descriptor(&self) -> Value {
        json!({
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": entity::reference("./"),
            "conformsTo": entity::references([
                "https://w3id.org/ro/crate/1.1",
                "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
            ]),
        })
    }

    fn root(&self) -> Value {
        let stages = self.of.runs.len();
        let description = self.of.about.description.clone().unwrap_or_else(|| {
            let (name, profile, version) = (&self.of.name, &self.of.profile, &self.of.version);
            format!(
                "`{name}` under profile `{profile}`: {stages} stages, as restage {version} recorded them"
            )
        });
        let ended = self.of.runs.iter().map(|run| run.ended).max();
        let mentions = std::iter::once(entity::WORKFLOW_RUN.to_owned())
            .chain([entity::ENGINE_RUN.to_owned()])
            .chain(self.of.runs.iter().map(|run| entity::run(&run.name)));
        let mut root = json!({
            "@id": "./",
            "@type": "Dataset",
            "name": format!("{}, profile {}", self.of.name, self.of.profile),
            "description": description,
            "license": self.license(),
            "datePublished": entity::time(ended.unwrap_or(WallTime { seconds: 0, nanos: 0 })),
            "conformsTo": entity::references(PROFILES.map(|(id, ..)| id)),
            "mainEntity": entity::reference(&entity::file(&self.of.pipeline)),
            "hasPart": entity::references(self.parts()),
            "mentions": entity::references(mentions),
        });
        if let Some(agent) = &self.of.about.agent {
            root["author"] = entity::reference(&agent.reference());
        }
        root
    }
}

impl Document<'_> {
    fn license(&self) -> Value {
        match &self.of.about.license {
            Some(license) => entity::reference(&entity::license(license)),
            None => json!("No licence is stated"),
        }
    }
}

impl Agent {
    fn reference(&self) -> String {
        self.id.clone().unwrap_or_else(|| "#agent".to_owned())
    }

    fn entity(&self) -> Value {
        let id = self.id.as_deref().unwrap_or_default();
        let kind = match id.starts_with("https://ror.org/") {
            true => "Organization",
            false => "Person",
        };
        json!({"@id": self.reference(), "@type": kind, "name": self.name})
    }
}

const PROFILES: [(&str, &str, &str); 4] = [
    (
        "https://w3id.org/ro/wfrun/process/0.5",
        "Process Run Crate",
        "0.5",
    ),
    (
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "Workflow Run Crate",
        "0.5",
    ),
    (
        "https://w3id.org/ro/wfrun/provenance/0.5",
        "Provenance Run Crate",
        "0.5",
    ),
    (
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
        "Workflow RO-Crate",
        "1.0",
    ),
];

fn profiles() -> impl Iterator<Item = Value> {
    PROFILES.into_iter().map(|(id, name, version)| {
        json!({"@id": id, "@type": "CreativeWork", "name": name, "version": version})
    })
}
