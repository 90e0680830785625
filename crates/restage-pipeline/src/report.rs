//! `report:`, the page that shows results: what it is called and which tables and figures it has.
//! It must not know the disk, nor what a page looks like.

mod fields;

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::fields::expected;
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Best, Fact, Report, Section, Show, Shown};
use super::template::Templates;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

pub(crate) use fields::{FACT, REPORT, SECTION, SHOW};

/// What pictures a page can hold, by the ends of their names.
pub const PICTURES: [&str; 6] = ["svg", "png", "jpg", "jpeg", "webp", "gif"];

type Errors = Vec<Diagnostic>;

/// Reads the section; the owner in `templates` is "`report`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Errors,
) -> Option<Report> {
    let mut reader = Reader { templates, report };
    let node = &entry.value;
    let before = reader.report.len();
    let unknown = REPORT.check(node, "`report`", reader.report)?;
    let path = reader.path(node);
    let title = reader.text(node, "title", "`report`");
    if node.get("title").is_none() && unknown == 0 {
        let hint = "write `title: \"..\"`: it stands at the top of the page";
        reader.missing(entry.key_location, "`report`", "title", hint);
    }
    let text = reader.text(node, "text", "`report`");
    let facts = reader.facts(node);
    let sections = reader.list(node, "sections", "`report`", Reader::section);
    if reader.report.len() > before {
        return None;
    }
    Some(Report {
        path: path?,
        title: title?,
        text,
        facts,
        sections,
        location: entry.key_location,
    })
}

struct Reader<'a, 't> {
    templates: &'a Templates<'t>,
    report: &'a mut Errors,
}

impl Reader<'_, '_> {
    fn path(&mut self, node: &Node) -> Option<RelPath> {
        let Some(node) = node.get("path") else {
            return RelPath::new("report.html").ok();
        };
        let text = self.templates.text(node, self.report)?;
        let wrong = match RelPath::new(&text) {
            Ok(path) if path.as_str().ends_with(".html") => return Some(path),
            Ok(_) => "expected a name that ends in `.html`".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("`path` of `report` is no page: `{}`", printable(&text));
        self.report.push(
            Diagnostic::new(node.location, message, wrong)
                .hint("write `path: \"results/${profile}/report.html\"`"),
        );
        None
    }

    fn facts(&mut self, node: &Node) -> Vec<Fact> {
        let Some(node) = node.get("facts") else {
            return Vec::new();
        };
        if !matches!(node.value, Value::Map(_)) {
            self.report.push(
                expected(
                    node,
                    "facts",
                    "`report`",
                    "a map from name to a table's cell",
                )
                .hint("write `facts: {Data: {table: \"a.csv\", row: 1, column: source}}`"),
            );
        }
        let facts = node.entries().iter();
        facts.filter_map(|entry| self.fact(entry)).collect()
    }

    fn fact(&mut self, entry: &Entry) -> Option<Fact> {
        let owner = "a fact of `report`";
        let node = &entry.value;
        let unknown = FACT.check(node, owner, self.report)?;
        for field in FACT.known {
            if node.get(field).is_none() && unknown == 0 {
                let hint = "write `Data: {table: \"a.csv\", row: 1, column: source}`";
                self.missing(entry.key_location, owner, field, hint);
            }
        }
        let table = self.text(node, "table", owner);
        let row = match node.get("row").map(|row| &row.value) {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => self.text(node, "row", owner),
        };
        let column = self.text(node, "column", owner);
        let table = match RelPath::new(table.as_deref()?) {
            Ok(path) => Some(path),
            Err(error) => {
                let at = node
                    .get("table")
                    .map_or(node.location, |table| table.location);
                let message = format!("`table` of {owner} is no path in the pipeline's folder");
                let error = Diagnostic::new(at, message, error.to_string());
                self.report.push(error);
                None
            }
        };
        Some(Fact {
            name: entry.key.clone(),
            table: table?,
            row: row?,
            column: column?,
            location: entry.key_location,
        })
    }

    fn section(&mut self, node: &Node) -> Option<Section> {
        let owner = "a section of `report`";
        let unknown = SECTION.check(node, owner, self.report)?;
        let title = self.text(node, "title", owner);
        if node.get("title").is_none() && unknown == 0 {
            self.missing(node.location, owner, "title", "write `title: Results`");
        }
        let text = self.text(node, "text", owner);
        let show = self.list(node, "show", owner, Reader::show);
        Some(Section {
            title: title?,
            text,
            show,
        })
    }

    fn show(&mut self, node: &Node) -> Option<Show> {
        let owner = "an item of `show`";
        let before = self.report.len();
        SHOW.check(node, owner, self.report)?;
        if self.report.len() > before {
            return None;
        }
        let caption = self.text(node, "caption", owner);
        let has = |field: &str| node.get(field).is_some();
        let misplaced = |fields: &[&'static str]| fields.iter().copied().find(|field| has(field));
        let (kind, misplaced) = match (has("table"), has("figure")) {
            (true, false) => ("table", misplaced(&["alt"])),
            (false, true) => ("figure", misplaced(&["columns", "best", "folded"])),
            (both, _) => {
                let (message, label) = match both {
                    true => ("is both a table and a figure", "one of the two"),
                    false => ("is neither a table nor a figure", "expected one of the two"),
                };
                self.report.push(
                    Diagnostic::new(node.location, format!("{owner} {message}"), label).hint(
                        "write `- table: \"results/a.csv\"` or `- {figure: \"a.svg\", alt: ..}`",
                    ),
                );
                return None;
            }
        };
        if let Some(field) = misplaced {
            let at = node
                .entry(field)
                .map_or(node.location, |entry| entry.key_location);
            let message = format!("`{field}` does not go with `{kind}` in {owner}");
            let label = format!("not a {kind}'s field");
            self.report.push(Diagnostic::new(at, message, label));
        }
        let place = node.get(kind).map_or(node.location, |node| node.location);
        let files = self.files(node, kind);
        let shown = match kind {
            "table" => Shown::Table {
                columns: self.columns(node),
                best: self.best(node),
                folded: self.folded(node),
            },
            _ => {
                let alt = self.text(node, "alt", owner);
                if !has("alt") {
                    let hint =
                        "write `alt: \"..\"`: what the figure shows, for those who can't see it";
                    self.missing(place, "a figure", "alt", hint);
                }
                Shown::Figure { alt: alt? }
            }
        };
        (self.report.len() == before).then_some(())?;
        Some(Show {
            files: files?,
            shown,
            caption,
            location: place,
        })
    }

    /// A path or pattern whose end says what it is.
    fn files(&mut self, node: &Node, kind: &str) -> Option<Glob> {
        let node = node.get(kind)?;
        let Value::Text(_) = node.value else {
            let what = "text: a path or a pattern";
            self.report
                .push(expected(node, kind, "an item of `show`", what));
            return None;
        };
        let text = self.templates.text(node, self.report)?;
        let ends: &[&str] = match kind {
            "table" => &["csv", "tsv"],
            _ => &PICTURES,
        };
        let wrong = match Glob::new(&text) {
            Ok(glob) => {
                let end = text
                    .rsplit_once('.')
                    .map_or("", |(_, end)| end)
                    .to_lowercase();
                if ends.contains(&end.as_str()) {
                    return Some(glob);
                }
                format!("expected a name that ends in .{}", ends.join(", ."))
            }
            Err(error) => error.to_string(),
        };
        let message = format!("`{}` is no {kind} that a page can show", printable(&text));
        self.report
            .push(Diagnostic::new(node.location, message, wrong));
        None
    }

    /// Columns to show with their headings, in order; empty: all.
    fn columns(&mut self, node: &Node) -> Vec<(String, String)> {
        let Some(node) = node.get("columns") else {
            return Vec::new();
        };
        let what = "a map from column to heading";
        let Value::Map(entries) = &node.value else {
            self.report.push(
                expected(node, "columns", "an item of `show`", what)
                    .hint("write `columns: {test_accuracy: Test accuracy}`"),
            );
            return Vec::new();
        };
        let mut columns = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.value.value {
                Value::Text(_) => {
                    let heading = self.templates.text(&entry.value, self.report);
                    columns.extend(heading.map(|heading| (entry.key.clone(), heading)));
                }
                _ => self
                    .report
                    .push(expected(&entry.value, &entry.key, "`columns`", "a heading")),
            }
        }
        columns
    }

    fn best(&mut self, node: &Node) -> BTreeMap<String, Best> {
        let Some(node) = node.get("best") else {
            return BTreeMap::new();
        };
        let what = "a map from column to `max` or `min`";
        if !matches!(node.value, Value::Map(_)) {
            self.report.push(
                expected(node, "best", "an item of `show`", what)
                    .hint("write `best: {test_accuracy: max}`"),
            );
        }
        let mut best = BTreeMap::new();
        for entry in node.entries() {
            match &entry.value.value {
                Value::Text(text) if text == "max" => best.insert(entry.key.clone(), Best::Max),
                Value::Text(text) if text == "min" => best.insert(entry.key.clone(), Best::Min),
                _ => {
                    let error = expected(&entry.value, &entry.key, "`best`", "`max` or `min`");
                    self.report.push(error);
                    None
                }
            };
        }
        best
    }

    fn folded(&mut self, node: &Node) -> bool {
        match node.get("folded").map(|node| (node, &node.value)) {
            None => false,
            Some((_, Value::Bool(folded))) => *folded,
            Some((node, _)) => {
                let error = expected(node, "folded", "an item of `show`", "true or false");
                self.report.push(error);
                false
            }
        }
    }

    fn text(&mut self, node: &Node, field: &str, owner: &str) -> Option<String> {
        let node = node.get(field)?;
        if let Value::Text(_) = node.value {
            let text = self.templates.text(node, self.report)?;
            if !text.trim().is_empty() {
                return Some(text.trim().to_owned());
            }
        }
        self.report.push(expected(node, field, owner, "text"));
        None
    }

    fn list<T>(
        &mut self,
        node: &Node,
        field: &str,
        owner: &str,
        read: fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = node.get(field) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            self.report.push(expected(node, field, owner, "a list"));
            return Vec::new();
        };
        items.iter().filter_map(|item| read(self, item)).collect()
    }

    fn missing(&mut self, at: Location, owner: &str, field: &str, hint: &str) {
        let message = format!("{owner} has no `{field}`");
        let label = format!("expected `{field}`");
        self.report
            .push(Diagnostic::new(at, message, label).hint(hint));
    }
}
