//! `environments:`, the software that stages run in, by name (docs/adr/0027).
//! It does not know what lock files say: they are on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Key, Kind, Mapping, expected, expected_of};
use super::layout;
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::sources::FileText;
use super::template::{Scope, Templates};
use restage_core::rel_path::RelPath;
use restage_core::span::Location;
use restage_core::suggest;

/// The word of a stage that runs in no environment although there is a default.
pub(crate) const NO_ENVIRONMENT: &str = "none";

/// Software that stages run in.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name, which is part of no key.
    pub name: String,
    /// How it is made.
    pub made: Made,
    /// Where its name stands in the file.
    pub location: Location,
}

/// How the software of an environment is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// By uv from the lock file beside a project's manifest.
    Uv {
        /// The project's `pyproject.toml`.
        project: RelPath,
        /// Groups of dependencies that are installed, too.
        groups: BTreeSet<String>,
        /// The project's extras that are installed, too.
        extras: BTreeSet<String>,
        /// The version of Python, such as `3.11`.
        python: Option<String>,
    },
    /// By Python's `venv` and pip from exact versions.
    Venv {
        /// The requirements file.
        requirements: RelPath,
        /// The version of Python.
        python: Option<String>,
    },
    /// An image that stages run in.
    Image {
        /// Its whole name, `docker.io/library/python@sha256:..`.
        image: String,
        /// What runs it.
        by: Runtime,
    },
    /// By nobody here: these lines say what there is.
    Tools(Vec<Tool>),
}

impl Environment {
    /// The file that says what is installed, if one does.
    #[must_use]
    pub fn lock_file(&self) -> Option<RelPath> {
        match &self.made {
            Made::Uv { project, .. } => {
                let folder = project.as_str().rsplit_once('/').map(|(folder, _)| folder);
                let path =
                    folder.map_or("uv.lock".to_owned(), |folder| format!("{folder}/uv.lock"));
                RelPath::new(&path).ok()
            }
            Made::Venv { requirements, .. } => Some(requirements.clone()),
            Made::Image { .. } | Made::Tools(_) => None,
        }
    }

    /// The image and what runs it, if stages run in one.
    #[must_use]
    pub fn image(&self) -> Option<(&str, Runtime)> {
        match &self.made {
            Made::Image { image, by } => Some((image, *by)),
            _ => None,
        }
    }
}

/// A command that says which version of a tool there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// A line for `sh -c`, templates filled in and quoted.
    pub line: String,
    /// Where it stands in the file.
    pub location: Location,
}

/// What runs containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    /// `podman run`.
    #[default]
    Podman,
    /// `docker run`.
    Docker,
    /// `apptainer exec`.
    Apptainer,
}

impl Runtime {
    /// The program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Apptainer => "apptainer",
        }
    }
}

const RUNTIMES: [&str; 3] = ["podman", "docker", "apptainer"];

type Read = fn(&mut Reader<'_>, &mut Draft, &Entry);

pub(crate) static ENVIRONMENT: Mapping<Read> = Mapping {
    about: About {
        one_of: &[&["uv"], &["venv"], &["image"], &["tools"]],
        instead: &[
            (
                &["conda", "pixi", "renv", "nix", "poetry", "pip", "spack"],
                "`tools: [..]` can list what is installed, such as `conda list --explicit` or `nix path-info`; `uv`, `venv` \
                 and `image` are made by restage",
            ),
            (
                &["packages", "dependencies"],
                "packages stand in the file that `uv` or `venv` names",
            ),
        ],
        ..About::new(
            "Environment",
            "An environment",
            "an environment",
            "The software that stages run in: one of `uv`, `venv`, `image` and `tools`. What is installed is part \
             of the key of each stage that runs in it; where that lies, and the environment's name, are not. It is made \
             once, when a stage is to run in it.",
        )
    },
    fields: &[
        (
            Field::sometimes(
                "uv",
                Kind::Filled,
                "unless there is `venv`, `image` or `tools`",
                "The `pyproject.toml` of a uv project; `uv.lock` lies beside it. The key has the packages that the lock \
                 file installs on this platform, with their hashes. The project itself is not installed: its code is \
                 among the `deps` of the stages. An edit of `pyproject.toml` counts once it is locked.",
            )
            .key(Key::Part)
            .example("environments:\n  py: {uv: pyproject.toml, groups: [plot]}")
            .words(&["pyproject", "project"]),
            Some(|reader, draft, entry| draft.uv = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "venv",
                Kind::Filled,
                "unless there is `uv`, `image` or `tools`",
                "A requirements file that names every package by `name==version`, with or without hashes, those too that \
                 others need: `pip freeze` and `uv pip compile` write one. Made by `python -m venv` and pip.",
            )
            .key(Key::Part)
            .example("environments:\n  py: {venv: requirements.txt, python: \"3.11\"}")
            .words(&["virtualenv", "requirements"]),
            Some(|reader, draft, entry| draft.venv = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "image",
                Kind::Filled,
                "unless there is `uv`, `venv` or `tools`",
                "A container image, named by its digest, in which commands run. They see the work folder at the \
                 workspace's path. `isolation` does not apply: the container keeps them apart.",
            )
            .key(Key::Part)
            .words(&["container", "docker", "singularity"]),
            Some(|reader, draft, entry| draft.image = reader.image(entry)),
        ),
        (
            Field::sometimes(
                "tools",
                Kind::List(&Kind::Text),
                "unless there is `uv`, `venv` or `image`",
                "Lines whose output says what is installed, as in `tools` of a stage. Nothing is made: the caller's \
                 `PATH` decides.",
            )
            .key(Key::Part)
            .example("environments:\n  r: {tools: [\"R --version\"]}")
            .words(&["tool", "versions"]),
            Some(|reader, draft, entry| draft.tools = Some(reader.tools(entry))),
        ),
        (
            Field::optional(
                "groups",
                Kind::List(&Kind::Text),
                "none, nor those that uv installs by default",
                "Groups of `[dependency-groups]` that `uv` installs, too.",
            )
            .key(Key::Part)
            .words(&["group"]),
            Some(|reader, draft, entry| draft.groups = reader.names(entry)),
        ),
        (
            Field::optional(
                "extras",
                Kind::List(&Kind::Text),
                "none",
                "Extras of `[project.optional-dependencies]` that `uv` installs, too.",
            )
            .key(Key::Part)
            .words(&["extra"]),
            Some(|reader, draft, entry| draft.extras = reader.names(entry)),
        ),
        (
            Field::optional(
                "python",
                Kind::Filled,
                "for `uv` what it chooses, for `venv` the `python3` of `PATH`",
                "The version of Python, `\"3.11\"` or `\"3.11.7\"`. The interpreter that is found first stays until it \
                 changes, or this does. Its version and ABI are part of the key.",
            )
            .key(Key::Part)
            .words(&["python_version", "interpreter"]),
            Some(|reader, draft, entry| draft.python = reader.python(entry)),
        ),
        (
            Field::optional(
                "by",
                Kind::Word(&RUNTIMES),
                "podman",
                "What runs the `image`.",
            )
            .key(Key::Outside)
            .words(&["runtime", "engine"]),
            Some(|reader, draft, entry| draft.by = reader.runtime(entry)),
        ),
    ],
};

/// What the fields of one environment say.
#[derive(Default)]
pub(crate) struct Draft {
    uv: Option<RelPath>,
    venv: Option<RelPath>,
    image: Option<String>,
    tools: Option<Vec<Tool>>,
    groups: BTreeSet<String>,
    extras: BTreeSet<String>,
    python: Option<String>,
    by: Option<Runtime>,
}

pub(crate) struct Reader<'a> {
    templates: Templates<'a>,
    report: &'a mut Vec<Diagnostic>,
}

/// Environments by name.
pub(crate) type Environments = BTreeMap<String, Arc<Environment>>;

/// Reads the map of environments.
pub(crate) fn read(
    entry: &Entry,
    file: FileText<'_>,
    scope: Scope<'_>,
    report: &mut Vec<Diagnostic>,
) -> Environments {
    let Value::Map(entries) = &entry.value.value else {
        let what = "a map of environments";
        let error = expected(&entry.value, "environments", "the pipeline", what);
        report.push(error.hint("write `environments:`, and below it `py: {uv: pyproject.toml}`"));
        return Environments::new();
    };
    let mut all = Environments::new();
    for entry in entries {
        let name = entry.key.as_str();
        names::check("environment", name, entry.key_location, report);
        if name == NO_ENVIRONMENT {
            let message = "`none` cannot be the name of an environment";
            let error = Diagnostic::new(entry.key_location, message, "means that there is none");
            report.push(error.hint("choose another name"));
        }
        let owner = format!("environment `{}`", printable(name));
        let mut reader = Reader {
            templates: Templates {
                file,
                scope,
                owner: &owner,
            },
            report,
        };
        if let Some(made) = reader.made(entry) {
            let environment = Environment {
                name: scope.place.name(name),
                made,
                location: entry.key_location,
            };
            all.insert(name.to_owned(), Arc::new(environment));
        }
    }
    all
}

/// The environment of stages that name none.
pub(crate) fn default(
    entry: &Entry,
    all: &Environments,
    report: &mut Vec<Diagnostic>,
) -> Option<Arc<Environment>> {
    let (owner, at) = ("the pipeline", entry.value.location);
    let Value::Text(name) = &entry.value.value else {
        let what = "an environment's name";
        report.push(expected(&entry.value, &entry.key, owner, what));
        return None;
    };
    named(name, at, &entry.key, owner, all, report)
}

/// The environment of this name; one that is not known is reported.
pub(crate) fn named(
    name: &str,
    at: Location,
    field: &str,
    owner: &str,
    all: &Environments,
    report: &mut Vec<Diagnostic>,
) -> Option<Arc<Environment>> {
    let found = all.get(name).cloned();
    if found.is_none() {
        let shown = printable(name);
        let message = format!("`{field}` of {owner} is `{shown}`, which is not an environment");
        let names = all.keys().map(String::as_str);
        let hint = suggest::hint_among(name, "the environments are", names);
        let hint = hint.unwrap_or_else(|| {
            format!("write `environments: {{{shown}: {{uv: pyproject.toml}}}}` above `stages:`")
        });
        report.push(Diagnostic::new(at, message, "not under `environments`").hint(hint));
    }
    found
}

impl Reader<'_> {
    fn made(&mut self, entry: &Entry) -> Option<Made> {
        let (owner, before) = (self.templates.owner, self.report.len());
        let known = ENVIRONMENT.check(&entry.value, owner, self.report)?;
        let mut draft = Draft::default();
        let mut kinds = Vec::new();
        for (read, field) in ENVIRONMENT.present(&entry.value) {
            if ENVIRONMENT
                .about
                .one_of
                .iter()
                .any(|set| set.contains(&field.key.as_str()))
            {
                kinds.push(field);
            }
            read(self, &mut draft, field);
        }
        match kinds[..] {
            [] if known => {
                let message = format!("{owner} does not say how it is made");
                let label = "has none of `uv`, `venv`, `image` and `tools`";
                let error = Diagnostic::new(entry.key_location, message, label);
                self.report
                    .push(error.hint("write `{uv: pyproject.toml}` or `{venv: requirements.txt}`"));
            }
            [first, second, ..] => {
                let message = format!("{owner} has both `{}` and `{}`", first.key, second.key);
                let error = Diagnostic::new(second.key_location, message, "it is made one way");
                let error = error.note_at(format!("`{}` is given", first.key), first.key_location);
                self.report
                    .push(error.hint("keep one, or make two environments of it"));
            }
            _ => {}
        }
        self.unused(entry);
        if self.report.len() > before {
            return None;
        }
        let Draft {
            groups,
            extras,
            python,
            ..
        } = draft;
        if let Some(project) = draft.uv {
            return Some(Made::Uv {
                project,
                groups,
                extras,
                python,
            });
        }
        if let Some(requirements) = draft.venv {
            return Some(Made::Venv {
                requirements,
                python,
            });
        }
        if let Some(image) = draft.image {
            let by = draft.by.unwrap_or_default();
            return Some(Made::Image { image, by });
        }
        draft.tools.map(Made::Tools)
    }

    /// Reports fields that mean nothing for this kind.
    fn unused(&mut self, entry: &Entry) {
        let owner = self.templates.owner;
        let node = &entry.value;
        for (field, kinds) in [
            ("groups", &["uv"][..]),
            ("extras", &["uv"]),
            ("python", &["uv", "venv"]),
            ("by", &["image"]),
        ] {
            if let Some(found) = node.entry(field)
                && !kinds.iter().any(|kind| node.get(kind).is_some())
            {
                let message = format!("{owner} has `{field}` without `{}`", kinds.join("` or `"));
                let error = Diagnostic::new(found.key_location, message, "means nothing here");
                self.report.push(error.hint("remove it"));
            }
        }
    }

    fn text(&mut self, entry: &Entry) -> Option<String> {
        if let Value::Text(_) = entry.value.value {
            let text = self.templates.text(&entry.value, self.report)?;
            if !text.trim().is_empty() {
                return Some(text);
            }
        }
        let owner = self.templates.owner;
        self.report
            .push(expected(&entry.value, &entry.key, owner, "text"));
        None
    }

    fn path(&mut self, entry: &Entry) -> Option<RelPath> {
        let text = self.text(entry)?;
        let text = self.templates.scope.place.below(&text);
        let (at, field, owner) = (entry.value.location, &entry.key, self.templates.owner);
        let wrong = |label: &str, hint: &str| {
            let message = format!("`{field}` of {owner} cannot be `{}`", printable(&text));
            Diagnostic::new(at, message, label).hint(hint)
        };
        let error = match RelPath::new(&text) {
            Ok(path) if field == "uv" && !path.as_str().ends_with("pyproject.toml") => wrong(
                "not a `pyproject.toml`",
                "name the project's manifest, such as `pyproject.toml`; `uv.lock` lies beside it",
            ),
            Ok(path) => return Some(path),
            Err(error) => wrong(
                &error.to_string(),
                "name a file below the pipeline's folder",
            ),
        };
        self.report.push(error);
        None
    }

    fn image(&mut self, entry: &Entry) -> Option<String> {
        let image = self.text(entry)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = image.split_once("@sha256:").is_some_and(|(name, digest)| {
            let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            starts && name.chars().all(plain) && digest.len() == 64 && digest.bytes().all(is_hex)
        });
        if valid {
            return Some(image);
        }
        let owner = self.templates.owner;
        let message = format!("`image` of {owner} is `{}`", printable(&image));
        let error = Diagnostic::new(entry.value.location, message, "not named by its digest");
        let name = image.split([':', '@']).next().unwrap_or_default();
        let name = printable(name);
        self.report.push(error.hint(format!(
            "a tag can mean another image tomorrow: write `{name}@sha256:` and 64 hexadecimal digits, as `podman image \
             inspect --format '{{{{.RepoDigests}}}}'` shows them"
        )));
        None
    }

    fn tools(&mut self, entry: &Entry) -> Vec<Tool> {
        let mut tools = Vec::new();
        for item in self.items(entry) {
            let Value::Text(_) = item.value else {
                let owner = self.templates.owner;
                let error = expected_of(&item, "an item of `tools`", owner, "text");
                self.report.push(error);
                continue;
            };
            if let Some(line) = self.templates.command(&item, self.report) {
                let line = layout::trimmed(&line).to_owned();
                let location = item.location;
                tools.push(Tool { line, location });
            }
        }
        tools
    }

    fn names(&mut self, entry: &Entry) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for item in self.items(entry) {
            let Value::Text(_) = item.value else {
                let (owner, subject) =
                    (self.templates.owner, format!("an item of `{}`", entry.key));
                self.report
                    .push(expected_of(&item, &subject, owner, "text"));
                continue;
            };
            names.extend(self.templates.text(&item, self.report));
        }
        names
    }

    fn items(&mut self, entry: &Entry) -> Vec<Node> {
        if let Value::List(items) = &entry.value.value
            && !items.is_empty()
        {
            return items.clone();
        }
        let owner = self.templates.owner;
        let what = "a list of at least one text";
        self.report
            .push(expected(&entry.value, &entry.key, owner, what));
        Vec::new()
    }

    fn python(&mut self, entry: &Entry) -> Option<String> {
        let value = self.templates.value(&entry.value, self.report)?;
        let owner = self.templates.owner;
        let (version, hint) = match &value.value {
            Value::Text(text) => (
                text.clone(),
                "write such as \"3.11\" or \"3.11.7\"".to_owned(),
            ),
            // 3.10 would be 3.1.
            Value::Number(_) => (
                String::new(),
                "put it in quotes, as in `python: \"3.11\"`: as a number 3.10 is 3.1".to_owned(),
            ),
            _ => (
                String::new(),
                "write such as \"3.11\" or \"3.11.7\"".to_owned(),
            ),
        };
        let parts: Vec<&str> = version.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if (1..=3).contains(&parts.len()) && parts.iter().all(digits) {
            return Some(version);
        }
        let error = expected(&value, "python", owner, "a version in quotes");
        let location = entry.value.location;
        self.report
            .push(Diagnostic { location, ..error }.hint(hint));
        None
    }

    fn runtime(&mut self, entry: &Entry) -> Option<Runtime> {
        let written = match &entry.value.value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        let found = match written {
            "podman" => Some(Runtime::Podman),
            "docker" => Some(Runtime::Docker),
            "apptainer" => Some(Runtime::Apptainer),
            _ => None,
        };
        if found.is_none() {
            let owner = self.templates.owner;
            let what = "`podman` or `docker` or `apptainer`";
            let hint =
                suggest::closest(written, RUNTIMES).map(|word| format!("did you mean `{word}`?"));
            let error = expected(&entry.value, "by", owner, what);
            self.report.push(error.maybe_hint(hint));
        }
        found
    }
}
