//! The part of the JSON Schema that describes `export:`.
//! It must not know how the file is read.

use schemars::JsonSchema;
use serde::Serialize;

/// What other tools are shown of the results.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// Tables with a row for each step of a training run, for `restage export tensorboard`.
    #[schemars(default)]
    tensorboard: Option<Vec<StepTables>>,
    /// What an RO-Crate says beside what was recorded, for `restage export ro-crate`.
    #[schemars(default)]
    ro_crate: Option<RoCrate>,
}

/// What people know of the experiment.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct RoCrate {
    /// What the experiment is.
    #[schemars(default)]
    description: Option<String>,
    /// Of all that is in the crate: an SPDX identifier, an address, or in words.
    #[schemars(default)]
    license: Option<String>,
    /// Who ran it.
    #[schemars(default)]
    agent: Option<Agent>,
    /// Paths and patterns of files that go along though no stage writes them.
    #[schemars(default)]
    also: Option<Vec<String>>,
}

/// A person or an organisation.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    /// Its name.
    #[schemars(length(min = 1))]
    name: String,
    /// Its address: an ORCID's for a person, a ROR's (`https://ror.org/..`) for an organisation.
    #[schemars(default)]
    id: Option<String>,
}

/// Tables of which each is a run: its columns of numbers become scalars.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct StepTables {
    /// A path or pattern. A run is named by its table's folder, from the first `*` on; tables of
    /// one folder are one run.
    #[schemars(length(min = 1))]
    tables: String,
    /// The column that numbers the steps: whole numbers that grow.
    #[schemars(length(min = 1))]
    step: String,
}
