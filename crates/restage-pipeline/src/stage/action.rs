//! What a stage runs: a program or a command, its parameters, and the tools it relies on.

use super::reader::StageReader;
use crate::diagnostic::Diagnostic;
use crate::environment::Tool;
use crate::layout;
use crate::node::{Entry, Value, printable};
use crate::pipeline::{Action, Stage};
use crate::script::Script;

impl StageReader<'_> {
    pub(super) fn program(&mut self, stage: &mut Stage, program: &Entry) {
        if let Some(cmd) = self.node.entry("cmd") {
            let message = format!("{} has both `program` and `cmd`", self.owner());
            self.report.push(
                Diagnostic::new(cmd.key_location, message, "a stage runs one thing")
                    .note_at("`program` is given", program.key_location)
                    .hint("keep one; `cmd` can be a list of commands"),
            );
            return;
        }
        if !self.templates.scope.place.namespace.is_empty() {
            let message = format!(
                "{} has a `program` in a file that is included",
                self.owner()
            );
            let error = Diagnostic::new(
                program.key_location,
                message,
                "built for the whole pipeline",
            );
            self.report
                .push(error.hint("move the stage into the pipeline's own file, or use `cmd`"));
            return;
        }
        let Some(package) = self.text(&program.value, "`program`") else {
            return;
        };
        let valid = package
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !valid || package.is_empty() {
            let message = format!("`{}` is not the name of a crate", printable(&package));
            let error =
                Diagnostic::new(program.value.location, message, "expected a package's name");
            self.report
                .push(error.hint("for any other command use `cmd`"));
            return;
        }
        let args = Vec::new();
        stage.action = Action::Program { package, args };
    }

    pub(super) fn args(&mut self, stage: &mut Stage, args: &Entry) {
        match (self.node.get("program"), self.node.get("cmd")) {
            (Some(_), None) => {
                for item in self.items(args) {
                    let text = self.text(&item, "an item of `args`");
                    if let Action::Program { args, .. } = &mut stage.action {
                        args.extend(text);
                    }
                }
            }
            (None, Some(_)) => {
                let message = format!("{} has `args` without `program`", self.owner());
                self.report.push(
                    Diagnostic::new(args.key_location, message, "only a `program` takes `args`")
                        .hint("write the arguments into `cmd` itself"),
                );
            }
            // Both or neither: reported already.
            _ => {}
        }
    }

    pub(super) fn cmd(&mut self, stage: &mut Stage, cmd: &Entry) {
        if self.node.get("program").is_some() {
            return;
        }
        let (parts, subject) = match &cmd.value.value {
            Value::List(items) if !items.is_empty() => (&items[..], "an item of `cmd`"),
            _ => (std::slice::from_ref(&cmd.value), "`cmd`"),
        };
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(text) = self.script(part, subject) else {
                continue;
            };
            let text = match self.shell.is_sh() {
                true => layout::trimmed(&text),
                // Indentation may mean something.
                false => text.trim_end(),
            };
            if text.is_empty() {
                let message = format!("{subject} of {} is blank", self.owner());
                self.report
                    .push(Diagnostic::new(part.location, message, "nothing to run"));
            }
            texts.push(text.to_owned());
        }
        stage.action = Action::Command(Script {
            shell: self.shell.clone(),
            texts,
        });
    }

    pub(super) fn params(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(path) = self.text(&item, "an item of `params`") else {
                continue;
            };
            match self.templates.scope.param(&path) {
                Ok(node) => drop(stage.params.insert(path, node.to_json())),
                Err(missing) => {
                    let message = format!(
                        "{} declares `{path}`, which is not a parameter",
                        self.owner()
                    );
                    self.report.push(
                        Diagnostic::new(item.location, message, missing.label())
                            .maybe_hint(missing.hint()),
                    );
                }
            }
        }
    }

    pub(super) fn tools(&mut self, stage: &mut Stage, entry: &Entry) {
        for item in self.items(entry) {
            let Some(line) = self.command(&item, "an item of `tools`") else {
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
            stage.tools.push(Tool {
                line: layout::trimmed(&line).to_owned(),
                location: item.location,
            });
        }
    }
}
