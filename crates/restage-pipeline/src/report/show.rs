//! A table or figure of a report's section.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::diagnostic::Diagnostic;
use crate::fields::{About, Field, Kind, Mapping, expected, missing};
use crate::node::{Node, Value, printable};
use crate::pipeline::{Best, Show, Shown};
use restage_core::glob::Glob;

/// What pictures a page can hold, by the ends of their names.
const PICTURES: [&str; 6] = ["svg", "png", "jpg", "jpeg", "webp", "gif"];

const TABLES: [&str; 8] = [
    "csv", "tsv", "json", "jsonl", "ndjson", "yaml", "yml", "toml",
];
const OWNER: &str = "an item of `show`";

pub(super) static SHOW: Mapping<fn(&mut Reader<'_>, &mut Parts, &Node)> = Mapping {
    about: About {
        one_of: &[&["table"], &["figure", "alt"]],
        ..About::new(
            "Show",
            "An item of `show`",
            "a shown item's",
            "A table or a figure, or several of a kind.",
        )
    },
    fields: &[
        (
            Field::sometimes(
                "table",
                Kind::Text,
                "unless there is `figure`",
                "A .csv or .tsv file, or a pattern for several. So is a .jsonl file, and a .json, .yaml \
                 or .toml file that holds a list of objects. Any other such file is shown as its values \
                 by their paths, or, where a pattern matches it, in one table with a row for each file.",
            )
            .words(&["csv", "tables", "file"]),
            Some(|reader, parts, node| parts.files = reader.files(node, "table", &TABLES)),
        ),
        (
            Field::sometimes(
                "figure",
                Kind::Text,
                "unless there is `table`",
                "A picture (.svg, .png, .jpg, .webp, .gif), or a pattern for several.",
            )
            .words(&["image", "img", "picture", "plot", "svg", "figures"]),
            Some(|reader, parts, node| parts.files = reader.files(node, "figure", &PICTURES)),
        ),
        (
            Field::sometimes(
                "alt",
                Kind::Text,
                "with `figure`",
                "What the figure shows, for those who can't see it.",
            )
            .words(&["alternative", "alt_text"]),
            Some(|reader, parts, node| parts.alt = reader.text(node, "alt", OWNER)),
        ),
        (
            Field::optional(
                "caption",
                Kind::Text,
                "none",
                "The text next to the table or figure.",
            )
            .words(&["text", "title", "desc"]),
            Some(|reader, parts, node| parts.caption = reader.text(node, "caption", OWNER)),
        ),
        (
            Field::optional(
                "columns",
                Kind::ByName(&Kind::Text),
                "all, as the file has them",
                "A table's columns with their headings, in the order in which they are shown. In a .json, \
                 .yaml or .toml file, columns are the paths of its values: `loss/train`.",
            )
            .example("columns: {model: Model, test_accuracy: Test accuracy}")
            .words(&["headings", "cols", "column"]),
            Some(|reader, parts, node| reader.columns(parts, node)),
        ),
        (
            Field::optional(
                "best",
                Kind::ByName(&Kind::Word(&["max", "min"])),
                "none",
                "A table's columns whose best cell is bold: the greatest (`max`) or the least \
                 (`min`).",
            )
            .example("best: {test_accuracy: max}")
            .words(&["highlight", "bold"]),
            Some(|reader, parts, node| reader.best(parts, node)),
        ),
        (
            Field::optional(
                "folded",
                Kind::Flag,
                "false",
                "Whether a table is hidden until a reader opens it.",
            )
            .words(&["fold", "collapsed", "details", "closed"]),
            Some(|reader, parts, node| reader.folded(parts, node)),
        ),
    ],
};

/// What an item says.
#[derive(Default)]
pub(crate) struct Parts {
    files: Option<Glob>,
    alt: Option<String>,
    caption: Option<String>,
    columns: Vec<(String, String)>,
    best: BTreeMap<String, Best>,
    folded: bool,
}

impl Reader<'_> {
    pub(super) fn shown(&mut self, node: &Node) -> Option<Show> {
        // What is meant by a field that is not known decides what the others mean.
        if !SHOW.check(node, OWNER, self.errors)? {
            return None;
        }
        let (kind, foreign): (_, &[&str]) = match (node.get("table"), node.get("figure")) {
            (Some(_), None) => ("table", &["alt"]),
            (None, Some(_)) => ("figure", &["columns", "best", "folded"]),
            (both, _) => {
                let (message, label) = match both {
                    Some(_) => ("is both a table and a figure", "one of the two"),
                    None => ("is neither a table nor a figure", "expected one of the two"),
                };
                let error = Diagnostic::new(node.location, format!("{OWNER} {message}"), label);
                self.errors.push(error.hint(
                    "write `- table: \"results/a.csv\"` or `- {figure: \"a.svg\", alt: ..}`",
                ));
                return None;
            }
        };
        if let Some(entry) = foreign.iter().find_map(|field| node.entry(field)) {
            let message = format!("`{}` does not go with `{kind}` in {OWNER}", entry.key);
            let label = format!("not a {kind}'s field");
            self.errors
                .push(Diagnostic::new(entry.key_location, message, label));
        }
        let mut parts = Parts::default();
        for (read, entry) in SHOW.present(node) {
            read(self, &mut parts, &entry.value);
        }
        let location = node.get(kind)?.location;
        let shown = if kind == "table" {
            Shown::Table {
                columns: parts.columns,
                best: parts.best,
                folded: parts.folded,
            }
        } else {
            if node.get("alt").is_none() {
                let hint = "write `alt: \"..\"`: what the figure shows, for those who can't see it";
                self.errors.push(missing(location, "a figure", "alt", hint));
            }
            Shown::Figure { alt: parts.alt? }
        };
        Some(Show {
            files: parts.files?,
            shown,
            caption: parts.caption,
            location,
        })
    }

    /// A path or pattern whose end says what it is.
    fn files(&mut self, node: &Node, kind: &str, ends: &[&str]) -> Option<Glob> {
        let Value::Text(_) = node.value else {
            let what = "text: a path or a pattern";
            self.errors.push(expected(node, kind, OWNER, what));
            return None;
        };
        let text = self.templates.text(node, self.errors)?;
        let wrong = match Glob::new(&text) {
            Ok(glob) => {
                let end = text.rsplit_once('.').map_or("", |(_, end)| end);
                if ends.contains(&end.to_lowercase().as_str()) {
                    return Some(glob);
                }
                format!("expected a name that ends in .{}", ends.join(", ."))
            }
            Err(error) => error.to_string(),
        };
        let message = format!(
            "`{}` is not a {kind} that a page can show",
            printable(&text)
        );
        self.errors
            .push(Diagnostic::new(node.location, message, wrong));
        None
    }

    fn columns(&mut self, parts: &mut Parts, node: &Node) {
        let Value::Map(entries) = &node.value else {
            let error = expected(node, "columns", OWNER, "a map from column to heading");
            self.errors
                .push(error.hint("write `columns: {test_accuracy: Test accuracy}`"));
            return;
        };
        for entry in entries {
            if let Value::Text(_) = entry.value.value {
                let heading = self.templates.text(&entry.value, self.errors);
                let column = heading.map(|heading| (entry.key.clone(), heading));
                parts.columns.extend(column);
            } else {
                let error = expected(&entry.value, &entry.key, "`columns`", "a heading");
                self.errors.push(error);
            }
        }
    }

    fn best(&mut self, parts: &mut Parts, node: &Node) {
        if !matches!(node.value, Value::Map(_)) {
            let error = expected(node, "best", OWNER, "a map from column to `max` or `min`");
            self.errors
                .push(error.hint("write `best: {test_accuracy: max}`"));
        }
        for entry in node.entries() {
            let best = match &entry.value.value {
                Value::Text(text) if text == "max" => Best::Max,
                Value::Text(text) if text == "min" => Best::Min,
                _ => {
                    let error = expected(&entry.value, &entry.key, "`best`", "`max` or `min`");
                    self.errors.push(error);
                    continue;
                }
            };
            parts.best.insert(entry.key.clone(), best);
        }
    }

    fn folded(&mut self, parts: &mut Parts, node: &Node) {
        match node.value {
            Value::Bool(folded) => parts.folded = folded,
            _ => self
                .errors
                .push(expected(node, "folded", OWNER, "true or false")),
        }
    }
}
