//! One stage instance, field by field: templates filled in, types and paths checked.
//! It must not know other stages, nor how instances came about.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::fields::{self, expected, expected_of};
use super::node::{Entry, Node, Value, printable};
use super::paths;
use super::pipeline::{Action, Dep, Out, Stage, Tool};
use super::template::Templates;
use restage_core::span::Location;

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
            .and_then(|entry| self.text(&entry.value, "`desc`"));
        let action = self.action(fields_known);
        let deps = self.deps();
        let params = self.params();
        let outs = self.outs(fields_known);
        let env = self.env();
        let secrets = self.secrets(&env);
        let tools = self.tools();
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
            secrets,
            tools,
            resources,
            timeout,
            retries: retries.unwrap_or(0),
            location: self.at,
        })
    }

    pub(super) fn owner(&self) -> &'a str {
        self.templates.owner
    }

    /// A field that is there and not empty; an empty one is reported.
    pub(super) fn field(&mut self, name: &str) -> Option<&'a Entry> {
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

    /// Text, or a number as text. `subject` is "`cmd`", or "an item of `deps`".
    pub(super) fn text(&mut self, node: &Node, subject: &str) -> Option<String> {
        self.check_text(node, subject)?;
        let text = self.templates.text(node, self.report)?;
        self.without_nul(text, node, subject)
    }

    /// A line for `sh`.
    fn command(&mut self, node: &Node, subject: &str) -> Option<String> {
        self.check_text(node, subject)?;
        let line = self.templates.command(node, self.report)?;
        self.without_nul(line, node, subject)
    }

    fn check_text(&mut self, node: &Node, subject: &str) -> Option<()> {
        let hint = match &node.value {
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => return Some(()),
            Value::Null => None,
            Value::List(items) => {
                let words: Vec<String> = items.iter().filter_map(Node::scalar_text).collect();
                let line = words.join(" ");
                let fits = subject == "`cmd`" && words.len() == items.len() && line.len() < 60;
                fits.then(|| format!("write the line as a shell reads it: `cmd: {line}`"))
            }
            Value::Map(_) if node.get("secret").is_some() => {
                Some("name the variable under `secret` instead: `secret: [NAME]`".to_owned())
            }
            Value::Map(_) if node.get("path").is_some() => {
                Some("write the path alone: only `outs` can say more of it".to_owned())
            }
            Value::Map(_) => Some("quote text that has `: ` or begins with `{`".to_owned()),
        };
        self.report
            .push(expected_of(node, subject, self.owner(), "text").maybe_hint(hint));
        None
    }

    fn without_nul(&mut self, text: String, node: &Node, subject: &str) -> Option<String> {
        if text.contains('\0') {
            let message = format!("{subject} of {} has a NUL character", self.owner());
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
    pub(super) fn items(&mut self, name: &str) -> Vec<Node> {
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
                if let (Some(first), "params") = (whole.keys().next(), name) {
                    error = error.hint(format!(
                        "write `params: [{first}]`: values stand at the top of the file, and a stage lists those that it is given"
                    ));
                }
                if let (Some(first), "secret") = (whole.keys().next(), name) {
                    error = error.hint(format!(
                        "write `secret: [{first}]`, and set the variable where restage is called"
                    ));
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
                let package = self.text(&program.value, "`program`");
                let items = self.items("args");
                let args: Vec<_> = items
                    .iter()
                    .map(|item| self.text(item, "an item of `args`"))
                    .collect();
                let package = package?;
                let valid = package
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                if !valid || package.is_empty() {
                    let message = format!("`{}` is no name of a crate", printable(&package));
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
                let line = self.command(&cmd.value, "`cmd`")?;
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
            let Some(text) = self.text(item, "an item of `deps`") else {
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

    fn tools(&mut self) -> Vec<Tool> {
        let items = self.items("tools");
        let mut tools = Vec::with_capacity(items.len());
        for item in &items {
            let Some(line) = self.command(item, "an item of `tools`") else {
                continue;
            };
            if line.trim().is_empty() {
                let message = format!("an item of `tools` of {} is blank", self.owner());
                self.report.push(
                    Diagnostic::new(item.location, message, "nothing to run")
                        .hint("write a command that says a version: `tools: [python3 --version]`"),
                );
                continue;
            }
            tools.push(Tool {
                line,
                location: item.location,
            });
        }
        tools
    }

    fn params(&mut self) -> BTreeMap<String, serde_json::Value> {
        let items = self.items("params");
        let mut declared = BTreeMap::new();
        for item in &items {
            let Some(path) = self.text(item, "an item of `params`") else {
                continue;
            };
            match self.templates.scope.param(&path) {
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
        let text = self.text(path, "an item of `outs`")?;
        let any_seed = self.templates.of_any_seed(path);
        paths::out(&text, path.location, owner, self.file_name)
            .map(|path| Out {
                path,
                volatile,
                any_seed,
                location: item.location,
            })
            .map_err(|error| self.report.push(*error))
            .ok()
    }
}
