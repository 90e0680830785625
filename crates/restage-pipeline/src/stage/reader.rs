//! Reads the values that a stage's fields are made of: text, lists, counts.

use crate::diagnostic::Diagnostic;
use crate::environment::Environments;
use crate::fields::{expected, expected_of};
use crate::node::{Entry, Node, Value, printable};
use crate::script::Shell;
use crate::template::Templates;

/// Reads the fields of one instance.
pub(crate) struct StageReader<'a> {
    pub(super) templates: Templates<'a>,
    /// The stage's map.
    pub(super) node: &'a Node,
    /// Of the pipeline file: no stage may write it.
    pub(super) file_name: &'a str,
    /// What reads its command.
    pub(super) shell: Shell,
    /// By name.
    pub(super) environments: &'a Environments,
    pub(super) report: &'a mut Vec<Diagnostic>,
}

impl<'a> StageReader<'a> {
    pub(super) fn owner(&self) -> &'a str {
        self.templates.owner
    }

    /// A field with nothing after it.
    pub(super) fn empty(&mut self, entry: &Entry) {
        let message = format!("`{}` of {} is empty", entry.key, self.owner());
        self.report.push(
            Diagnostic::new(entry.key_location, message, "nothing is written after this")
                .hint("give it a value or remove the line"),
        );
    }

    /// Text, or a number as text. `subject` is "`cmd`", or "an item of `deps`".
    pub(super) fn text(&mut self, node: &Node, subject: &str) -> Option<String> {
        self.check_text(node, subject)?;
        let text = self.templates.text(node, self.report)?;
        self.without_nul(text, node, subject)
    }

    /// A text for the stage's shell.
    pub(super) fn script(&mut self, node: &Node, subject: &str) -> Option<String> {
        self.check_text(node, subject)?;
        let text = match self.shell.is_sh() {
            true => self.templates.command(node, self.report)?,
            false => self.templates.foreign(node, self.report)?,
        };
        self.without_nul(text, node, subject)
    }

    /// A line for `sh`.
    pub(super) fn command(&mut self, node: &Node, subject: &str) -> Option<String> {
        self.check_text(node, subject)?;
        let line = self.templates.command(node, self.report)?;
        self.without_nul(line, node, subject)
    }

    fn check_text(&mut self, node: &Node, subject: &str) -> Option<()> {
        let hint = match &node.value {
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => return Some(()),
            Value::Null | Value::List(_) => None,
            Value::Map(_) if node.get("secret").is_some() => {
                Some("name the variable under `secret` instead: `secret: [NAME]`".to_owned())
            }
            Value::Map(_) if node.get("path").is_some() => Some("write the path alone".to_owned()),
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

    /// The items of a list, which a template can stand for; none if it is not a list.
    pub(super) fn items(&mut self, entry: &Entry) -> Vec<Node> {
        let whole = match &entry.value.value {
            Value::Text(text) if text.starts_with("${") && text.ends_with('}') => {
                match self.templates.value(&entry.value, self.report) {
                    Some(node) => node,
                    None => return Vec::new(),
                }
            }
            _ => entry.value.clone(),
        };
        if let Value::List(items) = whole.value {
            return items;
        }
        let name = entry.key.as_str();
        let hint = match whole.keys().next() {
            Some(first) if name == "params" => Some(format!(
                "write `params: [{first}]`: values stand at the top of the file, and a stage lists those that it is given"
            )),
            Some(first) if name == "secret" => Some(format!(
                "write `secret: [{first}]`, and set the variable where restage is called"
            )),
            _ => {
                let text = entry.value.scalar_text().filter(|text| text.len() < 60);
                text.map(|text| {
                    let quoted = text.contains(['$', '*', '{', '[', ',', ' ']);
                    let quote = if quoted { "\"" } else { "" };
                    format!("write `{name}: [{quote}{text}{quote}]`")
                })
            }
        };
        let error = expected(&whole, name, self.owner(), "a list");
        self.report.push(error.maybe_hint(hint));
        Vec::new()
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
}

/// A value of a wrong kind, or out of bounds: then it is shown.
pub(super) fn wrong_value(
    value: &Node,
    at: &Node,
    field: &str,
    owner: &str,
    what: &str,
) -> Diagnostic {
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
