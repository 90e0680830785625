//! From the file's text to the validated pipeline: every mistake is collected on the way.
//! It must not know the disk, nor whether the stages fit together (the graph does).

use std::collections::BTreeMap;

use super::claim;
use super::compare;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::{self, Variant};
use super::export;
use super::expression::CheckExpression;
use super::fields::{FILE, STAGE, expected};
use super::node::{Entry, Node, Value, is_name, printable};
use super::pipeline::{Pipeline, Stage};
use super::profiles;
use super::report;
use super::seeds;
use super::stage::StageReader;
use super::template::{Instance, Scope, Templates};
use super::yaml;
use restage_core::span::Location;

/// The version of the file's format that is read.
pub const SCHEMA: u64 = 1;

/// How to read a pipeline.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// `--profile`; otherwise the file's `default_profile`.
    pub profile: Option<String>,
    /// `-S`: `key=value` each, in order.
    pub overrides: Vec<String>,
    /// Finds mistakes in the expressions of claims.
    pub check_expression: CheckExpression,
}

impl Default for LoadOptions {
    /// The default profile, no overrides; expressions are not looked at.
    fn default() -> Self {
        Self {
            profile: None,
            overrides: Vec::new(),
            check_expression: |_, _| Ok(()),
        }
    }
}

/// Reads and checks a pipeline. The file is not opened: its text is given, and its name for
/// messages.
///
/// # Errors
/// Everything wrong with it, at once; but of a text that is no YAML, or of another schema,
/// only that.
pub fn load(file_name: &str, text: &str, options: &LoadOptions) -> Result<Pipeline, Diagnostics> {
    let mut report = Vec::new();
    let pipeline = yaml::parse(text, &mut report).and_then(|root| {
        Loader {
            file_name,
            text,
            options,
            report: &mut report,
        }
        .pipeline(&root)
    });
    match pipeline {
        Some(pipeline) if report.is_empty() => Ok(pipeline),
        _ => Err(Diagnostics::new(file_name, text, report)),
    }
}

/// Reads one file.
pub(super) struct Loader<'a> {
    pub(super) file_name: &'a str,
    text: &'a str,
    pub(super) options: &'a LoadOptions,
    pub(super) report: &'a mut Vec<Diagnostic>,
}

impl Loader<'_> {
    fn pipeline(mut self, root: &Node) -> Option<Pipeline> {
        if let Value::Null = root.value {
            self.report.push(
                Diagnostic::new(
                    root.location,
                    format!("`{}` is empty", self.file_name),
                    "nothing here",
                )
                .hint("`restage init` writes a small working pipeline"),
            );
            return None;
        }
        if !self.schema_fits(root) {
            return None;
        }
        let clean = FILE.check(root, "the pipeline", self.report)? == 0;
        if clean {
            for field in ["schema", "name", "stages"] {
                self.require(root, field);
            }
        }
        let name = root.get("name").and_then(|node| self.name(node));
        let profile = self.profile(root);
        let params = self.params(root, &profile);
        let scope = Scope {
            profile: &profile,
            params: &params,
            instance: Instance::Single,
            seed: None,
        };
        let stages = root
            .get("stages")
            .map_or_else(Vec::new, |node| self.stages(node, scope));
        no_secret_is_shown(&stages, self.report);
        let templates = Templates {
            file: self.text,
            scope,
            owner: "`compare`",
        };
        let compare = root.entry("compare").map_or_else(Vec::new, |entry| {
            compare::read(entry, &templates, self.report)
        });
        let claims = root.entry("claims").map_or_else(Vec::new, |entry| {
            let check = self.options.check_expression;
            claim::read(entry, self.text, scope, check, self.report)
        });
        let owner = "`export`";
        let templates = Templates { owner, ..templates };
        let export = root.entry("export");
        let export = export.map(|entry| export::read(entry, &templates, self.report));
        let owner = "`report`";
        let templates = Templates { owner, ..templates };
        let page = root.entry("report");
        let page = page.and_then(|entry| report::read(entry, &templates, self.report));
        Some(Pipeline {
            name: name?,
            profile: profile.clone(),
            profiles: profiles::names(root),
            params: params.to_json(),
            stages,
            compare,
            claims,
            export: export.unwrap_or_default(),
            report: page,
        })
    }

    /// A file of another schema is not looked at further: its fields may mean other things.
    fn schema_fits(&mut self, root: &Node) -> bool {
        let Some(node) = root.get("schema") else {
            return true;
        };
        let found = match &node.value {
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        if found == Some(SCHEMA) {
            return true;
        }
        let hint = match found {
            Some(found) if found > SCHEMA => "install a newer restage for this file",
            _ => "write `schema: 1`",
        };
        let written = node
            .scalar_text()
            .map_or(node.kind().to_owned(), |text| format!("`{text}`"));
        let message =
            format!("the pipeline's schema is {written}, and this restage reads {SCHEMA}");
        self.report
            .push(Diagnostic::new(node.location, message, format!("expected {SCHEMA}")).hint(hint));
        false
    }

    fn require(&mut self, root: &Node, field: &str) {
        if root.get(field).is_some() {
            return;
        }
        let hint = match field {
            "schema" => "write `schema: 1` as the first line",
            "name" => "write `name: my-experiment`",
            _ => "write `stages:` with at least one stage; `restage init` shows how",
        };
        let first = root
            .entries()
            .first()
            .map_or(root.location, |entry| entry.key_location);
        let message = format!("the pipeline has no `{field}`");
        self.report.push(
            Diagnostic::new(first, message, format!("expected `{field}` beside this")).hint(hint),
        );
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(name) if !name.trim().is_empty() => Some(name.clone()),
            _ => {
                self.report
                    .push(expected(node, "name", "the pipeline", "text"));
                None
            }
        }
    }

    fn stages(&mut self, node: &Node, scope: Scope<'_>) -> Vec<Stage> {
        let Value::Map(entries) = &node.value else {
            self.report.push(
                expected(node, "stages", "the pipeline", "a map of stages").hint(
                    "write `stages:`, and below it `name: {cmd: .., outs: [..]}` for each stage",
                ),
            );
            return Vec::new();
        };
        if entries.is_empty() {
            let message = "the pipeline has no stages";
            self.report.push(
                Diagnostic::new(node.location, message, "nothing to run")
                    .hint("`restage init` shows a small working pipeline"),
            );
        }
        entries
            .iter()
            .flat_map(|entry| self.stage(entry, scope))
            .collect()
    }

    /// All instances of one stage.
    fn stage(&mut self, entry: &Entry, scope: Scope<'_>) -> Vec<Stage> {
        let group = entry.key.as_str();
        let owner = format!("stage `{}`", printable(group));
        if !is_name(group) || group.starts_with(['.', '-']) {
            self.report
                .push(bad_name("stage", group, entry.key_location));
        }
        let Some(unknown) = STAGE.check(&entry.value, &owner, self.report) else {
            return Vec::new();
        };
        let outside = Templates {
            file: self.text,
            scope,
            owner: &owner,
        };
        let variants = self.variants(entry, &outside);
        let seeds = match entry.value.entry("seeds") {
            None => Some(vec![None]),
            Some(seeds) => seeds::read(seeds, &outside, self.report)
                .map(|seeds| seeds.into_iter().map(Some).collect::<Vec<_>>()),
        };
        let (Some(variants), Some(seeds)) = (variants, seeds) else {
            // Its own mistakes are worth hearing all the same.
            let pretended = Node::new(Value::Number(0.into()), entry.key_location);
            let scope = Scope {
                instance: Instance::Unknown,
                seed: entry.value.get("seeds").map(|_| &pretended),
                ..scope
            };
            self.instance(entry, &owner, unknown == 0, group.to_owned(), scope);
            return Vec::new();
        };
        if variants.len().saturating_mul(seeds.len()) > expand::INSTANCES {
            let most = expand::INSTANCES;
            let message = format!("{owner} has more than {most} instances");
            let label = format!("{} variants, {} seeds", variants.len(), seeds.len());
            self.report
                .push(Diagnostic::new(entry.key_location, message, label));
            return Vec::new();
        }
        let mut stages = Vec::with_capacity(variants.len() * seeds.len());
        for variant in &variants {
            let (instance, key) = match variant {
                None => (Instance::Single, String::new()),
                Some(Variant { key, item }) => (Instance::Of { key, item }, format!("@{key}")),
            };
            for seed in &seeds {
                let text = seed.as_ref().and_then(Node::scalar_text);
                let text = text.map_or_else(String::new, |seed| format!("+{seed}"));
                let name = format!("{group}{key}{text}");
                let seed = seed.as_ref();
                let scope = Scope {
                    instance,
                    seed,
                    ..scope
                };
                stages.extend(self.instance(entry, &owner, unknown == 0, name, scope));
            }
        }
        stages
    }

    /// What `foreach` or `matrix` makes of a stage; one nameless variant without them. `None` was
    /// reported.
    fn variants(&mut self, entry: &Entry, outside: &Templates<'_>) -> Option<Vec<Option<Variant>>> {
        let (foreach, matrix) = (entry.value.entry("foreach"), entry.value.entry("matrix"));
        let variants = match (foreach, matrix) {
            (Some(foreach), Some(matrix)) => {
                let message = format!("{} has both `foreach` and `matrix`", outside.owner);
                self.report.push(
                    Diagnostic::new(matrix.key_location, message, "a stage is expanded one way")
                        .note_at("`foreach` is given", foreach.key_location)
                        .hint("a list can be one more axis of the `matrix`"),
                );
                None
            }
            (Some(foreach), None) => expand::foreach(foreach, outside, self.report),
            (None, Some(matrix)) => expand::matrix(matrix, outside, self.report),
            (None, None) => return Some(vec![None]),
        };
        variants.map(|variants| variants.into_iter().map(Some).collect())
    }

    fn instance(
        &mut self,
        entry: &Entry,
        owner: &str,
        fields_known: bool,
        name: String,
        scope: Scope<'_>,
    ) -> Option<Stage> {
        let reader = StageReader {
            templates: Templates {
                file: self.text,
                scope,
                owner,
            },
            node: &entry.value,
            at: entry.key_location,
            file_name: self.file_name,
            report: self.report,
        };
        reader.read(&entry.key, name, fields_known)
    }
}

/// A variable that one stage keeps secret and another declares as `env` would stand in the other's
/// key, for all to see.
fn no_secret_is_shown(stages: &[Stage], report: &mut Vec<Diagnostic>) {
    let mut secrets = BTreeMap::new();
    for stage in stages {
        for secret in &stage.secrets {
            secrets
                .entry(&secret.name)
                .or_insert((&stage.group, secret.location));
        }
    }
    for stage in stages {
        let passed_on = stage.env.iter().filter(|(_, value)| value.is_none());
        for (name, _) in passed_on {
            let Some((group, at)) = secrets.get(name) else {
                continue;
            };
            let message = format!(
                "stage `{}` has `{name}` as `env`, which is a secret of stage `{group}`",
                stage.group
            );
            report.push(
                Diagnostic::new(stage.location, message, "would show its value")
                    .note_at("it is declared as `secret`", *at)
                    .hint("declare it as `secret` in each stage that needs it"),
            );
        }
    }
}

/// A name that could not be told apart on the command line, or in a path.
pub(super) fn bad_name(what: &str, name: &str, at: Location) -> Diagnostic {
    let message = format!("`{}` cannot be the name of a {what}", printable(name));
    let (label, hint) = if name.contains('@') {
        (
            "has an `@`",
            "`@` stands before an instance's key, as in `train@resnet18`; choose a name without it",
        )
    } else {
        (
            "not a name",
            "names are made of letters, digits, `_`, `.` and `-`, and begin with a letter, digit or `_`",
        )
    };
    Diagnostic::new(at, message, label).hint(hint)
}
