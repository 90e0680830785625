//! `stages:`, each with all its instances.
//! It does not know what a stage's own fields mean, nor whether the stages fit together.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::expand::{self, Variant};
use super::fields::expected;
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::pipeline::Stage;
use super::seeds;
use super::sources::FileText;
use super::stage::{self, Common, STAGE};
use super::template::{Instance, Scope, Templates};

/// Reads the map of stages.
pub(crate) fn read(
    entry: &Entry,
    text: FileText<'_>,
    scope: Scope<'_>,
    file_name: &str,
    common: Common<'_>,
    report: &mut Vec<Diagnostic>,
) -> Vec<Stage> {
    let node = &entry.value;
    let Value::Map(entries) = &node.value else {
        report.push(
            expected(node, "stages", "the pipeline", "a map of stages")
                .hint("write `stages:`, and below it `name: {cmd: .., outs: [..]}` for each stage"),
        );
        return Vec::new();
    };
    let mut reader = Reader {
        file_name,
        text,
        common,
        report,
    };
    entries
        .iter()
        .flat_map(|entry| reader.stage(entry, scope))
        .collect()
}

/// Reports that neither the pipeline nor a file that it includes has a stage.
pub(crate) fn are_there<'a>(
    root: &Node,
    mut included: impl Iterator<Item = &'a Node>,
    report: &mut Vec<Diagnostic>,
) {
    let none = |root: &Node| {
        root.get("stages")
            .is_none_or(|stages| is_empty(&stages.value))
    };
    let Some(stages) = root.get("stages") else {
        return;
    };
    if none(root) && included.all(none) {
        let message = "the pipeline has no stages";
        report.push(
            Diagnostic::new(stages.location, message, "nothing to run")
                .hint("`restage init` shows a small working pipeline"),
        );
    }
}

fn is_empty(stages: &Value) -> bool {
    matches!(stages, Value::Map(entries) if entries.is_empty())
}

struct Reader<'a> {
    file_name: &'a str,
    text: FileText<'a>,
    common: Common<'a>,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// All instances of one stage.
    fn stage(&mut self, entry: &Entry, scope: Scope<'_>) -> Vec<Stage> {
        let group = &scope.place.name(&entry.key);
        let owner = format!("stage `{}`", printable(group));
        names::check("stage", &entry.key, entry.key_location, self.report);
        let Some(known) = STAGE.check(&entry.value, &owner, self.report) else {
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
            let stand_in = Node::new(Value::Number(0.into()), entry.key_location);
            let scope = Scope {
                instance: Instance::Unknown,
                seed: entry.value.get("seeds").map(|_| &stand_in),
                ..scope
            };
            self.instance(entry, &owner, known, group.clone(), scope);
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
                stages.extend(self.instance(entry, &owner, known, name, scope));
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
        let templates = Templates {
            file: self.text,
            scope,
            owner,
        };
        let instance = stage::Instance {
            templates,
            entry,
            name,
            fields_known,
            file_name: self.file_name,
            common: self.common,
        };
        stage::read(instance, self.report)
    }
}

/// A variable that one stage keeps secret and another declares as `env` or `pass_env` would stand in
/// the other's key, or in what it prints, for all to see.
pub(crate) fn no_secret_is_shown(stages: &[Stage], report: &mut Vec<Diagnostic>) {
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
        let passed_on = passed_on.map(|(name, _)| (name, "env"));
        for (name, field) in passed_on.chain(stage.pass_env.iter().map(|name| (name, "pass_env"))) {
            let Some((group, at)) = secrets.get(name) else {
                continue;
            };
            let message = format!(
                "stage `{}` has `{name}` as `{field}`, which is a secret of stage `{group}`",
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
