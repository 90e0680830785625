//! What differs between two keys, in words. It does not know the hash rule: it compares what
//! [`StageKey::explain`] returns.

use std::collections::BTreeMap;
use std::fmt;

use super::hash::Digest;
use super::key::StageKey;

/// One ingredient that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What people call it: `param train.epochs`, `dep data/x.bin`, `code`.
    pub label: String,
    /// Its value before; `None` if it was not part of the key.
    pub old: Option<String>,
    /// Its value now; `None` if it is no longer part of the key.
    pub new: Option<String>,
}

/// Every ingredient that differs, in the order of `new`; those that only `old` has come last.
pub fn diff(old: &StageKey, new: &StageKey) -> Vec<Change> {
    let mut changes = differing_lines(&lines(old), &lines(new));
    if changes.is_empty() && old.digest() != new.digest() {
        // The same values, declared as `train` before and as `train.epochs` now.
        let declared = |key: &StageKey| {
            Some(
                key.params
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        };
        changes.push(Change {
            label: "declared params".to_owned(),
            old: declared(old),
            new: declared(new),
        });
    }
    changes
}

fn differing_lines(old: &Grouped, new: &Grouped) -> Vec<Change> {
    let mut changes = Vec::new();
    for (label, values) in &new.ordered {
        let before = old.by_label.get(label);
        compare(
            label,
            before.map_or(&[], Vec::as_slice),
            values,
            &mut changes,
        );
    }
    for (label, values) in &old.ordered {
        if !new.by_label.contains_key(label) {
            compare(label, values, &[], &mut changes);
        }
    }
    changes
}

struct Grouped {
    ordered: Vec<(String, Vec<String>)>,
    by_label: BTreeMap<String, Vec<String>>,
}

/// Values by label: a glob's label has one for each path that it matched.
fn lines(key: &StageKey) -> Grouped {
    let mut by_label: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    for (label, value) in key.explain() {
        let values = by_label.entry(label.clone()).or_default();
        if values.is_empty() {
            order.push(label);
        }
        values.push(value);
    }
    let ordered = order
        .into_iter()
        .map(|label| (label.clone(), by_label[&label].clone()))
        .collect();
    Grouped { ordered, by_label }
}

fn compare(label: &str, old: &[String], new: &[String], changes: &mut Vec<Change>) {
    let change = |old: Option<&String>, new: Option<&String>| Change {
        label: label.to_owned(),
        old: old.cloned(),
        new: new.cloned(),
    };
    if let ([old], [new]) = (old, new) {
        if old != new {
            changes.push(change(Some(old), Some(new)));
        }
        return;
    }
    changes.extend(
        new.iter()
            .filter(|v| !old.contains(v))
            .map(|v| change(None, Some(v))),
    );
    changes.extend(
        old.iter()
            .filter(|v| !new.contains(v))
            .map(|v| change(Some(v), None)),
    );
}

/// `param train.lr: 0.001 -> 0.0005`; digests are cut to 12 digits, and left out where the words
/// before them say what differs: `package numpy: 2.2.6 -> 2.4.6`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = &self.label;
        if let (Some(old), Some(new)) = (&self.old, &self.new)
            && let (Some((old, _)), Some((new, _))) = (with_digest(old), with_digest(new))
            && old != new
        {
            return write!(f, "{label}: {old} -> {new}");
        }
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{label}: {} -> {}", short(old), short(new)),
            (None, Some(new)) => write!(f, "{label}: new, {}", short(new)),
            (Some(old), None) => write!(f, "{label}: gone, was {}", short(old)),
            (None, None) => write!(f, "{label}"),
        }
    }
}

/// Words and the digest that follows them.
fn with_digest(value: &str) -> Option<(&str, Digest)> {
    let (words, last) = value.rsplit_once(' ')?;
    Some((words, last.parse().ok()?))
}

fn short(value: &str) -> String {
    match (with_digest(value), value.parse::<Digest>()) {
        (Some((words, digest)), _) => format!("{words} {}", digest.short()),
        (None, Ok(digest)) => digest.short(),
        (None, Err(_)) => value.to_owned(),
    }
}
