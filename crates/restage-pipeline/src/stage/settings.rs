//! What a stage is given: its environment, and its share of the machine.

use std::sync::Arc;
use std::time::Duration;

use super::reader::{StageReader, wrong_value};
use crate::diagnostic::Diagnostic;
use crate::environment::{self, Environment, Made, NO_ENVIRONMENT};
use crate::fields::{About, Field, Key, Kind, Mapping, expected};
use crate::node::{Entry, Node, Value, printable};
use crate::pipeline::{Action, Secret, Stage};
use crate::resources::{Cores, Gpus, Resources};
use crate::units;
use restage_core::span::Location;

type Read = fn(&mut StageReader<'_>, &mut Resources, &Node);

/// More cards than any machine has.
const MOST: u32 = Cores::MOST;

pub(super) static RESOURCES: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["time", "timeout", "walltime"],
            "`timeout` is a field of the stage, next to `resources`",
        )],
        ..About::new(
            "Resources",
            "A stage's resources",
            "a resource",
            "What is reserved while a stage runs.",
        )
    },
    fields: &[
        (
            Field::optional(
                "cpu",
                Kind::Scalar,
                "1",
                "Cores; `0` or a part of one (`0.5`) for a stage that mostly waits, such as a \
                 download. `OMP_NUM_THREADS` and its like say the same number, at least 1.",
            )
            .key(Key::Outside)
            .words(&["cpus", "cores", "threads", "ncpus"]),
            Some(|reader, resources, node| {
                resources.cpu = reader.cores(node).unwrap_or(resources.cpu);
            }),
        ),
        (
            Field::optional(
                "gpu",
                Kind::Named("a number of cards, or a device", &Kind::Scalar),
                "none is reserved, and the caller's `CUDA_VISIBLE_DEVICES` reaches the stage",
                "Graphics cards, which no other stage gets meanwhile; or a device as programs take \
                 it: `cpu`, `cuda`, `cuda:1`, or `auto`, one card if the machine has any. With `0` \
                 or `cpu` the stage sees none. The kind of the cards is part of the key.",
            )
            .key(Key::Outside)
            .words(&["gpus", "cuda"]),
            Some(|reader, resources, node| {
                resources.gpu = reader.gpus(node).unwrap_or(resources.gpu);
            }),
        ),
        (
            Field::optional(
                "mem",
                Kind::Named("a size (`2GiB`, `512MB`), or bytes", &Kind::Scalar),
                "no limit",
                "Memory. A stage is stopped if its processes together hold more.",
            )
            .key(Key::Outside)
            .words(&["memory", "ram", "mem_mb"]),
            Some(|reader, resources, node| resources.mem = reader.size(node)),
        ),
    ],
};

impl StageReader<'_> {
    pub(super) fn env(&mut self, stage: &mut Stage, entry: &Entry) {
        let mut pairs: Vec<(String, Location, Option<String>)> = Vec::new();
        match &entry.value.value {
            Value::Map(entries) => {
                for entry in entries {
                    let value = match entry.value.value {
                        Value::Null => None,
                        _ => match self.text(&entry.value, &format!("`env.{}`", entry.key)) {
                            Some(value) => Some(value),
                            None => continue,
                        },
                    };
                    pairs.push((entry.key.clone(), entry.key_location, value));
                }
            }
            Value::List(items) => {
                for item in items {
                    if let Some(name) = self.text(item, "an item of `env`") {
                        pairs.push((name, item.location, None));
                    }
                }
            }
            _ => {
                let error = expected(
                    &entry.value,
                    "env",
                    self.owner(),
                    "a map, or a list of names",
                );
                self.report.push(error.hint(
                    "write `env: {NAME: value}`, or `env: [NAME]` to pass the caller's value on",
                ));
            }
        }
        for (name, at, value) in pairs {
            if is_variable(self.owner(), "env", &name, at, self.report) {
                stage.env.insert(name, value);
            }
        }
    }

    /// Names of the caller's variables, none of which is in `env` too.
    pub(super) fn pass_env(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(name) = self.text(&item, "an item of `pass_env`") else {
                continue;
            };
            let owner = self.owner();
            if !is_variable(owner, "pass_env", &name, item.location, self.report) {
                continue;
            }
            if stage.env.contains_key(&name) {
                let message = format!("{owner} has `{name}` as `env` and as `pass_env`");
                self.report
                    .push(Diagnostic::new(item.location, message, "given twice").hint(
                    "keep `env` if results may depend on its value, `pass_env` if they never do",
                ));
            } else {
                stage.pass_env.insert(name);
            }
        }
    }

    /// Each once, and none that is in `env` or `pass_env` too.
    pub(super) fn secret(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(name) = self.text(&item, "an item of `secret`") else {
                continue;
            };
            let location = item.location;
            if !is_variable(self.owner(), "secret", &name, location, self.report) {
                continue;
            }
            if stage.env.contains_key(&name) {
                let message = format!("{} has `{name}` as `env` and as `secret`", self.owner());
                self.report.push(
                    Diagnostic::new(location, message, "what `env` holds can be seen by all")
                        .hint("remove it from `env`: a secret is given to the stage as well"),
                );
            } else if stage.pass_env.contains(&name) {
                let message = format!(
                    "{} has `{name}` as `pass_env` and as `secret`",
                    self.owner()
                );
                self.report.push(
                    Diagnostic::new(
                        location,
                        message,
                        "only a `secret` is hidden in what it prints",
                    )
                    .hint("remove it from `pass_env`: a secret is given to the stage as well"),
                );
            } else if stage.secrets.iter().all(|secret| secret.name != name) {
                stage.secrets.push(Secret { name, location });
            }
        }
    }

    /// The environment that the stage names.
    pub(super) fn environment(&mut self, stage: &mut Stage, entry: &Entry) {
        let Some(name) = self.text(&entry.value, "`in`") else {
            return;
        };
        if name == NO_ENVIRONMENT {
            return;
        }
        let (at, owner) = (entry.value.location, self.owner());
        let found = environment::named(&name, at, "in", owner, self.environments, self.report);
        let is_image = found.as_ref().is_some_and(|found| found.image().is_some());
        if let (Action::Program { .. }, true) = (&stage.action, is_image) {
            let message =
                format!("{owner} has a `program`, which can't run in the image of `{name}`");
            let error = Diagnostic::new(at, message, "cargo builds it for this machine");
            self.report.push(
                error.hint("run it in no environment, or write what runs in the image as `cmd`"),
            );
            return;
        }
        self.enter(stage, found.as_ref());
    }

    /// Puts a stage into an environment, if there is one.
    pub(super) fn enter(&mut self, stage: &mut Stage, environment: Option<&Arc<Environment>>) {
        let Some(environment) = environment else {
            return;
        };
        match &environment.made {
            // As if the stage had them.
            Made::Tools(tools) => stage.tools.extend(tools.iter().cloned()),
            _ => stage.environment = Some(Arc::clone(environment)),
        }
    }

    pub(super) fn resources(&mut self, node: &Node) -> Resources {
        let mut resources = Resources::default();
        let owner = format!("`resources` of {}", self.owner());
        RESOURCES.check(node, &owner, self.report);
        for (read, entry) in RESOURCES.present(node) {
            read(self, &mut resources, &entry.value);
        }
        resources
    }

    fn cores(&mut self, node: &Node) -> Option<Cores> {
        let value = self.templates.value(node, self.report)?;
        let cores = match &value.value {
            Value::Number(number) => number.as_f64().and_then(Cores::of),
            _ => None,
        };
        if cores.is_none() {
            let what = "a number, 0 or more";
            self.report.push(wrong_value(
                &value,
                node,
                "resources.cpu",
                self.owner(),
                what,
            ));
        }
        cores
    }

    fn gpus(&mut self, node: &Node) -> Option<Gpus> {
        let value = self.templates.value(node, self.report)?;
        let gpus = match &value.value {
            Value::Number(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number <= MOST)
                .map(Gpus::Count),
            Value::Text(text) => Gpus::of_device(text),
            _ => None,
        };
        if gpus.is_none() {
            let what = "a whole number, 0 or more, or a device";
            self.report.push(
                wrong_value(&value, node, "resources.gpu", self.owner(), what).hint(
                    "devices are `cpu`, `cuda`, `cuda:1` and `auto`: one card if there is any",
                ),
            );
        }
        gpus
    }

    fn size(&mut self, node: &Node) -> Option<u64> {
        let value = self.templates.value(node, self.report)?;
        let bytes = match &value.value {
            Value::Number(number) => number.as_u64().filter(|bytes| *bytes > 0),
            Value::Text(text) => units::size(text),
            _ => None,
        };
        if bytes.is_none() {
            self.report.push(
                wrong_value(&value, node, "resources.mem", self.owner(), "a size").hint(
                    "write `2GiB`, `512MiB` (or `MB`, `GB`: powers of ten), or a number of bytes",
                ),
            );
        }
        bytes
    }

    pub(super) fn timeout(&mut self, node: &Node) -> Option<Duration> {
        let value = self.templates.value(node, self.report)?;
        let duration = match &value.value {
            Value::Number(number) => number.as_u64().and_then(units::seconds),
            Value::Text(text) => units::duration(text),
            _ => None,
        };
        if duration.is_none() {
            self.report.push(
                wrong_value(&value, node, "timeout", self.owner(), "a duration")
                    .hint("write `90s`, `30m`, `12h`, `7d`, `1h30m`, or a number of seconds"),
            );
        }
        duration
    }
}

/// Whether a variable can have this name; what can't be is reported.
pub(crate) fn is_variable(
    owner: &str,
    field: &str,
    name: &str,
    at: Location,
    report: &mut Vec<Diagnostic>,
) -> bool {
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (shown, label, hint) = if let Some((before, _)) = name.split_once('=') {
        match field {
            // What follows may be the value itself.
            "secret" => (
                before,
                "expected a name alone",
                "write `secret: [NAME]`, and set the variable where restage is called",
            ),
            "requires.env" => (
                before,
                "expected a name alone",
                "write `requires: {env: [NAME]}`, and set the variable where restage is called",
            ),
            _ => (
                name,
                "expected a name alone",
                "to set a value write `env: {NAME: value}`",
            ),
        }
    } else if !valid {
        (
            name,
            "no variable can be called this",
            "names are made of letters, digits and `_`",
        )
    } else if name.starts_with("RESTAGE_") {
        (
            name,
            "set by restage itself",
            "choose a name that does not begin with `RESTAGE_`",
        )
    } else {
        return true;
    };
    let message = format!("`{field}` of {owner} cannot have `{}`", printable(shown));
    report.push(Diagnostic::new(at, message, label).hint(hint));
    false
}
