//! The JSON Schema of `pipeline.yaml`, for editors, from types that mirror the file.
//! It must not know how the file is read; a test holds the reader's fields against it.
#![expect(dead_code, reason = "these types are described, never built")]

mod export;
mod report;

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde_json::{Map, Value};

/// The schema as JSON (draft 2020-12).
pub fn schema() -> Value {
    schema_for!(File).to_value()
}

/// An experiment for restage: parameters, profiles, stages, and how results are compared.
#[derive(JsonSchema, Serialize)]
#[schemars(title = "restage pipeline")]
#[serde(deny_unknown_fields)]
struct File {
    /// Version of this format.
    #[schemars(extend("const" = 1))]
    schema: u32,
    /// The experiment's name.
    #[schemars(length(min = 1))]
    name: String,
    /// Parameters and their defaults: any tree. Stages see those that they declare.
    #[schemars(default)]
    params: Map<String, Value>,
    /// Named changes to the parameters: maps merge, everything else replaces.
    #[schemars(default)]
    profiles: BTreeMap<String, Option<Map<String, Value>>>,
    /// The profile used without `--profile`. Required where there are profiles.
    #[schemars(default)]
    default_profile: Option<String>,
    /// What is run, by name.
    stages: BTreeMap<String, Stage>,
    /// How result tables are compared; a later rule wins.
    #[schemars(default)]
    compare: Vec<Compare>,
    /// What the paper says, by name; `restage claims` holds it against the results.
    #[schemars(default)]
    claims: BTreeMap<String, Claim>,
    /// What other tools are shown of the results, by `restage export`.
    #[schemars(default)]
    export: Option<export::Export>,
    /// The page that shows the results; `restage report` writes it.
    #[schemars(default)]
    report: Option<report::Report>,
}

/// A command with everything that it reads and writes. Text may have `${profile}`, `${key}`,
/// `${item.x}`, `${seed}` and `${a.parameter}`; `$${` stands for `${` itself.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["program"]}, {"required": ["cmd"]}]))]
struct Stage {
    /// For people.
    #[schemars(default)]
    desc: Option<String>,
    /// One instance for each entry of a map or item of a list: `${models}`, or written out.
    #[schemars(default)]
    foreach: Option<Foreach>,
    /// One instance for each combination of the axes' values; `exclude` lists those to leave out.
    #[schemars(default)]
    matrix: Option<Matrix>,
    /// One instance for each seed, of every instance that `foreach` or `matrix` makes: `5` for the
    /// parameter `seed` and the four numbers after it, or a list. `${seed}` and the parameter
    /// `seed` are the instance's own; `train@small+43` is its name.
    #[schemars(default)]
    seeds: Option<Seeds>,
    /// A crate of this workspace, built by cargo; its code is part of the stage's key.
    #[schemars(default, length(min = 1))]
    program: Option<String>,
    /// Arguments of `program`.
    #[schemars(default)]
    args: Option<ListOf<Scalar>>,
    /// A line for `sh`; values put into it are quoted.
    #[schemars(default, length(min = 1))]
    cmd: Option<String>,
    /// Files, folders and patterns (`*`, `?`, `[..]`, `{a,b}`, `**`) that it reads. What a stage
    /// wrote by seeds that it no longer has matches no pattern.
    #[schemars(default)]
    deps: Option<ListOf<String>>,
    /// Dotted paths of the parameters that it is given.
    #[schemars(default)]
    params: Option<ListOf<String>>,
    /// Files and folders that it writes: at least one.
    outs: ListOf<Out>,
    /// Environment: values to set, null (or a list of names) to pass the caller's on.
    #[schemars(default)]
    env: Option<Env>,
    /// Names of the caller's variables that it is given and that nobody may see: their values
    /// enter no key and no record, and are written as `***` where it prints them.
    #[schemars(default)]
    secret: Option<ListOf<String>>,
    /// Lines for `sh` whose output is an input, such as `python3 --version`: another output, and
    /// it runs again. They run whenever a plan is made, so they should be quick.
    #[schemars(default)]
    tools: Option<ListOf<String>>,
    /// What it needs of the machine.
    #[schemars(default)]
    resources: Option<Resources>,
    /// Wall time after which it is stopped: `12h`, `1h30m`, or seconds.
    #[schemars(default)]
    timeout: Option<Scalar>,
    /// How often it is tried again after a failure.
    #[schemars(default, range(min = 0, max = 1000))]
    retries: Option<u32>,
}

/// A list, or a template that stands for one.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum ListOf<T> {
    /// Items.
    List(Vec<T>),
    /// `${some.list}`.
    Template(String),
}

/// Text, a number, true or false.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Scalar {
    /// Text, templates allowed.
    Text(String),
    /// Written as JSON writes it.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// What a stage is expanded over.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Foreach {
    /// `${models}`: a map or list among the parameters.
    Template(String),
    /// The items are `${item}` and, as text, `${key}`.
    List(Vec<Scalar>),
    /// Keys are `${key}`, values `${item}`.
    Map(Map<String, Value>),
}

/// The axes, and what to leave out.
#[derive(JsonSchema, Serialize)]
struct Matrix {
    /// Combinations to leave out: every one that has all of an item's values.
    #[schemars(default)]
    exclude: Option<Vec<BTreeMap<String, Scalar>>>,
    /// Values by axis; the first axis changes slowest.
    #[serde(flatten)]
    axes: BTreeMap<String, ListOf<Scalar>>,
}

/// By which seeds a stage is repeated.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Seeds {
    /// So many, from the parameter `seed` on.
    Count(#[schemars(range(min = 1, max = 10_000))] u32),
    /// These, each once.
    List(#[schemars(length(min = 1))] Vec<Scalar>),
    /// `${seeds}`: either of them among the parameters.
    Template(String),
}

/// An output.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Out {
    /// Its path.
    Path(String),
    /// Its path and how it is treated.
    Full(FullOut),
}

/// An output with more than its path.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct FullOut {
    /// A file or folder below the pipeline's.
    path: String,
    /// Differs from run to run (times, memory): kept, but its bytes make nothing stale.
    #[schemars(default)]
    volatile: Option<Scalar>,
}

/// The environment.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Env {
    /// Value by name.
    Values(BTreeMap<String, Option<Scalar>>),
    /// Names whose values are the caller's.
    Names(Vec<String>),
}

/// What is reserved while the stage runs.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    /// Cores: 1 if not given.
    #[schemars(default)]
    cpu: Option<Scalar>,
    /// Graphics cards, 0 if not given; or a device: `cpu`, `cuda`, `cuda:1`, or `auto`, one card
    /// if the machine has any.
    #[schemars(default)]
    gpu: Option<Scalar>,
    /// Memory: `2GiB`, `512MB`, or bytes. A stage whose processes together hold more is ended.
    #[schemars(default)]
    mem: Option<Scalar>,
}

/// How tables are compared.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Compare {
    /// A path or pattern.
    files: String,
    /// Columns whose texts name a row, each row another one; without them rows are compared in order.
    #[schemars(default)]
    key: Option<Vec<String>>,
    /// Rule by column; `*` is every other one. Without a rule the text must be the same.
    #[schemars(default)]
    columns: Option<BTreeMap<String, Column>>,
}

/// How one column must match.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Column {
    /// The same text.
    Exact,
    /// Not compared.
    Ignore,
    /// Numbers that differ by at most this.
    Abs(f64),
    /// Numbers that differ by at most this share of the expected one.
    Rel(f64),
}

/// Something that the paper says, and when it counts as reproduced: `tolerance` or `holds`.
///
/// Expressions are CEL over cells of result tables.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["tolerance", "ours", "paper"]}, {"required": ["holds"]}]))]
struct Claim {
    /// The paper's words.
    says: String,
    /// The section or table that says so.
    #[schemars(default)]
    r#where: Option<String>,
    /// One claim for each entry of a map or item of a list, as for a stage.
    #[schemars(default)]
    foreach: Option<Foreach>,
    /// The paper's value; a number where there is a `tolerance`.
    #[schemars(default)]
    paper: Option<Scalar>,
    /// Of both values.
    #[schemars(default)]
    unit: Option<String>,
    /// An expression that gives our value: `cell("results/table.csv", "model=a", "accuracy")`, or
    /// `samples("results/a/seed-*/summary.csv", 1, "accuracy")`, one value a run, whose mean
    /// counts and is shown with its 95 % t-interval. `difference(samples, samples)` is by pairs
    /// where both have the same runs, otherwise Welch's.
    #[schemars(default)]
    ours: Option<String>,
    /// An expression that is true where the claim is reproduced.
    #[schemars(default)]
    holds: Option<String>,
    /// How far our value may lie from the paper's.
    #[schemars(default)]
    tolerance: Option<Tolerance>,
    /// Where our value lies if at least the direction is the paper's; of several runs, the whole
    /// of its interval.
    #[schemars(default)]
    direction: Option<Direction>,
    /// An expression; where it is false, nothing is measured.
    #[schemars(default)]
    needs: Option<String>,
    /// The reason that is given then.
    #[schemars(default)]
    otherwise: Option<String>,
    /// Differs from machine to machine: shown, but never a regression.
    #[schemars(default)]
    volatile: Option<bool>,
}

/// How far our value may lie from the paper's.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Tolerance {
    /// By this.
    Abs(f64),
    /// By this share of the paper's.
    Rel(f64),
}

/// On which side of a bound our value lies.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{AGENT, EXPORT, RO_CRATE, STEP_TABLES};
    use crate::fields::{CLAIM, COMPARE, FILE, Fields, OUT, RESOURCES, STAGE};
    use crate::report::{REPORT, SECTION, SHOW};

    #[test]
    fn the_schema_has_exactly_the_fields_that_the_reader_knows() {
        let schema = schema();
        let check = |at: &str, fields: &Fields| {
            let node = schema.pointer(at).unwrap_or_else(|| panic!("no {at}"));
            let mut known = fields.known.to_vec();
            known.sort_unstable();
            let described: Vec<_> = node["properties"].as_object().unwrap().keys().collect();
            assert_eq!(described, known, "{at}");
            assert_eq!(node["additionalProperties"], false, "{at}");
        };
        check("", &FILE);
        check("/$defs/Stage", &STAGE);
        check("/$defs/FullOut", &OUT);
        check("/$defs/Resources", &RESOURCES);
        check("/$defs/Compare", &COMPARE);
        check("/$defs/Claim", &CLAIM);
        check("/$defs/Export", &EXPORT);
        check("/$defs/StepTables", &STEP_TABLES);
        check("/$defs/RoCrate", &RO_CRATE);
        check("/$defs/Agent", &AGENT);
        check("/$defs/Report", &REPORT);
        check("/$defs/Section", &SECTION);
        check("/$defs/Show", &SHOW);
    }

    #[test]
    fn every_field_is_described() {
        fn descriptions(node: &Value) {
            if let Some(properties) = node.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    assert!(property.get("description").is_some(), "{name}");
                }
            }
        }
        let schema = schema();
        descriptions(&schema);
        schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .for_each(descriptions);
    }
}
