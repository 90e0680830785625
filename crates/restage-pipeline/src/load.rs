//! From the file's text to the validated pipeline: every mistake is collected on the way.
//! It opens no file, and leaves it to the graph whether the stages fit together.

use super::claim::{self, CLAIM};
use super::compare::{self, COMPARE};
use super::copied_params;
use super::data::{self, DATA};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::environment::{self, ENVIRONMENT};
use super::export::{self, EXPORT};
use super::expression::CheckExpression;
use super::fields::{About, Field, Kind, Mapping, expected, expected_of, missing};
use super::include::{self, Included, Opener};
use super::isolation;
use super::node::{Entry, Node, Value};
use super::params;
use super::params_files::{self, is_yaml};
use super::pipeline::Pipeline;
use super::profiles;
use super::programs::{self, PROGRAMS};
use super::report::{self, REPORT};
use super::schema_version::{self, SCHEMA};
use super::script::{self, SHELL};
use super::sources::{FileText, Named, OpenFile, Source};
use super::stage::{self, Common, STAGE};
use super::stages;
use super::table_formats::{self, TABLES};
use super::template::{Instance, Place, Scope, Templates};
use super::yaml;
use super::yaml_1_1::{OtherReading, other_readings};
use restage_core::rel_path::RelPath;

/// Reads a field at the top of the file.
type Read = fn(&mut Loader<'_>, &mut Pipeline, &Entry);

/// The file itself. What has no reader is read first, since all others depend on it.
pub(crate) static FILE: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["metrics", "plots", "artifacts"],
            "list such files under their stage's `outs`; `compare` says how CSV files must match",
        )],
        ..About::new(
            "File",
            "The file",
            "a top-level",
            "An experiment for restage: parameters, profiles, stages, and how results are compared.",
        )
    },
    fields: &[
        (
            Field::required(
                "schema",
                Kind::Constant(SCHEMA),
                "write `schema: 1` as the first line",
                "Version of this format.",
            )
            .example("schema: 1")
            .words(&["version", "schema_version"]),
            None,
        ),
        (
            Field::required(
                "name",
                Kind::Filled,
                "write `name: my-experiment`",
                "The experiment's name.",
            )
            .words(&["title", "experiment", "project"]),
            Some(|loader, pipeline, entry| loader.name(pipeline, &entry.value)),
        ),
        (
            Field::optional(
                "params",
                Kind::Tree,
                "none",
                "Parameters and their defaults, any tree. Templates can use all of them; a stage is \
                 given those that it declares. `-S a.b=value` changes one on the command line. `from` in it \
                 lists YAML, JSON and TOML files whose maps are parameters too: a later file lies over an earlier one, \
                 and what is written here over all of them. An edit there reruns what declares the \
                 changed values. Top-level keys `profile`, `key` and `item` of a file are passed over.",
            )
            .example("params:\n  from: [params.yaml]\n  seed: 42\n  train: {epochs: 30, rate: 1e-3}")
            .words(&["vars", "variables", "parameters", "config"]),
            None,
        ),
        (
            Field::optional(
                "copied_params",
                Kind::ByName(&Kind::OneOf(&[Kind::Text, Kind::Tree])),
                "none",
                "Files whose values `restage init --from dvc.yaml` wrote into the pipeline: dotted paths with the values \
                 that are written (`a.*`: the keys of `a`), or the blake3 of the whole file. An edit there has no effect here: \
                 `status` and `reproduce` warn of one.",
            )
            .example("copied_params: {params.yaml: {layers.0: 64}}"),
            Some(|loader, pipeline, entry| {
                copied_params::read(&entry.value, pipeline, loader.scope.named, loader.report);
            }),
        ),
        (
            Field::optional(
                "profiles",
                Kind::ByName(&Kind::OrNull(&Kind::Tree)),
                "one, called `default`",
                "Named changes to the parameters: maps are merged, everything else is replaced. A \
                 profile can only change parameters that exist.",
            )
            .example("profiles:\n  quick: {train: {epochs: 2}}\n  paper:\ndefault_profile: quick")
            .words(&["profile", "configs"]),
            None,
        ),
        (
            Field::sometimes(
                "default_profile",
                Kind::Text,
                "if there are `profiles`",
                "The profile that is used without `--profile`.",
            ),
            None,
        ),
        (
            Field::optional(
                "include",
                Kind::ByName(&Kind::Text),
                "none",
                "Other pipeline files, by the names under which they are included: of `prep`, stage `clean` is \
                 `prep.clean` here, parameter `size` is `prep.size`, which `params` and `profiles` here can \
                 change, and claims have such names too. Paths in the file are relative to its own folder, in \
                 which its commands run, so that it also works alone; `..` leads as far as this pipeline's \
                 folder. Of a profile of the same name it takes what it says. Its `report`, `export` and \
                 `default_profile` hold only where it is run alone.",
            )
            .example("include: {prep: prep/pipeline.yaml}")
            .words(&["includes", "import", "imports", "modules", "module", "subworkflows"]),
            None,
        ),
        (
            Field::optional(
                "programs",
                Kind::Map(&PROGRAMS),
                "the cargo workspace in the pipeline's folder",
                "Where the packages of `program:` stages are built.",
            )
            .words(&["program", "cargo", "packages", "crates"]),
            Some(|loader, pipeline, entry| {
                pipeline.programs = programs::read(entry, loader.report);
            }),
        ),
        (
            Field::optional(
                "isolation",
                isolation::RULE,
                "auto",
                "How far stages are kept apart from the rest of the machine. `auto`: as far as it \
                 allows; what it refuses is said once a run. `required`: wholly, or nothing runs. \
                 `none`: not at all. A stage may say something else for itself.",
            )
            .example("isolation: required")
            .words(&["sandbox", "isolate", "isolated", "namespaces"]),
            Some(|loader, pipeline, entry| {
                let rule = isolation::read_rule(&entry.value, "the pipeline", loader.report);
                pipeline.isolation = rule.unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "shell",
                SHELL,
                "`bash`",
                "What reads the `cmd` of every stage that has no `shell` of its own. Part of their \
                 keys.",
            )
            .example("shell: sh"),
            Some(|loader, pipeline, entry| {
                let shell = script::read(entry, "the pipeline", loader.report);
                pipeline.shell = shell.unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "pass_env",
                Kind::List(&Kind::Text),
                "none",
                "Names of the caller's variables that every stage is given, and on which no result \
                 depends: proxies, and where downloads are kept. They are part of no key.",
            )
            .example("pass_env: [https_proxy, no_proxy, HF_HOME, TORCH_HOME, UV_CACHE_DIR]"),
            Some(|loader, pipeline, entry| loader.pass_env(pipeline, entry)),
        ),
        (
            Field::optional(
                "data",
                Kind::ByName(&Kind::Map(&DATA)),
                "none",
                "Files and folders that no stage makes and that lie outside the pipeline's folder, by name.",
            )
            .example("data:\n  imagenet: {path: /data/imagenet, place: data/imagenet}")
            .words(&["datasets", "dataset", "inputs", "sources", "external"]),
            Some(|loader, pipeline, entry| {
                let templates = loader.templates("`data`");
                let declared = data::read(entry, &templates, loader.file_name, loader.report);
                pipeline.data = declared.data;
                pipeline.stages = declared.downloads;
            }),
        ),
        (
            Field::optional(
                "environments",
                Kind::ByName(&Kind::Map(&ENVIRONMENT)),
                "stages run with the programs that `PATH` finds, which are in no key",
                "The software that stages run in, by name: a stage says `in: NAME`.",
            )
            .example("environments:\n  py: {uv: pyproject.toml}\ndefault_environment: py")
            .words(&["environment", "envs", "containers", "images", "conda", "venv"]),
            Some(|loader, pipeline, entry| {
                let (file, scope) = (loader.text, loader.scope);
                pipeline.environments = environment::read(entry, file, scope, loader.report);
            }),
        ),
        (
            Field::optional(
                "default_environment",
                Kind::Text,
                "none",
                "The environment of every stage with a `cmd` or `notebook` that does not say `in`.",
            )
            .words(&["environment_default"]),
            Some(|loader, pipeline, entry| {
                let all = &pipeline.environments;
                pipeline.default_environment = environment::default(entry, all, loader.report);
            }),
        ),
        (
            Field::required(
                "stages",
                Kind::ByName(&Kind::Map(&STAGE)),
                "write `stages:` with at least one stage, or `stages: {}` where all are in files under `include`; \
                 `restage init` shows how",
                "What is run, by name.",
            )
            .example(
                "stages:\n  summary:\n    cmd: sort data.csv > sorted.csv\n    deps: [data.csv]\n    outs: [sorted.csv]",
            )
            .words(&["jobs", "tasks", "steps", "rules", "targets", "stage"]),
            Some(|loader, pipeline, entry| {
                let common = Common {
                    shell: &pipeline.shell,
                    pass_env: &pipeline.pass_env,
                    environments: &pipeline.environments,
                    environment: pipeline.default_environment.as_ref(),
                };
                let (text, scope, file) = (loader.text, loader.scope, loader.file_name);
                let stages = stages::read(entry, text, scope, file, common, loader.report);
                pipeline.stages.extend(stages);
            }),
        ),
        (
            Field::optional(
                "tables",
                Kind::List(&Kind::Map(&TABLES)),
                "their names and headers say it",
                "How tables are written that their names do not tell of. If several items match a \
                 file, the last one counts.",
            )
            .example("tables: [{files: \"data/*.csv\", decimal: \",\"}]")
            .words(&["table", "csv", "format", "formats"]),
            Some(|loader, pipeline, entry| {
                let templates = loader.templates("`tables`");
                pipeline.tables = table_formats::read(entry, &templates, loader.report);
            }),
        ),
        (
            Field::optional(
                "compare",
                Kind::List(&Kind::Map(&COMPARE)),
                "no table is compared",
                "How `restage compare` compares result tables. If several rules match a file, later \
                 ones override earlier ones.",
            )
            .words(&["comparison", "comparisons"]),
            Some(|loader, pipeline, entry| {
                let templates = loader.templates("`compare`");
                pipeline.compare = compare::read(entry, &templates, loader.report);
            }),
        ),
        (
            Field::optional(
                "claims",
                Kind::ByName(&Kind::Map(&CLAIM)),
                "none",
                "What the paper says, by name. `restage claims` compares it with the results.",
            )
            .words(&["claim", "assertions", "checks"]),
            Some(|loader, pipeline, entry| {
                let (text, scope, check) = (loader.text, loader.scope, loader.check_expression);
                pipeline.claims = claim::read(entry, text, scope, check, loader.report);
            }),
        ),
        (
            Field::optional(
                "export",
                Kind::Map(&EXPORT),
                "`restage export` knows only what was recorded",
                "What other tools are shown of the results.",
            )
            .words(&["exports", "tensorboard"]),
            Some(|loader, pipeline, entry| {
                let templates = loader.templates("`export`");
                pipeline.export = export::read(entry, &templates, loader.report);
            }),
        ),
        (
            Field::optional(
                "report",
                Kind::Map(&REPORT),
                "`restage report` has nothing to write",
                "The page that shows the results.",
            )
            .words(&["reports", "page", "html"]),
            Some(|loader, pipeline, entry| {
                let templates = loader.templates("`report`");
                pipeline.report = report::read(entry, &templates, loader.report);
            }),
        ),
    ],
};

/// How to read a pipeline.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// `--profile`; otherwise the file's `default_profile`.
    pub profile: Option<String>,
    /// `-S`: `key=value` each, in order.
    pub overrides: Vec<String>,
    /// Finds mistakes in the expressions of claims.
    pub check_expression: CheckExpression,
    /// Opens the files that the pipeline names.
    pub open: OpenFile,
}

impl Default for LoadOptions {
    /// The default profile, no overrides; expressions are not looked at, and there are no other files.
    fn default() -> Self {
        Self {
            profile: None,
            overrides: Vec::new(),
            check_expression: |_, _| Ok(()),
            open: OpenFile::default(),
        }
    }
}

/// Reads and checks a pipeline. The file is not opened: its text is given, and its name for
/// messages.
///
/// # Errors
/// Everything wrong with it, at once; but of a text that is not YAML, or of another schema,
/// only that.
pub fn load(file_name: &str, text: &str, options: &LoadOptions) -> Result<Pipeline, Diagnostics> {
    let mut report = Vec::new();
    let named = Named::of(file_name, options.open.clone());
    let pipeline = yaml::parse(text, &mut report)
        .and_then(|root| pipeline(file_name, text, &root, options, &named, &mut report));
    match pipeline {
        Some(pipeline) if report.is_empty() => Ok(pipeline),
        _ => Err(Diagnostics::new(file_name, text, report).with(&named.sources())),
    }
}

fn pipeline(
    file_name: &str,
    text: &str,
    root: &Node,
    options: &LoadOptions,
    named: &Named,
    report: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    if let Value::Null = root.value {
        let message = format!("`{file_name}` is empty");
        report.push(
            Diagnostic::new(root.location, message, "nothing here")
                .hint("`restage init` writes a small working pipeline"),
        );
        return None;
    }
    if !schema_version::fits(root, report) {
        return None;
    }
    if FILE.check(root, "the pipeline", report)? {
        incomplete(root, report);
    }
    let own_name = file_name.rsplit('/').next().unwrap_or(file_name);
    let mut opener = Opener {
        named,
        is_field: |word| FILE.fields.iter().any(|(field, _)| field.name == word),
        open: RelPath::new(own_name).into_iter().collect(),
    };
    let included = opener.files(root, Place::default(), report);
    let from_files = params_files::read(root, Place::default(), named, report);
    let (included, from_files) = (included?, from_files?);
    let parts: Vec<&Included> = included.iter().flat_map(Included::all).collect();
    for part in &parts {
        // What is missing in it, such as stages, may be all that it is for.
        if !schema_version::fits(&part.root, report)
            || FILE.check(&part.root, "the pipeline", report).is_none()
        {
            return None;
        }
    }
    let profile = profiles::choose(root, file_name, options.profile.as_deref(), report);
    let below = include::given(root, &included, &from_files, &profile, report);
    let params = profiles::params(root, &profile, &options.overrides, &below, report);
    let mut other_readings = readings(root, text, &from_files, named);
    let mut pipeline = Pipeline {
        profile: profile.clone(),
        profiles: profiles::names(root),
        params: params.to_json(),
        ..Pipeline::default()
    };
    let mut loader = Loader {
        file_name,
        text: FileText { number: 0, text },
        scope: Scope {
            profile: &profile,
            params: &params,
            instance: Instance::Single,
            seed: None,
            named,
            place: Place::default(),
        },
        check_expression: options.check_expression,
        report,
    };
    for (read, entry) in FILE.present(root) {
        read(&mut loader, &mut pipeline, entry);
    }
    stages::are_there(root, parts.iter().map(|part| &part.root), loader.report);
    for part in &parts {
        let Ok(own) = params::find(&params, &part.namespace) else {
            continue;
        };
        loader.text = FileText {
            number: part.number,
            text: &part.text,
        };
        loader.scope.params = own;
        loader.scope.place = part.place();
        let mut taken = Pipeline::default();
        for (read, entry) in FILE.present(&part.root) {
            if include::TAKEN.contains(&entry.key.as_str()) {
                read(&mut loader, &mut taken, entry);
            }
        }
        let says_isolation = part.root.get("isolation").is_some();
        merge(&mut pipeline, taken, says_isolation, part.place());
        other_readings.extend(readings(&part.root, &part.text, &[], named));
    }
    stages::no_secret_is_shown(&pipeline.stages, report);
    no_stage_writes_them(&pipeline, named, report);
    pipeline.other_readings = other_readings;
    pipeline.sources = named.sources();
    for stage in &mut pipeline.stages {
        let file = Source::at(&pipeline.sources, stage.location);
        stage.file = file.map(|file| file.name.clone());
    }
    Some(pipeline)
}

/// Adds what an included file says to the whole.
fn merge(pipeline: &mut Pipeline, part: Pipeline, says_isolation: bool, place: Place<'_>) {
    for mut stage in part.stages {
        if says_isolation && stage.isolation.is_none() {
            stage.isolation = Some(part.isolation);
        }
        let common = pipeline.pass_env.iter();
        let common =
            common.filter(|name| !stage.env.contains_key(*name) && !stage.has_secret(name));
        stage.pass_env.extend(common.cloned().collect::<Vec<_>>());
        pipeline.stages.push(stage);
    }
    pipeline.tables.extend(part.tables);
    pipeline.compare.extend(part.compare);
    pipeline.claims.extend(part.claims);
    let copied = part.copied_params.into_iter();
    let copied = copied.map(|(path, digest)| (place.below(&path), digest));
    pipeline.copied_params.extend(copied);
}

/// A file that the pipeline itself consists of is read before any stage runs: what a stage would write
/// there comes too late.
fn no_stage_writes_them(pipeline: &Pipeline, named: &Named, report: &mut Vec<Diagnostic>) {
    for mention in named.mentions() {
        let path = &mention.path;
        let writer = pipeline.stages.iter().find_map(|stage| {
            let mut outs = stage.outs.iter();
            Some((stage, outs.find(|out| path.is_within(&out.path))?))
        });
        let Some((stage, out)) = writer else {
            report.extend(mention.missing);
            continue;
        };
        let message = format!(
            "`{path}` is {}, and stage `{}` writes it",
            mention.what, stage.name
        );
        report.push(
            Diagnostic::new(mention.at, message, "read before any stage runs")
                .note_at(format!("`{}` writes `{}`", stage.name, out.path), out.location)
                .hint(
                    "make it before restage is called, and remove it from `outs`; where only a stage knows \
                     how many there are, let one stage read the whole folder that it writes",
                ),
        );
    }
}

/// Values that other readers of YAML see otherwise, wherever the parameters are written.
fn readings(root: &Node, text: &str, from_files: &[Node], named: &Named) -> Vec<OtherReading> {
    let fields = ["params", "profiles"].iter();
    let here = fields.filter_map(|field| root.get(field));
    let mut found: Vec<OtherReading> = here.flat_map(|node| other_readings(node, text)).collect();
    let sources = named.sources();
    for node in from_files {
        // A key in JSON is text to everybody.
        let source = Source::at(&sources, node.location)
            .filter(|source| is_yaml(&source.name) && !source.name.ends_with(".json"));
        found.extend(
            source
                .into_iter()
                .flat_map(|source| other_readings(node, &source.text)),
        );
    }
    found
}

/// Reads what depends on the parameters.
pub(crate) struct Loader<'a> {
    file_name: &'a str,
    text: FileText<'a>,
    scope: Scope<'a>,
    check_expression: CheckExpression,
    report: &'a mut Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn templates(&self, owner: &'a str) -> Templates<'a> {
        Templates {
            file: self.text,
            scope: self.scope,
            owner,
        }
    }

    fn pass_env(&mut self, pipeline: &mut Pipeline, entry: &Entry) {
        let owner = "the pipeline";
        let Value::List(items) = &entry.value.value else {
            let error = expected(&entry.value, "pass_env", owner, "a list of names");
            self.report.push(error.hint("write `pass_env: [NAME]`"));
            return;
        };
        for item in items {
            let Value::Text(name) = &item.value else {
                let subject = "an item of `pass_env`";
                self.report.push(expected_of(item, subject, owner, "text"));
                continue;
            };
            if stage::is_variable(owner, "pass_env", name, item.location, self.report) {
                pipeline.pass_env.insert(name.clone());
            }
        }
    }

    fn name(&mut self, pipeline: &mut Pipeline, node: &Node) {
        match &node.value {
            Value::Text(name) if !name.trim().is_empty() => pipeline.name.clone_from(name),
            _ => self
                .report
                .push(expected(node, "name", "the pipeline", "text")),
        }
    }
}

/// Reports the fields that the file must have and lacks.
fn incomplete(root: &Node, report: &mut Vec<Diagnostic>) {
    let first = root.entries().first();
    let at = first.map_or(root.location, |entry| entry.key_location);
    for (field, hint) in FILE.missing(root) {
        let error = missing(at, "the pipeline", field, hint);
        let label = format!("{} next to this", error.label);
        report.push(Diagnostic { label, ..error });
    }
}
