//! `claims:`, what the paper says and what counts as reproduced.
//! It must not know what is in the tables, nor how a claim is judged.

use super::diagnostic::Diagnostic;
use super::expand;
use super::expression::{CheckExpression, Expression, ExpressionType};
use super::fields::{CLAIM, expected};
use super::load::bad_name;
use super::node::{Entry, Node, Value, is_name, printable};
use super::pipeline::{Claim, ClaimRule, Direction, PaperValue};
use super::template::{Instance, Scope, Templates};
use restage_core::span::Location;

type Report = Vec<Diagnostic>;

/// Reads the map of claims.
pub(crate) fn read(
    entry: &Entry,
    file: &str,
    scope: Scope<'_>,
    check: CheckExpression,
    report: &mut Report,
) -> Vec<Claim> {
    let Value::Map(entries) = &entry.value.value else {
        report.push(
            expected(&entry.value, "claims", "the pipeline", "a map of claims").hint(
                "write `claims:`, and below it `name: {says: .., paper: .., ours: ..}` for each",
            ),
        );
        return Vec::new();
    };
    let claims = entries.iter();
    claims
        .flat_map(|entry| instances(entry, file, scope, check, report))
        .collect()
}

fn instances(
    entry: &Entry,
    file: &str,
    scope: Scope<'_>,
    check: CheckExpression,
    report: &mut Report,
) -> Vec<Claim> {
    let owner = format!("claim `{}`", printable(&entry.key));
    if !is_name(&entry.key) || entry.key.starts_with(['.', '-']) {
        report.push(bad_name("claim", &entry.key, entry.key_location));
    }
    let Some(unknown) = CLAIM.check(&entry.value, &owner, report) else {
        return Vec::new();
    };
    let outside = Templates {
        file,
        scope,
        owner: &owner,
    };
    let read = |id: String, instance: Instance<'_>, report: &mut Report| {
        let scope = Scope { instance, ..scope };
        let templates = Templates {
            file,
            scope,
            owner: &owner,
        };
        let reader = Reader {
            templates,
            node: &entry.value,
            at: entry.key_location,
            check,
            report,
        };
        reader.claim(id, unknown == 0)
    };
    let Some(foreach) = entry.value.entry("foreach") else {
        let claim = read(entry.key.clone(), Instance::Single, report);
        return claim.into_iter().collect();
    };
    let Some(variants) = expand::foreach(foreach, &outside, report) else {
        return Vec::new();
    };
    let mut claims = Vec::with_capacity(variants.len());
    for variant in &variants {
        let instance = Instance::Of {
            key: &variant.key,
            item: &variant.item,
        };
        let id = format!("{}@{}", entry.key, variant.key);
        claims.extend(read(id, instance, report));
    }
    claims
}

struct Reader<'a> {
    templates: Templates<'a>,
    node: &'a Node,
    at: Location,
    check: CheckExpression,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn claim(mut self, id: String, fields_known: bool) -> Option<Claim> {
        let before = self.report.len();
        let says = self.text("says");
        let section = self.text("where");
        let unit = self.text("unit");
        let otherwise = self.text("otherwise");
        let paper = self.paper();
        let ours = self.expression("ours", ExpressionType::Number);
        let holds = self.expression("holds", ExpressionType::Condition);
        let needs = self.expression("needs", ExpressionType::Condition);
        let tolerance = self.bound("tolerance", ["abs", "rel"], "{abs: 0.01}` or `{rel: 0.01}");
        let direction = self.bound(
            "direction",
            ["above", "below"],
            "{above: 0}` or `{below: 1}",
        );
        let volatile = self.volatile();
        if self.report.len() > before || !fields_known {
            return None;
        }
        let missing = self.incomplete(says.is_none(), paper.as_ref());
        if let Some((message, label, hint)) = missing {
            let message = format!("{} {message}", self.templates.owner);
            self.report
                .push(Diagnostic::new(self.at, message, label).hint(hint));
            return None;
        }
        let rule = match (holds, tolerance?) {
            (Some(holds), _) => ClaimRule::Holds(holds),
            (None, Some((true, bound))) => ClaimRule::Absolute(bound),
            (None, Some((false, bound))) => ClaimRule::Relative(bound),
            (None, None) => return None,
        };
        let direction = direction?.map(|(above, bound)| match above {
            true => Direction::Above(bound),
            false => Direction::Below(bound),
        });
        Some(Claim {
            id,
            says: says?,
            section,
            paper,
            unit,
            ours,
            rule,
            direction,
            needs,
            otherwise,
            volatile,
        })
    }

    /// What a claim of known and sound fields lacks, or has too much of.
    fn incomplete(
        &self,
        silent: bool,
        paper: Option<&PaperValue>,
    ) -> Option<(&'static str, &'static str, &'static str)> {
        let has = |field| self.node.get(field).is_some();
        let number = matches!(paper, Some(PaperValue::Number(_)));
        match () {
            () if silent => Some((
                "has no `says`",
                "expected `says`",
                "quote the paper: `says: \"A is better than B\"`",
            )),
            () if has("tolerance") && has("holds") => Some((
                "has both `tolerance` and `holds`",
                "reproduced in two ways",
                "keep one; with `holds`, `paper` and `ours` are only shown",
            )),
            () if !has("tolerance") && !has("holds") => Some((
                "does not say what counts as reproduced",
                "has neither `tolerance` nor `holds`",
                "add `tolerance: {abs: 0.01}` beside `paper` and `ours`, or `holds: <an expression>`",
            )),
            () if has("tolerance") && !(number && has("ours")) => Some((
                "has a `tolerance` but not two numbers",
                "`tolerance` is between `paper` and `ours`",
                "give both: `paper: 0.9` and `ours: cell(\"results/table.csv\", \"model=a\", \"accuracy\")`",
            )),
            () if has("direction") && !has("ours") => Some((
                "has a `direction` but no `ours`",
                "`direction` is that of `ours`",
                "add `ours: <an expression that gives a number>`",
            )),
            () if has("otherwise") && !has("needs") => Some((
                "has `otherwise` without `needs`",
                "it is said where `needs` does not hold",
                "add `needs: <an expression>`, or remove `otherwise`",
            )),
            () => None,
        }
    }

    fn text(&mut self, field: &str) -> Option<String> {
        self.filled(field, |templates, node, report| {
            templates.text(node, report)
        })
    }

    fn filled(
        &mut self,
        field: &str,
        fill: impl Fn(&Templates<'_>, &Node, &mut Report) -> Option<String>,
    ) -> Option<String> {
        let node = self.node.get(field)?;
        if let Value::Text(_) = node.value {
            let text = fill(&self.templates, node, self.report)?;
            if !text.trim().is_empty() {
                return Some(text);
            }
        }
        self.report
            .push(expected(node, field, self.templates.owner, "text"));
        None
    }

    fn paper(&mut self) -> Option<PaperValue> {
        let node = self.node.get("paper")?;
        let value = self.templates.value(node, self.report)?;
        match &value.value {
            Value::Number(number) => number.as_f64().map(PaperValue::Number),
            Value::Text(text) => Some(PaperValue::Text(text.clone())),
            _ => {
                self.report.push(expected(
                    &value,
                    "paper",
                    self.templates.owner,
                    "a number or text",
                ));
                None
            }
        }
    }

    fn expression(&mut self, field: &str, wanted: ExpressionType) -> Option<Expression> {
        let node = self.node.get(field)?;
        let text = self.filled(field, |templates, node, report| {
            templates.expression(node, report)
        })?;
        let location = node.location;
        let error = match (self.check)(&text, wanted) {
            Ok(()) => return Some(Expression { text, location }),
            Err(error) => error,
        };
        let owner = self.templates.owner;
        let message = format!("`{field}` of {owner}: {}", printable(&error.message));
        let label = match wanted {
            ExpressionType::Number => "an expression (CEL) that gives a number",
            ExpressionType::Condition => "an expression (CEL) that gives true or false",
        };
        let at = self.place(node, &text, error.place);
        self.report
            .push(Diagnostic::new(at, message, label).hint(error.hint));
        None
    }

    /// The character that the parser stopped at, where the text stands in the file as it is.
    fn place(&self, node: &Node, text: &str, place: Option<(usize, usize)>) -> Location {
        let found = place
            .filter(|(line, _)| *line == 1)
            .and_then(|(_, character)| {
                let written = self
                    .templates
                    .file
                    .get(node.location.offset..node.location.end())?;
                let start = node.location.offset + written.find(text)?;
                let (at, c) = text.char_indices().nth(character)?;
                Some(Location {
                    offset: start + at,
                    len: c.len_utf8(),
                    line: node.location.line,
                })
            });
        found.unwrap_or(node.location)
    }

    /// `{first: number}` (true) or `{second: number}` (false); `None` was reported.
    fn bound(
        &mut self,
        field: &str,
        words: [&str; 2],
        sample: &str,
    ) -> Option<Option<(bool, f64)>> {
        let Some(node) = self.node.get(field) else {
            return Some(None);
        };
        let value = self.templates.value(node, self.report)?;
        if let [entry] = value.entries()
            && let Value::Number(number) = &entry.value.value
            && let Some(number) = number.as_f64()
            && let Some(at) = words.iter().position(|word| *word == entry.key)
            && (field == "direction" || number >= 0.0)
        {
            return Some(Some((at == 0, number)));
        }
        let owner = self.templates.owner;
        let error = expected(node, field, owner, "one bound");
        self.report.push(error.hint(format!("write `{sample}`")));
        None
    }

    fn volatile(&mut self) -> bool {
        match self.node.get("volatile").map(|node| (node, &node.value)) {
            None => false,
            Some((_, Value::Bool(volatile))) => *volatile,
            Some((node, _)) => {
                self.report.push(expected(
                    node,
                    "volatile",
                    self.templates.owner,
                    "true or false",
                ));
                false
            }
        }
    }
}
