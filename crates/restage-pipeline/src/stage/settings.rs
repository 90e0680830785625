//! What a stage is given: its environment, and its share of the machine.

use std::time::Duration;

use super::reader::{StageReader, wrong_value};
use crate::diagnostic::Diagnostic;
use crate::fields::{About, Field, Key, Kind, Mapping, expected};
use crate::node::{Entry, Node, Value, printable};
use crate::pipeline::{Gpus, Resources, Secret, Stage};
use crate::units;
use restage_core::span::Location;

type Read = fn(&mut StageReader<'_>, &mut Resources, &Node);

/// More cores or cards than any machine has.
const MOST: u32 = 1 << 20;

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
            Field::optional("cpu", Kind::Scalar, "1", "Cores.")
                .key(Key::Outside)
                .words(&["cpus", "cores", "threads", "ncpus"]),
            Some(|reader, resources, node| {
                let cpu = reader.count(node, "resources.cpu", 1, MOST);
                resources.cpu = cpu.unwrap_or(1);
            }),
        ),
        (
            Field::optional(
                "gpu",
                Kind::Named("a number of cards, or a device", &Kind::Scalar),
                "0",
                "Graphics cards; or a device as programs take it: `cpu`, `cuda`, `cuda:1`, or \
                 `auto`, one card if the machine has any.",
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
            if self.is_variable("env", &name, at) {
                stage.env.insert(name, value);
            }
        }
    }

    /// Each once, and none that is in `env` too.
    pub(super) fn secret(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(name) = self.text(&item, "an item of `secret`") else {
                continue;
            };
            let location = item.location;
            if !self.is_variable("secret", &name, location) {
                continue;
            }
            if stage.env.contains_key(&name) {
                let message = format!("{} has `{name}` as `env` and as `secret`", self.owner());
                self.report.push(
                    Diagnostic::new(location, message, "what `env` holds can be seen by all")
                        .hint("remove it from `env`: a secret is given to the stage as well"),
                );
            } else if stage.secrets.iter().all(|secret| secret.name != name) {
                stage.secrets.push(Secret { name, location });
            }
        }
    }

    /// Whether a variable can have this name; what can't be is reported.
    fn is_variable(&mut self, field: &str, name: &str, at: Location) -> bool {
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
        let message = format!(
            "`{field}` of {} cannot have `{}`",
            self.owner(),
            printable(shown)
        );
        self.report
            .push(Diagnostic::new(at, message, label).hint(hint));
        false
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
