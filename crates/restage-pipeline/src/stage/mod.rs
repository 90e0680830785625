//! One stage: its fields, and an instance read from them.
//! It knows neither other stages nor how instances came about.

mod action;
mod files;
mod notebook;
mod reader;
mod requires;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::environment::{Environment, Environments};
use super::expand::{FOREACH, MATRIX};
use super::fields::{About, Field, Key, Kind, Mapping, TEMPLATE};
use super::isolation;
use super::node::{Entry, Node, Value};
use super::paths;
use super::pipeline::{Action, Requires, Stage};
use super::script::{self, SHELL, Shell};
use super::seeds::SEEDS;
use super::template::Templates;
use files::{DEP, NO_OUTS, OUT};
use reader::StageReader;
use requires::REQUIRES;
use restage_core::span::Location;
use settings::RESOURCES;
pub(crate) use settings::is_variable;

/// Reads a field that is not empty into an instance.
type Read = fn(&mut StageReader<'_>, &mut Stage, &Entry);

/// How often a failed stage can be tried again.
const MOST_RETRIES: u32 = 1_000;

const TEXTS: Kind = Kind::OneOf(&[Kind::List(&Kind::Text), TEMPLATE]);
const SCALARS: Kind = Kind::OneOf(&[Kind::List(&Kind::Scalar), TEMPLATE]);
const COMMAND: Kind = Kind::OneOf(&[
    Kind::Filled,
    Kind::Named("a list of commands", &Kind::Some(&Kind::Filled)),
]);
const DEPS: Kind = Kind::OneOf(&[
    Kind::List(&Kind::OneOf(&[
        Kind::Named("a path or pattern", &Kind::Text),
        Kind::Map(&DEP),
    ])),
    TEMPLATE,
]);
const OUTS: Kind = Kind::OneOf(&[
    Kind::List(&Kind::OneOf(&[
        Kind::Named("a path", &Kind::Text),
        Kind::Map(&OUT),
    ])),
    TEMPLATE,
]);
const ENV: Kind = Kind::OneOf(&[
    Kind::ByName(&Kind::OrNull(&Kind::Scalar)),
    Kind::List(&Kind::Text),
]);

/// `env` and `pass_env` are read before `secret`, `program` before `args`, and `shell` before `cmd`:
/// the later looks at the earlier.
/// `super::stages` makes instances of what `foreach`, `matrix` and `seeds` say.
pub(crate) static STAGE: Mapping<Read> = Mapping {
    about: About {
        one_of: &[&["program"], &["cmd"], &["notebook"]],
        instead: INSTEAD,
        ..About::new(
            "Stage",
            "A stage",
            "a stage",
            "A command with everything that it reads and writes. It starts in an empty folder that \
             holds its `deps` at their paths, and nothing else; what it leaves at the paths of its \
             `outs` is kept.\n\nA stage runs if its key changed: a digest of what it runs, the \
             content of its deps, and the fields marked below.",
        )
    },
    fields: &[
        (
            Field::optional("desc", Kind::Text, "none", "A line for people.")
                .key(Key::Outside)
                .words(&["description", "doc", "comment", "title"]),
            Some(|reader, stage, entry| stage.desc = reader.text(&entry.value, "`desc`")),
        ),
        (
            Field::optional(
                "foreach",
                FOREACH,
                "a single instance",
                "Makes an instance for each entry of a map, each item of a list or each row of a table. \
                 In the stage's other fields `${key}` is the entry's name (for a list: the item as \
                 text; for a table: the row's cell in the column `key`) and `${item}` its value. \
                 Instances are called `train@small`.",
            )
            .key(Key::Outside)
            .example("foreach: ${models}   # or [small, large], or {small: {depth: 3}}, or {table: samples.csv, key: sample}")
            .words(&["for_each", "for", "each"]),
            None,
        ),
        (
            Field::optional(
                "matrix",
                Kind::Map(&MATRIX),
                "a single instance",
                "Makes an instance for each combination of its axes' values: `${item.AXIS}` is a \
                 value, `${key}` all of them, joined by `-`. Not together with `foreach`.",
            )
            .key(Key::Outside)
            .words(&["strategy", "product"]),
            None,
        ),
        (
            Field::optional(
                "seeds",
                SEEDS,
                "no seed",
                "Makes an instance for each seed, of every instance that `foreach` or `matrix` \
                 makes: `5` stands for the parameter `seed` and the next four integers. `${seed}` \
                 and the parameter `seed` are then the instance's own. Instances are called \
                 `train@small+43`.",
            )
            .key(Key::Outside)
            .example("seeds: 5   # or [42, 7], or ${seeds}")
            .words(&["seed", "n_seeds", "repeat", "repeats", "repetitions"]),
            None,
        ),
        (
            Field::sometimes(
                "program",
                Kind::Filled,
                "unless there is `cmd` or `notebook`",
                "A crate of this workspace, which cargo builds. Its code, with that of the crates \
                 it depends on, is part of the stage's key.",
            )
            .key(Key::Part)
            .words(&["crate", "package", "bin", "binary", "executable"]),
            Some(|reader, stage, entry| reader.program(stage, entry)),
        ),
        (
            Field::optional("args", SCALARS, "none", "Arguments of `program`.")
                .key(Key::Part)
                .example("args: [--depth, \"${item.depth}\"]")
                .words(&["arguments", "argv", "arg"]),
            Some(|reader, stage, entry| reader.args(stage, entry)),
        ),
        (
            Field::optional(
                "shell",
                SHELL,
                "the pipeline's `shell`",
                "What reads `cmd`: `bash` stands for `bash --noprofile --norc -eo pipefail -c`, `sh` \
                 for `/bin/sh -e -c`, for containers without bash; a list has the words before the \
                 command. In a language other than a shell's, templates take only plain words and \
                 numbers.",
            )
            .key(Key::Part)
            .example("shell: [python3, -c]")
            .words(&["interpreter"]),
            Some(|reader, _, entry| {
                if let Some(shell) = script::read(entry, reader.owner(), reader.report) {
                    reader.shell = shell;
                }
            }),
        ),
        (
            Field::sometimes(
                "cmd",
                COMMAND,
                "unless there is `program` or `notebook`",
                "One or several lines for `bash -eo pipefail`: a line that fails, or a program in a \
                 pipe that fails, fails the stage. The commands of a list run one after another, \
                 each in a shell of its own, until one fails. Values that templates put in are \
                 quoted for the place where they stand, or refused where that is not clear. Comments, \
                 indentation, empty lines and repeated blanks outside quotes do not count for the \
                 key of a plain command.",
            )
            .key(Key::Part)
            .example("cmd: python3 plot.py --title ${name} > plot.svg   # or a list of commands")
            .words(&["command", "commands", "run", "script", "exec", "sh"]),
            Some(|reader, stage, entry| reader.cmd(stage, entry)),
        ),
        (
            Field::sometimes(
                "notebook",
                Kind::Filled,
                "unless there is `program` or `cmd`",
                "A Jupyter notebook, which papermill runs, in the notebook's folder. Sources, kinds and tags \
                 of its cells and the names of its kernel and language are part of the key, and are all that \
                 it is given: opening and saving it changes nothing. The stage's `params` become variables, in \
                 a cell after the one that is tagged `parameters`. An out that ends in `.ipynb`, which must \
                 be `volatile`, is the executed notebook.",
            )
            .key(Key::Part)
            .example("notebook: analysis.ipynb")
            .words(&["ipynb", "papermill", "jupyter"]),
            Some(|reader, stage, entry| reader.notebook(stage, entry)),
        ),
        (
            Field::optional(
                "deps",
                DEPS,
                "none",
                "Files, folders and patterns (`*`, `?`, `[..]`, `{a,b}`, `**`) that it reads. A \
                 path that another stage writes makes that stage run first; a path inside a folder that \
                 it writes depends on that part alone. Patterns match the \
                 outs of other stages, and files that no stage wrote; what runs wrote for other \
                 profiles, other pipeline files, or stages and seeds that are gone does not match, nor \
                 does a file in another stage's folder. A pattern that matches nothing is an \
                 error, unless it is `optional`.",
            )
            .key(Key::Part)
            .example("deps: [data/train.csv, \"results/*/summary.csv\"]")
            .words(&[
                "depends_on",
                "dependson",
                "depends",
                "dependencies",
                "dependency",
                "inputs",
                "input",
                "needs",
                "requires",
                "dep",
                "sources",
            ]),
            Some(|reader, stage, entry| reader.deps(stage, entry)),
        ),
        (
            Field::optional(
                "params",
                TEXTS,
                "none",
                "Dotted paths of the parameters that it is given, as JSON in the file that \
                 `RESTAGE_PARAMS_FILE` names, and in the variable `RESTAGE_PARAMS` if they are \
                 shorter than 128 KiB. Only these are part of its key.",
            )
            .key(Key::Part)
            .example("params: [train.epochs, \"models.${key}\"]")
            .words(&["parameters", "param", "hyperparameters", "config"]),
            Some(|reader, stage, entry| reader.params(stage, entry)),
        ),
        (
            Field::required(
                "outs",
                OUTS,
                NO_OUTS,
                "Files and folders that it writes, at least one. Each path belongs to one stage.",
            )
            .key(Key::Part)
            .example("outs:\n  - model.bin\n  - {path: timings.csv, volatile: true}")
            .words(&["outputs", "output", "out", "produces", "targets", "results"]),
            Some(|reader, stage, entry| reader.outs(stage, entry)),
        ),
        (
            Field::optional(
                "env",
                ENV,
                "none",
                "Environment variables: a value sets one, nothing (`NAME:`, or a list of names) \
                 passes the caller's value on. Names and values are part of the key.\n\nWithout it a \
                 stage has the caller's `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `TERM`, `TMPDIR`, \
                 `SSL_CERT_FILE` and `SSL_CERT_DIR`, which are part of no key, and what is the same \
                 everywhere: `TZ=UTC`, `LANG=C.UTF-8`, `LC_ALL=C.UTF-8` (unless `env` has a `LANG` \
                 or `LC_` of its own), `PYTHONHASHSEED=0`, `SOURCE_DATE_EPOCH=315532800` (1980), and \
                 `resources.cpu` as `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`, \
                 `BLIS_NUM_THREADS`, `NUMEXPR_NUM_THREADS`, `NUMBA_NUM_THREADS`, \
                 `VECLIB_MAXIMUM_THREADS` and `RAYON_NUM_THREADS`. `env` overrides all of these.",
            )
            .key(Key::Part)
            .example("env: {TZ: Europe/Berlin, LD_LIBRARY_PATH: ~}   # or [LD_LIBRARY_PATH]")
            .words(&["environment", "envs", "environ", "variables"]),
            Some(|reader, stage, entry| reader.env(stage, entry)),
        ),
        (
            Field::optional(
                "pass_env",
                TEXTS,
                "the pipeline's `pass_env`",
                "Names of the caller's variables that it is given in addition and on which no result \
                 depends: proxies, and where downloads are kept. Neither names nor values are part \
                 of the key. Where a value may change the result, use `env`.",
            )
            .key(Key::Outside)
            .example("pass_env: [https_proxy, HF_HOME]")
            .words(&["passenv", "env_pass", "passthrough"]),
            Some(|reader, stage, entry| reader.pass_env(stage, entry)),
        ),
        (
            Field::optional(
                "secret",
                TEXTS,
                "none",
                "Names of the caller's variables that it is given and that nobody may see. The \
                 names are part of the key; the values are not, are in no record, and appear as \
                 `***` where the stage prints them.",
            )
            .key(Key::Part)
            .example("secret: [API_TOKEN]")
            .words(&["secrets", "secret_env", "env_secret"]),
            Some(|reader, stage, entry| reader.secret(stage, entry)),
        ),
        (
            Field::optional(
                "in",
                Kind::Text,
                "the pipeline's `default_environment`, for a `cmd` or `notebook`",
                "The environment that it runs in, by its name under `environments`; `none`: in none. What is \
                 installed there is part of the key.",
            )
            .key(Key::Part)
            .words(&["within", "venv", "conda", "container", "image", "docker", "singularity"]),
            Some(|reader, stage, entry| reader.environment(stage, entry)),
        ),
        (
            Field::optional(
                "tools",
                TEXTS,
                "none",
                "Lines whose output is an input: if a tool says something else, the stage runs \
                 again. They are read by what reads `cmd`, or by `sh` if that is no shell, or for a \
                 `program`. They run whenever restage makes a plan, so they should be quick.",
            )
            .key(Key::Part)
            .example("tools: [python3 --version]")
            .words(&["tool", "versions", "tool_versions", "version_commands"]),
            Some(|reader, stage, entry| reader.tools(stage, entry)),
        ),
        (
            Field::optional(
                "resources",
                Kind::Map(&RESOURCES),
                "one core",
                "What it needs of the machine. As many stages run at once as the machine has room for.",
            )
            .key(Key::Outside)
            .example("resources: {cpu: 2, gpu: 1, mem: 2GiB}")
            .words(&["limits", "requirements"]),
            Some(|reader, stage, entry| stage.resources = reader.resources(&entry.value)),
        ),
        (
            Field::optional(
                "requires",
                Kind::Map(&REQUIRES),
                "nothing",
                "What not every machine has, and without what it is skipped instead of run: a graphics \
                 card, a variable, a licence file.",
            )
            .key(Key::Outside)
            .example("requires: {gpu: true}")
            .words(&["needs", "require", "only_if", "gate", "constraints"]),
            Some(|reader, stage, entry| stage.requires = reader.requires(entry)),
        ),
        (
            Field::optional(
                "isolation",
                isolation::RULE,
                "as the pipeline says",
                "How far it is kept apart from the rest of the machine: `auto`, as far as it \
                 allows; `required`, wholly, or nothing runs; `none`, not at all, for a command \
                 that makes mounts or containers as root: a process that leaves its group \
                 (`setsid`) then outlives it, it outlives a restage that is killed, and one that asks \
                 on the terminal waits there.",
            )
            .key(Key::Outside)
            .example("isolation: none")
            .words(&["sandbox", "isolate", "isolated", "namespaces"]),
            Some(|reader, stage, entry| {
                let owner = reader.owner();
                stage.isolation = isolation::read_rule(&entry.value, owner, reader.report);
            }),
        ),
        (
            Field::optional(
                "network",
                isolation::NETWORK,
                "host",
                "`none`: it reaches only itself (`localhost`). Where the machine can't do that, it \
                 is said, or with `isolation: required` an error.",
            )
            .key(Key::Outside)
            .example("network: none")
            .words(&["net", "internet", "offline"]),
            Some(|reader, stage, entry| {
                let owner = reader.owner();
                let offline = isolation::read_network(&entry.value, owner, reader.report);
                stage.offline = offline.unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "timeout",
                Kind::Named(
                    "a duration (`90s`, `12h`, `1h30m`), or seconds",
                    &Kind::Scalar,
                ),
                "none",
                "Wall time after which it is stopped, which is a failure.",
            )
            .key(Key::Outside)
            .words(&["time", "time_limit", "walltime", "deadline"]),
            Some(|reader, stage, entry| stage.timeout = reader.timeout(&entry.value)),
        ),
        (
            Field::optional(
                "retries",
                Kind::Count(0, MOST_RETRIES as u64),
                "0",
                "How often it is tried again after a failure.",
            )
            .key(Key::Outside)
            .words(&["retry", "attempts", "max_retries"]),
            Some(|reader, stage, entry| {
                let retries = reader.count(&entry.value, "retries", 0, MOST_RETRIES);
                stage.retries = retries.unwrap_or(0);
            }),
        ),
    ],
};

const INSTEAD: &[(&[&str], &str)] = &[
    (
        &[
            "cpu", "cpus", "gpu", "gpus", "mem", "memory", "threads", "cores",
        ],
        "it goes under `resources`, as in `resources: {cpu: 2, gpu: 0, mem: 2GiB}`",
    ),
    (
        &[
            "wdir",
            "cwd",
            "workdir",
            "working_dir",
            "working_directory",
            "dir",
        ],
        "a stage starts in a work folder that holds its deps at their paths; write `cd folder && ..` in `cmd`",
    ),
    (
        &["frozen", "disabled", "skip", "when", "if"],
        "name the stages to run on the command line instead: `restage reproduce STAGE`",
    ),
    (
        &["always_changed", "always", "cache", "force"],
        "a stage runs when something that it declares changes; `restage reproduce -f STAGE` forces it once",
    ),
    (
        &["metrics", "plots", "artifacts"],
        "list the files under `outs`; `compare` says how CSV files must match",
    ),
    (
        &["do"],
        "write the fields of a `foreach` stage next to `foreach`, not under `do`",
    ),
];

/// An instance of a stage, as it stands in the file.
pub(crate) struct Instance<'a> {
    pub(crate) templates: Templates<'a>,
    /// Under `stages`.
    pub(crate) entry: &'a Entry,
    /// `train@small+43`.
    pub(crate) name: String,
    /// No field was unknown, so one that is missing is reported too.
    pub(crate) fields_known: bool,
    /// Of the pipeline file: no stage may write it.
    pub(crate) file_name: &'a str,
    /// What the pipeline says for all stages.
    pub(crate) common: Common<'a>,
}

/// What holds for every stage that says nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) pass_env: &'a BTreeSet<String>,
    /// By name.
    pub(crate) environments: &'a Environments,
    /// Of those with a command.
    pub(crate) environment: Option<&'a Arc<Environment>>,
}

/// Reads an instance; `None` if a field was wrong, which was reported.
pub(crate) fn read(instance: Instance<'_>, report: &mut Vec<Diagnostic>) -> Option<Stage> {
    let before = report.len();
    let (node, at) = (&instance.entry.value, instance.entry.key_location);
    let mut stage = Stage {
        name: instance.name,
        group: instance.templates.scope.place.name(&instance.entry.key),
        key: instance.entry.key.clone(),
        folder: instance.templates.scope.place.folder.to_owned(),
        location: at,
        ..Stage::default()
    };
    let mut reader = StageReader {
        templates: instance.templates,
        node,
        file_name: instance.file_name,
        shell: instance.common.shell.clone(),
        environments: instance.common.environments,
        report,
    };
    for (read, entry) in STAGE.present(node) {
        if let Value::Null = entry.value.value {
            reader.empty(entry);
        } else {
            read(&mut reader, &mut stage, entry);
        }
    }
    let is_command = node.get("cmd").is_some() || node.get("notebook").is_some();
    if node.get("in").is_none() && is_command {
        reader.enter(&mut stage, instance.common.environment);
    }
    let common = instance.common.pass_env.iter();
    let common = common.filter(|name| {
        !stage.env.contains_key(*name) && stage.secrets.iter().all(|secret| secret.name != **name)
    });
    stage.pass_env.extend(common.cloned().collect::<Vec<_>>());
    reader.run_notebook(&mut stage);
    if instance.fields_known {
        incomplete(node, at, &mut reader);
    }
    paths::check_own(
        &stage.deps,
        &stage.outs,
        reader.templates.owner,
        reader.report,
    );
    // What an instance that is not known would need is missing in silence.
    let complete = reader.report.len() == before && stage.action != Action::default();
    complete.then_some(stage)
}

/// Reports what a stage must have and lacks.
fn incomplete(node: &Node, at: Location, reader: &mut StageReader<'_>) {
    let owner = reader.templates.owner;
    let what = ["program", "cmd", "notebook"];
    if what.iter().all(|field| node.get(field).is_none()) {
        let message = format!("{owner} does not say what to run");
        let error = Diagnostic::new(at, message, "has none of `cmd`, `program` and `notebook`");
        reader.report.push(error.hint(
            "add `cmd: <a line for bash>`, `notebook: <a file>`, or `program: <a crate of this workspace>`",
        ));
    }
    if node.get("outs").is_none() {
        reader.no_outs(at);
    }
}
