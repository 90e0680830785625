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
    /// The rule of a column; `path`: it is the path of a value, without the leading `/`.
    ///
    /// A column's own name beats a pattern, and a longer pattern a shorter one.
    pub fn of(&self, column: &str, path: bool) -> ColumnRule {
        let own = self.columns.get(column);
        let found = own.or_else(|| match path {
            true => self.of_path(column),
            false => None,
        });
        found.copied().unwrap_or(self.others)
    }

    fn of_path(&self, path: &str) -> Option<&ColumnRule> {
        let own = self.columns.get(&format!("/{path}"));
        own.or_else(|| {
            let patterns = self.columns.iter();
            let fitting = patterns.filter(|(name, _)| fits(name, path, true));
            fitting
                .max_by_key(|(name, _)| name.len())
                .map(|(_, rule)| rule)
        })
    }

    /// Whether a column is one of those that name a row.
    pub(super) fn is_key(&self, column: &str) -> bool {
        self.key.iter().any(|key| key == column)
    }
}

/// Whether a name under `columns:` means a column; `path`: the column is the path of a value, without
/// the leading `/`.
///
/// In a path, `*` stands for any text of a part. Rows of a list may be named too: `/*/loss` is the
/// column `loss`.
pub fn fits(name: &str, column: &str, path: bool) -> bool {
    if name == column {
        return true;
    }
    if !path || name == "*" {
        return false;
    }
    let plain = name.strip_prefix('/').unwrap_or(name);
    let same = |pattern: &str| {
        let (parts, of) = (pattern.split('/'), column.split('/'));
        parts.clone().count() == of.clone().count()
            && parts.zip(of).all(|(part, of)| part_fits(part, of))
    };
    same(plain) || plain.strip_prefix("*/").is_some_and(same)
}

fn part_fits(pattern: &str, part: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let Some(mut part) = part.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match part.find(piece) {
            Some(at) => part = &part[at + piece.len()..],
            None => return false,
        }
    }
    part.ends_with(end)
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
    is_for(&rule.files, path)
}

/// Whether a pattern matches a path; an invalid one matches nothing.
pub(super) fn is_for(pattern: &str, path: &RelPath) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_of_a_part_of_a_path() {
        for (name, column) in [
            ("/loss/*", "loss/train"),
            ("loss/*", "loss/train"),
            ("/*/train", "loss/train"),
            ("/*/loss", "loss"),
            ("/l*s/t*i*n", "loss/train"),
            ("/loss/*", "loss/"),
            ("/top*", "top1"),
            ("/acc", "acc"),
            ("acc", "acc"),
            ("/*", "acc"),
            ("/a*b*b", "abb"),
        ] {
            assert!(fits(name, column, true), "{name} {column}");
        }
        for (name, column) in [
            ("/loss/*", "loss"),
            ("/loss/*", "loss/a/b"),
            ("/loss", "loss/a"),
            ("*", "loss"),
            ("/l*s/*n", "loss/trait"),
            ("/a*a", "a"),
            ("/a*b*b", "ab"),
            ("//acc", "acc"),
        ] {
            assert!(!fits(name, column, true), "{name} {column}");
        }
        assert!(!fits("loss*", "loss1", false) && fits("loss*", "loss*", false));
        assert!(!fits("/acc", "acc", false));
    }

    #[test]
    fn a_name_beats_a_pattern_and_a_longer_pattern_a_shorter_one() {
        let rule = |bound| ColumnRule::absolute(bound);
        let columns = [
            ("/loss/*", 1.0),
            ("/loss/t*", 2.0),
            ("/loss/train", 3.0),
            ("loss/x", 4.0),
        ];
        let rules = EffectiveRule {
            columns: columns
                .map(|(name, bound)| (name.to_owned(), rule(bound)))
                .into(),
            ..EffectiveRule::default()
        };
        assert_eq!(rules.of("loss/train", true), rule(3.0));
        assert_eq!(rules.of("loss/test", true), rule(2.0));
        assert_eq!(rules.of("loss/val", true), rule(1.0));
        assert_eq!(rules.of("loss/x", true), rule(4.0));
        assert_eq!(rules.of("loss", true), ColumnRule::Exact);
        assert_eq!(rules.of("loss/val", false), ColumnRule::Exact);
    }
}
