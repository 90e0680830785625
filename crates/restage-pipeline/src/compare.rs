//! `compare:`, which result tables must match, and how closely.
//! It must not know what is in the tables.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::fields::{COMPARE, expected};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{ColumnRule, CompareRule};
use super::suggest;
use super::template::Templates;
use restage_core::glob::Glob;

/// Reads the list of rules; the owner in `templates` is "`compare`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Vec<CompareRule> {
    let Value::List(items) = &entry.value.value else {
        report.push(
            expected(&entry.value, "compare", "the pipeline", "a list of rules")
                .hint("write `- files: \"results/*.csv\"`"),
        );
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| rule(item, templates, report))
        .collect()
}

fn rule(
    item: &Node,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Option<CompareRule> {
    let owner = "a rule of `compare`";
    let unknown = COMPARE.check(item, owner, report)?;
    let key = item
        .get("key")
        .map_or_else(Vec::new, |node| key(node, templates, report));
    let columns = item
        .get("columns")
        .map_or_else(BTreeMap::new, |node| columns(node, report));
    key_is_exact(item, &key, &columns, report);
    let Some(files) = item.get("files") else {
        if unknown == 0 {
            report.push(
                Diagnostic::new(
                    item.location,
                    format!("{owner} has no `files`"),
                    "expected `files`",
                )
                .hint("write `files: \"results/*.csv\"`"),
            );
        }
        return None;
    };
    let Value::Text(_) = files.value else {
        report.push(expected(files, "files", owner, "text: a path or a pattern"));
        return None;
    };
    let text = templates.text(files, report)?;
    match Glob::new(&text) {
        Ok(glob) => Some(CompareRule {
            files: glob.as_str().to_owned(),
            key,
            columns,
        }),
        Err(error) => {
            let message = format!(
                "`files` of {owner} is no pattern below the pipeline's folder: `{}`",
                printable(&text)
            );
            report.push(Diagnostic::new(files.location, message, error.to_string()));
            None
        }
    }
}

/// A key column's rule would never be asked: what names a row is its text.
fn key_is_exact(
    item: &Node,
    key: &[String],
    columns: &BTreeMap<String, ColumnRule>,
    report: &mut Vec<Diagnostic>,
) {
    for column in key {
        let rule = columns.get(column);
        if let Some(node) = item.get("key")
            && rule.is_some_and(|rule| *rule != ColumnRule::Exact)
        {
            let message = format!(
                "column `{}` is in `key` and has a rule in `columns`",
                printable(column)
            );
            report.push(
                Diagnostic::new(node.location, message, "a key is compared as text")
                    .hint("take it out of one of the two"),
            );
        }
    }
}

fn key(node: &Node, templates: &Templates<'_>, report: &mut Vec<Diagnostic>) -> Vec<String> {
    let Value::List(items) = &node.value else {
        report.push(
            expected(node, "key", "a rule of `compare`", "a list of columns")
                .hint("write `key: [epoch]`"),
        );
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| match item.value {
            Value::Text(_) => templates.text(item, report),
            _ => {
                report.push(expected(
                    item,
                    "key",
                    "a rule of `compare`",
                    "a list of columns",
                ));
                None
            }
        })
        .collect()
}

fn columns(node: &Node, report: &mut Vec<Diagnostic>) -> BTreeMap<String, ColumnRule> {
    let Value::Map(entries) = &node.value else {
        report.push(
            expected(
                node,
                "columns",
                "a rule of `compare`",
                "a map from column to rule",
            )
            .hint("write `columns: {accuracy: {abs: 0.01}, seconds: ignore}`"),
        );
        return BTreeMap::new();
    };
    let mut rules = BTreeMap::new();
    for entry in entries {
        match column_rule(&entry.value) {
            Some(rule) => drop(rules.insert(entry.key.clone(), rule)),
            None => {
                let written = entry.value.scalar_text().unwrap_or_default();
                let slip = suggest::closest(&written, ["exact", "ignore"]);
                let hint = match slip {
                    Some(found) => format!("did you mean `{found}`?"),
                    None => "write `exact`, `ignore`, `{abs: 0.01}` or `{rel: 0.01}`, not below 0"
                        .to_owned(),
                };
                let message = format!("column `{}` has no rule that `compare` knows", entry.key);
                let label = match entry.value.scalar_text() {
                    Some(text) => format!("`{}` is no rule", printable(&text)),
                    None => "not a rule".to_owned(),
                };
                report.push(Diagnostic::new(entry.value.location, message, label).hint(hint));
            }
        }
    }
    rules
}

fn column_rule(node: &Node) -> Option<ColumnRule> {
    match &node.value {
        Value::Text(text) if text == "exact" => Some(ColumnRule::Exact),
        Value::Text(text) if text == "ignore" => Some(ColumnRule::Ignore),
        Value::Map(entries) => {
            let [entry] = &entries[..] else { return None };
            let Value::Number(number) = &entry.value.value else {
                return None;
            };
            let bound = number.as_f64().filter(|bound| *bound >= 0.0)?;
            match entry.key.as_str() {
                "abs" => Some(ColumnRule::Absolute(bound)),
                "rel" => Some(ColumnRule::Relative(bound)),
                _ => None,
            }
        }
        _ => None,
    }
}
