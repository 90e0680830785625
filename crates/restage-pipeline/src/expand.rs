//! `foreach` and `matrix`: the instances of a stage.

use std::collections::HashSet;

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Key, Kind, Mapping, TEMPLATE, expected};
use super::node::{Entry, Node, Value, is_name, printable};
use super::table::{self, TABLE};
use super::template::Templates;
use restage_core::span::Location;
use restage_core::suggest;

/// More instances than anyone means to run.
pub(crate) const INSTANCES: usize = 100_000;

/// What `foreach` may hold.
pub(crate) const FOREACH: Kind = Kind::OneOf(&[
    Kind::Named("a template that stands for a map or list", &Kind::Text),
    Kind::List(&Kind::Scalar),
    Kind::Map(&TABLE),
    Kind::Tree,
]);

/// What `matrix` may hold. Its keys are the axes' names, so it is read by hand.
pub(crate) static MATRIX: Mapping<()> = Mapping {
    about: About {
        others: Some(&Kind::OneOf(&[Kind::List(&Kind::Scalar), TEMPLATE])),
        ..About::new(
            "Matrix",
            "A matrix",
            "a matrix",
            "Values by axis: any name that is not a field below. The first axis changes slowest.",
        )
    },
    fields: &[(
        Field::optional(
            "exclude",
            Kind::List(&Kind::ByName(&Kind::Scalar)),
            "none",
            "Combinations to leave out: all that have every value of an item.",
        )
        .key(Key::Outside)
        .example("matrix: {rate: [1, 2], model: [a, b], exclude: [{rate: 1, model: b}]}"),
        None,
    )],
};

/// What tells one instance from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// `${key}`, and the name after `@`.
    pub key: String,
    /// `${item}`.
    pub item: Node,
}

/// `foreach: ${models}`: a map's keys and values, a list's items, or a table's rows.
pub(crate) fn foreach(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Option<Vec<Variant>> {
    let owner = templates.owner;
    if table::is_meant(&entry.value) {
        let before = report.len();
        let rows = table::rows(entry, templates, report)?.into_iter();
        let variants = rows.map(|(key, at, item)| (Variant { key, item }, at));
        let variants = named(
            variants.collect(),
            &entry.key_location,
            "foreach",
            owner,
            report,
        );
        return variants.filter(|_| report.len() == before);
    }
    let node = templates.value(&entry.value, report)?;
    let variants: Vec<(Variant, Location)> =
        match node.value {
            Value::Map(entries) => entries
                .into_iter()
                .map(|entry| {
                    (
                        Variant {
                            key: entry.key,
                            item: entry.value,
                        },
                        node.location,
                    )
                })
                .collect(),
            Value::List(items) => {
                let mut variants = Vec::with_capacity(items.len());
                for item in items {
                    variants.push((
                        Variant {
                            key: name_of(&item, "foreach", owner, report)?,
                            item,
                        },
                        node.location,
                    ));
                }
                variants
            }
            _ => {
                report.push(expected(&node, "foreach", owner, "a list or a map").hint(
                    "write `foreach: ${..}` with a map or list among the `params`, or `[a, b]`",
                ));
                return None;
            }
        };
    named(variants, &node.location, "foreach", owner, report)
}

/// `matrix: {seed: [1, 2], model: [a, b]}`: every combination, the first axis slowest.
pub(crate) fn matrix(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Option<Vec<Variant>> {
    let owner = templates.owner;
    let node = templates.value(&entry.value, report)?;
    let at = node.location;
    let Value::Map(entries) = &node.value else {
        report.push(
            expected(&node, "matrix", owner, "a map of lists")
                .hint("write `matrix: {seed: [1, 2], model: [a, b]}`"),
        );
        return None;
    };
    let mut axes = Vec::new();
    let mut excludes: &[Node] = &[];
    let mut sound = true;
    for entry in entries {
        match (&entry.value.value, entry.key.as_str()) {
            (Value::List(items), "exclude") => excludes = items,
            (Value::List(items), _) if !items.is_empty() => {
                let names: Vec<_> = items
                    .iter()
                    .map(|item| name_of(item, &entry.key, owner, report))
                    .collect();
                match names.into_iter().collect::<Option<Vec<String>>>() {
                    Some(names) => axes.push(Axis {
                        name: &entry.key,
                        items,
                        names,
                    }),
                    None => sound = false,
                }
            }
            (_, key) => {
                let what = format!("matrix.{key}");
                report.push(expected(
                    &entry.value,
                    &what,
                    owner,
                    "a list of at least one value",
                ));
                sound = false;
            }
        }
    }
    for exclude in excludes {
        sound &= check_exclude(exclude, &axes, owner, report);
    }
    if !sound {
        return None;
    }
    let total = axes
        .iter()
        .try_fold(1, |total: usize, axis| total.checked_mul(axis.items.len()));
    let Some(total) = total.filter(|total| *total <= INSTANCES) else {
        let message = format!("`matrix` of {owner} has more than {INSTANCES} combinations");
        report.push(Diagnostic::new(entry.key_location, message, "too many"));
        return None;
    };
    let total = if axes.is_empty() { 0 } else { total };
    let mut variants = Vec::with_capacity(total);
    for n in 0..total {
        // The last axis changes fastest, like the digits of a number.
        let mut rest = n;
        let mut picks: Vec<usize> = axes
            .iter()
            .rev()
            .map(|axis| {
                let pick = rest % axis.items.len();
                rest /= axis.items.len();
                pick
            })
            .collect();
        picks.reverse();
        if excludes
            .iter()
            .any(|exclude| is_excluded(exclude, &axes, &picks))
        {
            continue;
        }
        let parts: Vec<&str> = axes
            .iter()
            .zip(&picks)
            .map(|(axis, pick)| axis.names[*pick].as_str())
            .collect();
        let item = axes.iter().zip(&picks).map(|(axis, pick)| Entry {
            key: axis.name.to_owned(),
            key_location: at,
            value: axis.items[*pick].clone(),
        });
        let item = Node::new(Value::Map(item.collect()), at);
        variants.push((
            Variant {
                key: parts.join("-"),
                item,
            },
            at,
        ));
    }
    named(variants, &entry.key_location, "matrix", owner, report)
}

struct Axis<'a> {
    name: &'a str,
    items: &'a [Node],
    names: Vec<String>,
}

/// The text that stands for a list's item in an instance's name.
fn name_of(item: &Node, field: &str, owner: &str, report: &mut Vec<Diagnostic>) -> Option<String> {
    let name = match item.value {
        Value::Null => None,
        _ => item.scalar_text(),
    };
    if name.is_none() {
        report.push(
            Diagnostic::new(
                item.location,
                format!("an item of `{field}` of {owner} cannot name an instance"),
                format!("this is {}", item.kind()),
            )
            .hint("use text or numbers in a list; values of other kinds go into a map, whose keys are the names"),
        );
    }
    name
}

/// Checks what all instances have in common: names that work, each once, at least one.
fn named(
    variants: Vec<(Variant, Location)>,
    at: &Location,
    field: &str,
    owner: &str,
    report: &mut Vec<Diagnostic>,
) -> Option<Vec<Variant>> {
    if variants.is_empty() {
        report.push(
            Diagnostic::new(
                *at,
                format!("`{field}` of {owner} has nothing to expand"),
                "no instance is left",
            )
            .hint("give it at least one value, or remove the stage"),
        );
        return None;
    }
    let mut seen = HashSet::new();
    let mut sound = true;
    for (variant, location) in &variants {
        let key = &variant.key;
        if !is_name(key) {
            sound = false;
            let message = format!("`{}` cannot name an instance of {owner}", printable(key));
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let plain: String = key.chars().map(|c| if fits(c) { c } else { '_' }).collect();
            let mut hint = "names are made of letters, digits, `_`, `.` and `-`".to_owned();
            if is_name(&plain) {
                hint += &format!(": write `{plain}`");
            }
            report.push(Diagnostic::new(*location, message, "expands to this name").hint(hint));
        } else if !seen.insert(key.as_str()) {
            sound = false;
            let message = format!("`{field}` of {owner} makes two instances named `{key}`");
            report.push(
                Diagnostic::new(*location, message, "expands to one name twice")
                    .hint("give each instance values that make a different name"),
            );
        }
    }
    sound.then(|| variants.into_iter().map(|(variant, _)| variant).collect())
}

fn check_exclude(
    exclude: &Node,
    axes: &[Axis<'_>],
    owner: &str,
    report: &mut Vec<Diagnostic>,
) -> bool {
    if exclude.entries().is_empty() {
        report.push(
            expected(exclude, "matrix.exclude", owner, "a list of maps")
                .hint("write `exclude: [{seed: 1, model: b}]`"),
        );
        return false;
    }
    let mut sound = true;
    for entry in exclude.entries() {
        let Some(axis) = axes.iter().find(|axis| axis.name == entry.key) else {
            let message = format!(
                "`exclude` of {owner} names `{}`, which is not an axis",
                entry.key
            );
            let hint = suggest::hint_among(
                &entry.key,
                "the axes are",
                axes.iter().map(|axis| axis.name),
            );
            report.push(
                Diagnostic::new(entry.key_location, message, "no such axis").maybe_hint(hint),
            );
            sound = false;
            continue;
        };
        let wanted = entry.value.scalar_text().unwrap_or_default();
        if !axis.names.contains(&wanted) {
            let message = format!(
                "`exclude` of {owner} names a value that `{}` never has",
                axis.name
            );
            let hint = suggest::hint_among(
                &wanted,
                "its values are",
                axis.names.iter().map(String::as_str),
            );
            report.push(
                Diagnostic::new(entry.value.location, message, "excludes nothing").maybe_hint(hint),
            );
            sound = false;
        }
    }
    sound
}

fn is_excluded(exclude: &Node, axes: &[Axis<'_>], picks: &[usize]) -> bool {
    axes.iter()
        .zip(picks)
        .all(|(axis, pick)| match exclude.get(axis.name) {
            Some(value) => value.scalar_text().as_ref() == Some(&axis.names[*pick]),
            None => true,
        })
}
