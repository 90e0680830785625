//! `seeds`: one stage with several seeds.

use std::collections::HashSet;

use super::diagnostic::Diagnostic;
use super::fields::{Kind, expected};
use super::node::{Entry, Node, Value, printable};
use super::params;
use super::template::{SEED, Templates};

/// More seeds than anyone means to run.
const MOST: u64 = 10_000;

/// What `seeds` may hold.
pub(crate) const SEEDS: Kind = Kind::OneOf(&[
    Kind::Count(1, MOST),
    Kind::Some(&Kind::Scalar),
    Kind::Named("a template that stands for one of them", &Kind::Text),
]);

type Report = Vec<Diagnostic>;

/// The seeds, in order, each once, at least one; `None` was reported. A count stands for the
/// parameter `seed` and those that follow it.
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Report,
) -> Option<Vec<Node>> {
    let node = templates.value(&entry.value, report)?;
    let seeds = match &node.value {
        Value::Number(_) => counted(&node, templates, report)?,
        Value::List(items) => listed(&node, items, templates.owner, report)?,
        _ => {
            let what = "a count, or a list of whole numbers";
            report.push(expected(&node, "seeds", templates.owner, what).hint(
                "write `seeds: 5`, `seeds: [42, 43]`, or `seeds: ${..}` with one of them among the `params`",
            ));
            return None;
        }
    };
    let seed = |seed: u64| Node::new(Value::Number(seed.into()), node.location);
    Some(seeds.into_iter().map(seed).collect())
}

fn counted(node: &Node, templates: &Templates<'_>, report: &mut Report) -> Option<Vec<u64>> {
    let owner = templates.owner;
    let at = node.location;
    let written = node.scalar_text().unwrap_or_default();
    let Some(count) = whole(node).filter(|count| *count > 0) else {
        let message = format!("`seeds` of {owner} must be a count of at least 1");
        report.push(
            Diagnostic::new(at, message, format!("`{written}` is not"))
                .hint("write `seeds: 1` for a single run, or `seeds: [42, 43]` for these two"),
        );
        return None;
    };
    if count > MOST {
        report.push(too_many(node, owner));
        return None;
    }
    let first = match params::find(templates.scope.params, SEED) {
        Ok(first) => first,
        Err(missing) => {
            let message = format!("`seeds` of {owner} counts from the parameter `seed`");
            report.push(
                Diagnostic::new(at, message, missing.label())
                    .hint("add `seed: 42` to the `params`, or list the seeds: `seeds: [42, 43]`"),
            );
            return None;
        }
    };
    let last = whole(first).and_then(|first| Some((first, first.checked_add(count - 1)?)));
    let Some((first, last)) = last else {
        let message = format!(
            "`seeds` of {owner} counts from the parameter `seed`, which cannot be counted from"
        );
        let found = first
            .scalar_text()
            .unwrap_or_else(|| first.kind().to_owned());
        let label = format!("`seed` is `{}`", printable(&found));
        report.push(
            Diagnostic::new(at, message, label)
                .hint("seeds are whole numbers from 0 to 18446744073709551615"),
        );
        return None;
    };
    Some((first..=last).collect())
}

fn listed(node: &Node, items: &[Node], owner: &str, report: &mut Report) -> Option<Vec<u64>> {
    if items.is_empty() {
        let message = format!("`seeds` of {owner} has no seed");
        report.push(
            Diagnostic::new(node.location, message, "no instance is left")
                .hint("give it at least one seed, or remove the stage"),
        );
        return None;
    }
    if items.len() as u64 > MOST {
        report.push(too_many(node, owner));
        return None;
    }
    let (mut seeds, mut seen, mut sound) = (Vec::new(), HashSet::new(), true);
    for item in items {
        let written = item.scalar_text().unwrap_or_else(|| item.kind().to_owned());
        let error = match whole(item) {
            None => Diagnostic::new(
                item.location,
                format!("a seed of {owner} must be a whole number, 0 or more"),
                format!("`{}` is not", printable(&written)),
            ),
            Some(seed) if !seen.insert(seed) => Diagnostic::new(
                item.location,
                format!("`seeds` of {owner} has `{seed}` twice"),
                "again here",
            )
            .hint("the same seed gives the same result: remove it, or write another"),
            Some(seed) => {
                seeds.push(seed);
                continue;
            }
        };
        report.push(error);
        sound = false;
    }
    sound.then_some(seeds)
}

fn too_many(node: &Node, owner: &str) -> Diagnostic {
    let message = format!("`seeds` of {owner} are more than {MOST}");
    Diagnostic::new(node.location, message, "too many")
        .hint("each makes its own instance; write as many as will be run")
}

fn whole(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}
