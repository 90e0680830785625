//! A stage's settings: environment, resources, timeout, counts.
//! It must not know what the stage reads and writes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{self, expected};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Gpus, Resources, Secret};
use super::stage::StageReader;
use super::units;
use restage_core::span::Location;

impl StageReader<'_> {
    pub(super) fn env(&mut self) -> BTreeMap<String, Option<String>> {
        let mut env = BTreeMap::new();
        let Some(entry) = self.field("env") else {
            return env;
        };
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
                env.insert(name, value);
            }
        }
        env
    }

    /// Secrets, each once. `env` are the variables that are none.
    pub(super) fn secrets(&mut self, env: &BTreeMap<String, Option<String>>) -> Vec<Secret> {
        let items = self.items("secret");
        let mut secrets: Vec<Secret> = Vec::new();
        for item in &items {
            let Some(name) = self.text(item, "an item of `secret`") else {
                continue;
            };
            let location = item.location;
            if !self.is_variable("secret", &name, location) {
                continue;
            }
            if env.contains_key(&name) {
                let message = format!("{} has `{name}` as `env` and as `secret`", self.owner());
                self.report.push(
                    Diagnostic::new(location, message, "what `env` holds can be seen by all")
                        .hint("remove it from `env`: a secret is given to the stage as well"),
                );
            } else if secrets.iter().all(|secret| secret.name != name) {
                secrets.push(Secret { name, location });
            }
        }
        secrets
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

    pub(super) fn resources(&mut self) -> Resources {
        let mut resources = Resources {
            cpu: 1,
            gpu: Gpus::Count(0),
            mem: None,
        };
        let Some(entry) = self.field("resources") else {
            return resources;
        };
        let owner = format!("`resources` of {}", self.owner());
        if fields::RESOURCES
            .check(&entry.value, &owner, self.report)
            .is_none()
        {
            return resources;
        }
        if let Some(cpu) = entry.value.get("cpu") {
            resources.cpu = self.count(cpu, "resources.cpu", 1, 1 << 20).unwrap_or(1);
        }
        if let Some(gpu) = entry.value.get("gpu") {
            resources.gpu = self.gpus(gpu).unwrap_or(resources.gpu);
        }
        if let Some(mem) = entry.value.get("mem") {
            resources.mem = self.size(mem);
        }
        resources
    }

    fn gpus(&mut self, node: &Node) -> Option<Gpus> {
        let value = self.templates.value(node, self.report)?;
        let gpus = match &value.value {
            Value::Number(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number <= 1 << 20)
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

    /// A whole number within bounds.
    pub(super) fn count(&mut self, node: &Node, field: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.templates.value(node, self.report)?;
        let number = match &value.value {
            Value::Number(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let what = format!("a whole number, {least} or more");
            self.report
                .push(wrong_value(&value, node, field, self.owner(), &what));
        }
        number
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

    pub(super) fn timeout(&mut self, entry: &Entry) -> Option<Duration> {
        let value = self.templates.value(&entry.value, self.report)?;
        let duration = match &value.value {
            Value::Number(number) => number.as_u64().and_then(units::seconds),
            Value::Text(text) => units::duration(text),
            _ => None,
        };
        if duration.is_none() {
            self.report.push(
                wrong_value(&value, &entry.value, "timeout", self.owner(), "a duration")
                    .hint("write `90s`, `30m`, `12h`, `7d`, `1h30m`, or a number of seconds"),
            );
        }
        duration
    }
}

/// A value of a wrong kind, or out of bounds: then it is shown.
fn wrong_value(value: &Node, at: &Node, field: &str, owner: &str, what: &str) -> Diagnostic {
    let error = expected(value, field, owner, what);
    let label = match value.scalar_text() {
        Some(text) => format!("`{}` is not", printable(&text)),
        None => error.label.clone(),
    };
    Diagnostic {
        label,
        location: at.location,
        ..error
    }
}
