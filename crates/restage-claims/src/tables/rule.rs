//! All rules that a file matches, merged into one.

use std::collections::BTreeMap;

use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::{ColumnRule, CompareRule};

/// How one file is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveRule {
    /// Columns that name a row; empty: rows are compared in order.
    pub key: Vec<String>,
    /// Rules of columns by name.
    pub columns: BTreeMap<String, ColumnRule>,
    /// The rule of every other column.
    pub others: ColumnRule,
}

impl Default for EffectiveRule {
    /// Everything, exactly, in order.
    fn default() -> Self {
        Self {
            key: Vec::new(),
            columns: BTreeMap::new(),
            others: ColumnRule::Exact,
        }
    }
}

impl EffectiveRule {
    /// The rule of a column; of a value in JSON or YAML also by its path with a `/` before it.
    pub fn of(&self, column: &str) -> ColumnRule {
        let found = self.columns.get(column);
        let found = found.or_else(|| self.columns.get(&format!("/{column}")));
        found.copied().unwrap_or(self.others)
    }
}

/// The rules that match `path`, merged in order; `None` if none does.
///
/// If two rules are for the same column, or for `*`, the later wins, and so does the later key that
/// is not empty. A column's own rule beats `*`, whatever their order. An invalid pattern matches
/// nothing: loading the pipeline refuses it.
pub fn effective_rule(rules: &[CompareRule], path: &RelPath) -> Option<EffectiveRule> {
    let mut effective = None;
    for rule in rules.iter().filter(|rule| applies(rule, path)) {
        let merged: &mut EffectiveRule = effective.get_or_insert_default();
        if !rule.key.is_empty() {
            merged.key.clone_from(&rule.key);
        }
        for (column, rule) in &rule.columns {
            match column.as_str() {
                "*" => merged.others = *rule,
                _ => drop(merged.columns.insert(column.clone(), *rule)),
            }
        }
    }
    effective
}

/// Whether a rule is for the file at `path`.
pub fn applies(rule: &CompareRule, path: &RelPath) -> bool {
    let pattern = rule.files.as_str();
    // Most files are in other folders than the rule's: don't compile the pattern for them.
    let plain = pattern
        .trim_start_matches("./")
        .split(['*', '?', '[', '{', '\\'])
        .next();
    let near = plain.is_some_and(|plain| {
        plain.contains("//") || plain.contains("/./") || {
            let length = plain.len().min(path.as_str().len());
            path.as_str().as_bytes()[..length] == plain.as_bytes()[..length]
        }
    });
    near && Glob::new(pattern).is_ok_and(|glob| glob.matches(path))
}
