//! Reads the values that a report's fields are made of.

use crate::diagnostic::Diagnostic;
use crate::fields::expected;
use crate::node::{Node, Value};
use crate::template::Templates;

pub(crate) struct Reader<'a> {
    pub(super) templates: &'a Templates<'a>,
    pub(super) errors: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, node: &Node, field: &str, owner: &str) -> Option<String> {
        if let Value::Text(_) = node.value {
            let text = self.templates.text(node, self.errors)?;
            if !text.trim().is_empty() {
                return Some(text.trim().to_owned());
            }
        }
        self.errors.push(expected(node, field, owner, "text"));
        None
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, field: &str, owner: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.errors.push(expected(node, field, owner, "a list"));
        &[]
    }
}
