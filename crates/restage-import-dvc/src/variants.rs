//! DVC's `foreach` and `matrix` as ours. Ours need names that a stage can have, and take no lists
//! of maps: such data are written out as a map.

use super::params::{entry, map};
use super::template::{Context, escaped};
use restage_core::span::Location;
use restage_pipeline::expand::Variant;
use restage_pipeline::node::{Entry, Node, Value, is_name};

/// What a stage is expanded over.
pub(super) struct Variants {
    /// `foreach` or `matrix`.
    pub(super) field: &'static str,
    /// Its value in our file.
    pub(super) data: Node,
    /// The instances.
    pub(super) all: Vec<Variant>,
    /// What DVC calls each of them.
    pub(super) names: Vec<String>,
    /// Whether an instance has another name than in DVC.
    pub(super) renamed: bool,
    /// A comment on it for the file.
    pub(super) change: Option<String>,
}

pub(super) fn foreach(data: &Node, context: &Context<'_>) -> Result<Variants, String> {
    let resolved = context.resolve(data)?;
    let mut all: Vec<Variant> = Vec::new();
    let mut as_it_is = true;
    match &resolved.value {
        Value::Map(entries) => {
            for Entry { key, value, .. } in entries {
                let (key, item) = (key.clone(), value.clone());
                all.push(Variant { key, item });
            }
        }
        Value::List(items) => {
            let scalars = items.iter().all(|item| item.scalar_text().is_some());
            for (n, item) in items.iter().enumerate() {
                let key = match item.scalar_text().filter(|_| scalars) {
                    Some(text) => text,
                    None => n.to_string(),
                };
                as_it_is &= scalars && item.value != Value::Null;
                let again = all.iter().any(|variant| variant.key == key);
                as_it_is &= !again;
                if !again {
                    let item = item.clone();
                    all.push(Variant { key, item });
                }
            }
        }
        _ => return Err(format!("it is {}, not a list or a map", resolved.kind())),
    }
    finish("foreach", data, &resolved, context, all, as_it_is)
}

pub(super) fn matrix(data: &Node, context: &Context<'_>) -> Result<Variants, String> {
    let resolved = context.resolve(data)?;
    let mut all = vec![(String::new(), Vec::new())];
    let mut as_it_is = true;
    for axis in resolved.entries() {
        let keys: Vec<Node>;
        let items = match &axis.value.value {
            Value::List(items) => items,
            // DVC takes a map for the list of its keys.
            Value::Map(entries) => {
                as_it_is = false;
                let key = |entry: &Entry| Value::Text(entry.key.clone());
                let all = entries.iter().map(key);
                keys = all.map(|key| Node::new(key, Location::default())).collect();
                &keys
            }
            _ => {
                return Err(format!(
                    "`{}` is {}, not a list",
                    axis.key,
                    axis.value.kind()
                ));
            }
        };
        as_it_is &= axis.key != "exclude";
        let mut next = Vec::new();
        for (name, chosen) in &all {
            for (n, item) in items.iter().enumerate() {
                let part = match item.scalar_text() {
                    Some(text) => text,
                    None => format!("{}{n}", axis.key),
                };
                as_it_is &= item.scalar_text().is_some() && item.value != Value::Null;
                let name = match name.as_str() {
                    "" => part,
                    name => format!("{name}-{part}"),
                };
                let mut chosen: Vec<Entry> = chosen.clone();
                chosen.push(entry(&axis.key, item.clone()));
                next.push((name, chosen));
            }
        }
        if next.len() > 10_000 {
            return Err("it has more than 10000 combinations".to_owned());
        }
        all = next;
    }
    let all = all.into_iter();
    let all = all.map(|(key, chosen)| Variant {
        key,
        item: map(chosen),
    });
    finish("matrix", data, &resolved, context, all.collect(), as_it_is)
}

/// With the data as they are if possible, else as a map of instances.
fn finish(
    field: &'static str,
    data: &Node,
    resolved: &Node,
    context: &Context<'_>,
    mut all: Vec<Variant>,
    as_it_is: bool,
) -> Result<Variants, String> {
    if all.is_empty() {
        return Err("it has nothing to expand".to_owned());
    }
    let mut renamed = false;
    let theirs = all.iter().map(|variant| variant.key.clone()).collect();
    for variant in all.iter_mut().filter(|variant| !is_name(&variant.key)) {
        renamed = true;
        let key = variant.key.chars();
        variant.key = key
            .map(|c| if is_name(&c.to_string()) { c } else { '-' })
            .collect();
        if variant.key.is_empty() {
            variant.key.push('-');
        }
    }
    let mut names: Vec<&str> = all.iter().map(|variant| variant.key.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two instances would have one name".to_owned());
    }
    if as_it_is && !renamed {
        return Ok(Variants {
            field,
            data: ours(data, resolved, context),
            all,
            names: theirs,
            renamed,
            change: None,
        });
    }
    let entries = all
        .iter()
        .map(|variant| entry(&variant.key, literal(&variant.item)));
    let reason = match renamed {
        true => "names that a stage can have",
        false => "a name for each instance",
    };
    Ok(Variants {
        field: "foreach",
        data: map(entries.collect()),
        change: Some(format!("`{field}` is written out as a map: {reason}")),
        all,
        names: theirs,
        renamed,
    })
}

/// References where ours mean the same, otherwise values.
fn ours(data: &Node, resolved: &Node, context: &Context<'_>) -> Node {
    if let Some(reference) = context.whole(data) {
        return Node::new(Value::Text(reference), Location::default());
    }
    match (&data.value, &resolved.value) {
        (Value::Map(from), Value::Map(to)) if from.len() == to.len() => {
            let pairs = from.iter().zip(to);
            map(pairs
                .map(|(from, to)| entry(&to.key, ours(&from.value, &to.value, context)))
                .collect())
        }
        _ => literal(resolved),
    }
}

/// A value that our templates leave alone.
fn literal(node: &Node) -> Node {
    let value = match &node.value {
        Value::Text(text) => Value::Text(escaped(text)),
        Value::List(items) => Value::List(items.iter().map(literal).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|found| entry(&found.key, literal(&found.value)))
                .collect(),
        ),
        other => other.clone(),
    };
    Node::new(value, Location::default())
}
