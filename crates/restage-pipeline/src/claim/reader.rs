//! Reads the values that a claim's fields are made of.

use crate::diagnostic::Diagnostic;
use crate::expression::{CheckExpression, Expression, ExpressionType};
use crate::fields::expected;
use crate::node::{Entry, Node, Value, printable};
use crate::pipeline::{Claim, ClaimRule, Direction, PaperValue};
use crate::template::Templates;
use restage_core::span::Location;

type Report = Vec<Diagnostic>;

pub(crate) struct Reader<'a> {
    pub(super) templates: Templates<'a>,
    pub(super) check: CheckExpression,
    pub(super) report: &'a mut Report,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, entry: &Entry) -> Option<String> {
        self.filled(entry, |templates, node, report| {
            templates.text(node, report)
        })
    }

    fn filled(
        &mut self,
        entry: &Entry,
        fill: impl Fn(&Templates<'_>, &Node, &mut Report) -> Option<String>,
    ) -> Option<String> {
        if let Value::Text(_) = entry.value.value {
            let text = fill(&self.templates, &entry.value, self.report)?;
            if !text.trim().is_empty() {
                return Some(text);
            }
        }
        self.refuse(entry, "text");
        None
    }

    fn refuse(&mut self, entry: &Entry, what: &str) {
        let owner = self.templates.owner;
        self.report
            .push(expected(&entry.value, &entry.key, owner, what));
    }

    pub(super) fn paper(&mut self, node: &Node) -> Option<PaperValue> {
        let value = self.templates.value(node, self.report)?;
        match &value.value {
            Value::Number(number) => number.as_f64().map(PaperValue::Number),
            Value::Text(text) => Some(PaperValue::Text(text.clone())),
            _ => {
                let owner = self.templates.owner;
                self.report
                    .push(expected(&value, "paper", owner, "a number or text"));
                None
            }
        }
    }

    pub(super) fn expression(
        &mut self,
        entry: &Entry,
        wanted: ExpressionType,
    ) -> Option<Expression> {
        let text = self.filled(entry, |templates, node, report| {
            templates.expression(node, report)
        })?;
        let location = entry.value.location;
        let error = match (self.check)(&text, wanted) {
            Ok(()) => return Some(Expression { text, location }),
            Err(error) => error,
        };
        let (field, owner) = (&entry.key, self.templates.owner);
        let message = format!("`{field}` of {owner}: {}", printable(&error.message));
        let label = match wanted {
            ExpressionType::Number => "an expression (CEL) that gives a number",
            ExpressionType::Condition => "an expression (CEL) that gives true or false",
        };
        let at = self.place(&entry.value, &text, error.place);
        self.report
            .push(Diagnostic::new(at, message, label).hint(error.hint));
        None
    }

    /// The character that the parser stopped at, where the text stands in the file as it is.
    fn place(&self, node: &Node, text: &str, place: Option<(usize, usize)>) -> Location {
        let found = place
            .filter(|(line, _)| *line == 1)
            .and_then(|(_, character)| {
                let written = self.templates.written(node)?;
                let start = node.location.offset + written.find(text)?;
                let (at, c) = text.char_indices().nth(character)?;
                Some(Location {
                    file: node.location.file,
                    offset: start + at,
                    len: c.len_utf8(),
                    line: node.location.line,
                })
            });
        found.unwrap_or(node.location)
    }

    pub(super) fn holds(&mut self, claim: &mut Claim, entry: &Entry) {
        let holds = self.expression(entry, ExpressionType::Condition);
        claim.rule = holds.map_or_else(ClaimRule::default, ClaimRule::Holds);
    }

    pub(super) fn tolerance(&mut self, claim: &mut Claim, entry: &Entry) {
        let sample = "write `{abs: 0.01}` or `{rel: 0.01}`";
        claim.rule = match self.bound(entry, ["abs", "rel"], 0.0, sample) {
            Some((true, bound)) => ClaimRule::Absolute(bound),
            Some((false, bound)) => ClaimRule::Relative(bound),
            None => return,
        };
    }

    pub(super) fn direction(&mut self, claim: &mut Claim, entry: &Entry) {
        let sample = "write `{above: 0}` or `{below: 1}`";
        let bound = self.bound(entry, ["above", "below"], f64::NEG_INFINITY, sample);
        claim.direction = bound.map(|(above, bound)| match above {
            true => Direction::Above(bound),
            false => Direction::Below(bound),
        });
    }

    /// A number by one of two words, and whether it is the first.
    fn bound(
        &mut self,
        entry: &Entry,
        words: [&str; 2],
        least: f64,
        sample: &str,
    ) -> Option<(bool, f64)> {
        let value = self.templates.value(&entry.value, self.report)?;
        if let [bound] = value.entries()
            && let Value::Number(number) = &bound.value.value
            && let Some(number) = number.as_f64()
            && let Some(at) = words.iter().position(|word| *word == bound.key)
            && number >= least
        {
            return Some((at == 0, number));
        }
        let owner = self.templates.owner;
        let error = expected(&entry.value, &entry.key, owner, "one bound");
        self.report.push(error.hint(sample));
        None
    }

    pub(super) fn flag(&mut self, entry: &Entry) -> bool {
        if let Value::Bool(flag) = entry.value.value {
            return flag;
        }
        self.refuse(entry, "true or false");
        false
    }
}
