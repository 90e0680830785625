//! One stage instance, field by field: templates filled in, types and paths checked.
//! It must not know other stages, nor how instances came about.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{self, expected};
use super::node::{Entry, Node, Value};
use super::params;
use super::paths;
use super::pipeline::{Action, Dep, Out, Resources, Stage};
use super::template::Templates;
use super::units;
use crate::base::span::Location;

/// Reads the fields of one instance.
pub(crate) struct StageReader<'a> {
    pub(crate) templates: Templates<'a>,
    /// The stage's map.
    pub(crate) node: &'a Node,
    /// Where its name stands.
    pub(crate) at: Location,
    /// Of the pipeline file: no stage may write it.
    pub(crate) file_name: &'a str,
    pub(crate) report: &'a mut Vec<Diagnostic>,
}

impl<'a> StageReader<'a> {
    /// The instance; `None` if a field was wrong, which was reported. `fields_known`: no
    /// field was unknown, so one that is missing is worth a message.
    pub(crate) fn read(mut self, group: &str, name: String, fields_known: bool) -> Option<Stage> {
        let before = self.report.len();
        let desc = self
            .field("desc")
            .and_then(|entry| self.text(&entry.value, "desc", false));
        let action = self.action(fields_known);
        let deps = self.deps();
        let params = self.params();
        let outs = self.outs(fields_known);
        let env = self.env();
        let resources = self.resources();
        let timeout = self.field("timeout").and_then(|entry| self.timeout(entry));
        let retries = self
            .field("retries")
            .and_then(|entry| self.count(&entry.value, "retries", 0, 1_000));
        paths::check_own(&deps, &outs, self.templates.owner, self.report);
        // What an instance that is not known would need is missing in silence.
        if self.report.len() > before {
            return None;
        }
        Some(Stage {
            name,
            group: group.to_owned(),
            desc,
            action: action?,
            deps,
            params,
            outs,
            env,
            resources,
            timeout,
            retries: retries.unwrap_or(0),
            location: self.at,
        })
    }

    fn owner(&self) -> &'a str {
        self.templates.owner
    }

    /// A field that is there and not empty; an empty one is reported.
    fn field(&mut self, name: &str) -> Option<&'a Entry> {
        let entry = self.node.entry(name)?;
        if let Value::Null = entry.value.value {
            let message = format!("`{name}` of {} is empty", self.owner());
            self.report.push(
                Diagnostic::new(entry.key_location, message, "nothing is written after this")
                    .hint("give it a value or remove the line"),
            );
            return None;
        }
        Some(entry)
    }

    /// Text, or a number as text.
    fn text(&mut self, node: &Node, field: &str, command: bool) -> Option<String> {
        if matches!(node.value, Value::Null | Value::List(_) | Value::Map(_)) {
            let mut error = expected(node, field, self.owner(), "text");
            if let Value::Map(_) = node.value {
                error = error.hint("quote text that has `: ` or begins with `{`");
            }
            self.report.push(error);
            return None;
        }
        let text = match command {
            true => self.templates.command(node, self.report),
            false => self.templates.text(node, self.report),
        }?;
        if text.contains('\0') {
            let message = format!("`{field}` of {} has a NUL character", self.owner());
            self.report.push(Diagnostic::new(
                node.location,
                message,
                "no process can be given it",
            ));
            return None;
        }
        Some(text)
    }

    /// The items of a list field; none if it is absent or no list.
    fn items(&mut self, name: &str) -> Vec<Node> {
        let Some(entry) = self.field(name) else {
            return Vec::new();
        };
        // `deps: ${paths}` may stand for a whole list.
        let whole = match &entry.value.value {
            Value::Text(text) if text.starts_with("${") && text.ends_with('}') => {
                match self.templates.value(&entry.value, self.report) {
                    Some(node) => node,
                    None => return Vec::new(),
                }
            }
            _ => entry.value.clone(),
        };
        match whole.value {
            Value::List(items) => items,
            _ => {
                let mut error = expected(&whole, name, self.owner(), "a list");
                if let Some(text) = entry.value.scalar_text().filter(|text| text.len() < 60) {
                    let quote = if text.contains(['$', '*', '{', '[', ',', ' ']) {
                        "\""
                    } else {
                        ""
                    };
                    error = error.hint(format!("write `{name}: [{quote}{text}{quote}]`"));
                }
                self.report.push(error);
                Vec::new()
            }
        }
    }

    fn action(&mut self, fields_known: bool) -> Option<Action> {
        let (program, cmd) = (self.node.entry("program"), self.node.entry("cmd"));
        let args = self.node.entry("args");
        match (program, cmd) {
            (Some(program), Some(cmd)) => {
                let message = format!("{} has both `program` and `cmd`", self.owner());
                self.report.push(
                    Diagnostic::new(cmd.key_location, message, "a stage runs one thing")
                        .note_at("`program` is given", program.key_location)
                        .hint("keep one; several commands can be joined in one `cmd` by `&&`"),
                );
                None
            }
            (None, None) => {
                if fields_known {
                    let message = format!("{} does not say what to run", self.owner());
                    self.report.push(
                        Diagnostic::new(self.at, message, "has neither `program` nor `cmd`").hint(
                            "add `cmd: <a line for sh>`, or `program: <a crate of this workspace>`",
                        ),
                    );
                }
                None
            }
            (Some(_), None) => {
                let program = self.field("program")?;
                let package = self.text(&program.value, "program", false);
                let items = self.items("args");
                let args: Vec<_> = items
                    .iter()
                    .map(|item| self.text(item, "args", false))
                    .collect();
                let package = package?;
                let valid = package
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                if !valid || package.is_empty() {
                    let message = format!("`{}` is no name of a crate", package.escape_debug());
                    self.report.push(
                        Diagnostic::new(
                            program.value.location,
                            message,
                            "expected a package's name",
                        )
                        .hint("for any other command use `cmd`"),
                    );
                    return None;
                }
                Some(Action::Program {
                    package,
                    args: args.into_iter().collect::<Option<_>>()?,
                })
            }
            (None, Some(_)) => {
                if let Some(args) = args {
                    let message = format!("{} has `args` without `program`", self.owner());
                    self.report.push(
                        Diagnostic::new(
                            args.key_location,
                            message,
                            "only a `program` takes `args`",
                        )
                        .hint("write the arguments into `cmd` itself"),
                    );
                }
                let cmd = self.field("cmd")?;
                let line = self.text(&cmd.value, "cmd", true)?;
                if line.trim().is_empty() {
                    let message = format!("`cmd` of {} is blank", self.owner());
                    self.report.push(Diagnostic::new(
                        cmd.value.location,
                        message,
                        "nothing to run",
                    ));
                    return None;
                }
                Some(Action::Command(line))
            }
        }
    }

    fn deps(&mut self) -> Vec<Dep> {
        let items = self.items("deps");
        let mut deps = Vec::with_capacity(items.len());
        for item in &items {
            let Some(text) = self.text(item, "deps", false) else {
                continue;
            };
            match paths::dep(&text, item.location, self.owner()) {
                Ok(pattern) => deps.push(Dep {
                    pattern,
                    location: item.location,
                }),
                Err(error) => self.report.push(*error),
            }
        }
        deps
    }

    fn params(&mut self) -> BTreeMap<String, serde_json::Value> {
        let items = self.items("params");
        let mut declared = BTreeMap::new();
        for item in &items {
            let Some(path) = self.text(item, "params", false) else {
                continue;
            };
            match params::find(self.templates.scope.params, &path) {
                Ok(node) => drop(declared.insert(path, node.to_json())),
                Err(missing) => {
                    let message =
                        format!("{} declares `{path}`, which is no parameter", self.owner());
                    self.report.push(
                        Diagnostic::new(item.location, message, missing.label())
                            .maybe_hint(missing.hint()),
                    );
                }
            }
        }
        declared
    }

    fn outs(&mut self, fields_known: bool) -> Vec<Out> {
        let items = self.items("outs");
        let entry = self.node.entry("outs");
        let missing = match entry {
            None => fields_known.then_some(self.at),
            Some(entry) => matches!(&entry.value.value, Value::List(items) if items.is_empty())
                .then_some(entry.key_location),
        };
        if let Some(at) = missing {
            let message = format!("{} writes nothing", self.owner());
            self.report.push(
                Diagnostic::new(at, message, "has no `outs`")
                    .hint("list the files or folders it writes: without them nothing can tell whether it ran, and nothing can use its result"),
            );
        }
        items.iter().filter_map(|item| self.out(item)).collect()
    }

    fn out(&mut self, item: &Node) -> Option<Out> {
        let owner = self.owner();
        let (path, volatile) = match &item.value {
            Value::Map(_) => {
                let what = format!("an output of {owner}");
                let unknown = fields::OUT.check(item, &what, self.report)?;
                let Some(path) = item.get("path") else {
                    if unknown == 0 {
                        let message = format!("{what} has no `path`");
                        self.report.push(
                            Diagnostic::new(item.location, message, "expected `path`")
                                .hint("write `{path: \"file.csv\", volatile: true}`"),
                        );
                    }
                    return None;
                };
                let volatile = match item.get("volatile") {
                    None => false,
                    Some(node) => match self.templates.value(node, self.report)?.value {
                        Value::Bool(volatile) => volatile,
                        _ => {
                            self.report
                                .push(expected(node, "volatile", &what, "true or false"));
                            return None;
                        }
                    },
                };
                (path, volatile)
            }
            _ => (item, false),
        };
        let text = self.text(path, "outs", false)?;
        paths::out(&text, path.location, owner, self.file_name)
            .map(|path| Out {
                path,
                volatile,
                location: item.location,
            })
            .map_err(|error| self.report.push(*error))
            .ok()
    }

    fn env(&mut self) -> BTreeMap<String, Option<String>> {
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
                        _ => match self.text(&entry.value, "env", false) {
                            Some(value) => Some(value),
                            None => continue,
                        },
                    };
                    pairs.push((entry.key.clone(), entry.key_location, value));
                }
            }
            Value::List(items) => {
                for item in items {
                    if let Some(name) = self.text(item, "env", false) {
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
            let valid = !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let problem = if name.contains('=') {
                Some((
                    "expected a name alone",
                    "to set a value write `env: {NAME: value}`",
                ))
            } else if !valid {
                Some((
                    "no variable can be called this",
                    "names are made of letters, digits and `_`",
                ))
            } else if name.starts_with("RESTAGE_") {
                Some((
                    "set by restage itself",
                    "choose a name that does not begin with `RESTAGE_`",
                ))
            } else {
                None
            };
            match problem {
                Some((label, hint)) => {
                    let message = format!(
                        "`env` of {} cannot have `{}`",
                        self.owner(),
                        name.escape_debug()
                    );
                    self.report
                        .push(Diagnostic::new(at, message, label).hint(hint));
                }
                None => drop(env.insert(name, value)),
            }
        }
        env
    }

    fn resources(&mut self) -> Resources {
        let mut resources = Resources {
            cpu: 1,
            gpu: 0,
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
            resources.gpu = self.count(gpu, "resources.gpu", 0, 1 << 20).unwrap_or(0);
        }
        if let Some(mem) = entry.value.get("mem") {
            resources.mem = self.size(mem);
        }
        resources
    }

    /// A whole number within bounds.
    fn count(&mut self, node: &Node, field: &str, least: u32, most: u32) -> Option<u32> {
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

    fn timeout(&mut self, entry: &Entry) -> Option<Duration> {
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
        Some(text) => format!("`{}` is not", text.escape_debug()),
        None => error.label.clone(),
    };
    Diagnostic {
        label,
        location: at.location,
        ..error
    }
}
