//! `report:`, the page that shows results: what it is called and which tables and figures it has.
//! It knows neither the disk nor what a page looks like.

mod reader;
mod show;

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Kind, Mapping, expected};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Fact, Report, Section};
use super::template::Templates;
use reader::Reader;
use restage_core::rel_path::RelPath;
use show::SHOW;

pub(crate) static REPORT: Mapping<fn(&mut Reader<'_>, &mut Report, &Node)> = Mapping {
    about: About {
        instead: &[
            (
                &["show", "table", "tables", "figure", "figures"],
                "it goes into a section: `sections: [{title: Results, show: [{table: a.csv}]}]`",
            ),
            (
                &["claims"],
                "`claims` is a field next to `report`; the page shows them first",
            ),
        ],
        ..About::new(
            "Report",
            "The report",
            "a report",
            "A page that shows the results, the claims with their verdicts, and how all of it was \
             made. `restage report` writes it.",
        )
    },
    fields: &[
        (
            Field::optional("path", Kind::Text, "`report.html`", "The file to write.")
                .example("path: \"results/${profile}/report.html\"")
                .words(&["file", "out", "output", "name"]),
            Some(|reader, report, node| reader.path(report, node)),
        ),
        (
            Field::required(
                "title",
                Kind::Text,
                "write `title: \"..\"`: it is the heading at the top of the page",
                "The heading at the top of the page.",
            )
            .words(&["heading"]),
            Some(|reader, report, node| {
                report.title = reader.text(node, "title", OWNER).unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "text",
                Kind::Text,
                "none",
                "The text below the title; an empty line begins a paragraph.",
            )
            .words(&["desc", "description", "abstract", "intro"]),
            Some(|reader, report, node| report.text = reader.text(node, "text", OWNER)),
        ),
        (
            Field::optional(
                "facts",
                Kind::ByName(&Kind::Map(&FACT)),
                "none",
                "What the page's head says about the results, such as `Data`: each is the text of \
                 a table's cell.",
            )
            .example("facts: {Data: {table: data.csv, row: 1, column: source}}")
            .words(&["fact", "about", "cells"]),
            Some(|reader, report, node| reader.facts(report, node)),
        ),
        (
            Field::optional(
                "sections",
                Kind::List(&Kind::Map(&SECTION)),
                "none",
                "What is shown, in order.",
            )
            .words(&["section", "pages", "parts"]),
            Some(|reader, report, node| reader.sections(report, node)),
        ),
    ],
};

static FACT: Mapping<fn(&mut Reader<'_>, &mut Cell, &Node)> = Mapping {
    about: About::new("Fact", "A fact", "a fact's", "The text of a table's cell."),
    fields: &[
        (
            Field::required(
                "table",
                Kind::Text,
                FACT_SAMPLE,
                "A table: a .csv, .tsv, .json, .jsonl, .yaml or .toml file.",
            )
            .words(&["csv", "file", "path"]),
            Some(|reader, cell, node| reader.fact_table(cell, node)),
        ),
        (
            Field::required(
                "row",
                Kind::OneOf(&[Kind::Whole, Kind::Text]),
                FACT_SAMPLE,
                "The row: its number from 1 (-1 is the last), the text in its first cell, or \
                 `column=text`.",
            )
            .words(&["key", "line"]),
            Some(|reader, cell, node| {
                cell.row = match &node.value {
                    Value::Number(number) => number.to_string(),
                    _ => reader.text(node, "row", FACT_OWNER).unwrap_or_default(),
                };
            }),
        ),
        (
            Field::required("column", Kind::Text, FACT_SAMPLE, "The column's name.")
                .words(&["col", "cell", "field"]),
            Some(|reader, cell, node| {
                cell.column = reader.text(node, "column", FACT_OWNER).unwrap_or_default();
            }),
        ),
    ],
};

static SECTION: Mapping<fn(&mut Reader<'_>, &mut Section, &Node)> = Mapping {
    about: About {
        instead: &[(
            &["table", "tables", "figure", "figures"],
            "it goes into `show`: `show: [{table: a.csv}]`",
        )],
        ..About::new(
            "Section",
            "A section",
            "a section's",
            "Tables and figures under a heading.",
        )
    },
    fields: &[
        (
            Field::required(
                "title",
                Kind::Text,
                "write `title: Results`",
                "The heading.",
            )
            .words(&["heading", "name"]),
            Some(|reader, section, node| {
                section.title = reader
                    .text(node, "title", SECTION_OWNER)
                    .unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "text",
                Kind::Text,
                "none",
                "The text below the heading; an empty line begins a paragraph.",
            )
            .words(&["desc", "description", "intro"]),
            Some(|reader, section, node| section.text = reader.text(node, "text", SECTION_OWNER)),
        ),
        (
            Field::optional(
                "show",
                Kind::List(&Kind::Map(&SHOW)),
                "none",
                "Tables and figures, in order.",
            )
            .words(&["items", "content", "shows", "files"]),
            Some(|reader, section, node| reader.show(section, node)),
        ),
    ],
};

const OWNER: &str = "`report`";
const FACT_OWNER: &str = "a fact of `report`";
const FACT_SAMPLE: &str = "write `Data: {table: \"a.csv\", row: 1, column: source}`";
const SECTION_OWNER: &str = "a section of `report`";

/// Reads the section; the owner in `templates` is "`report`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Report> {
    let (node, at) = (&entry.value, entry.key_location);
    REPORT.check_all(node, at, OWNER, errors)?;
    let mut report = Report {
        path: RelPath::new("report.html").ok()?,
        title: String::new(),
        text: None,
        facts: Vec::new(),
        sections: Vec::new(),
        location: at,
    };
    let mut reader = Reader { templates, errors };
    for (read, entry) in REPORT.present(node) {
        read(&mut reader, &mut report, &entry.value);
    }
    Some(report)
}

/// What a fact says, as far as it could be read.
#[derive(Default)]
pub(crate) struct Cell {
    table: Option<RelPath>,
    row: String,
    column: String,
}

impl Reader<'_> {
    fn path(&mut self, report: &mut Report, node: &Node) {
        let Some(text) = self.templates.text(node, self.errors) else {
            return;
        };
        let wrong = match RelPath::new(&text) {
            Ok(path) if path.as_str().ends_with(".html") => {
                report.path = path;
                return;
            }
            Ok(_) => "expected a name that ends in `.html`".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("`path` of `report` is not a page: `{}`", printable(&text));
        self.errors.push(
            Diagnostic::new(node.location, message, wrong)
                .hint("write `path: \"results/${profile}/report.html\"`"),
        );
    }

    fn facts(&mut self, report: &mut Report, node: &Node) {
        if !matches!(node.value, Value::Map(_)) {
            let error = expected(node, "facts", OWNER, "a map from name to a table's cell");
            self.errors.push(
                error.hint("write `facts: {Data: {table: \"a.csv\", row: 1, column: source}}`"),
            );
        }
        for entry in node.entries() {
            report.facts.extend(self.fact(entry));
        }
    }

    fn fact(&mut self, entry: &Entry) -> Option<Fact> {
        let (node, at) = (&entry.value, entry.key_location);
        FACT.check_all(node, at, FACT_OWNER, self.errors)?;
        let mut cell = Cell::default();
        for (read, entry) in FACT.present(node) {
            read(self, &mut cell, &entry.value);
        }
        Some(Fact {
            name: entry.key.clone(),
            table: cell.table?,
            row: cell.row,
            column: cell.column,
            location: at,
        })
    }

    fn fact_table(&mut self, cell: &mut Cell, node: &Node) {
        let Some(table) = self.text(node, "table", FACT_OWNER) else {
            return;
        };
        match RelPath::new(&table) {
            Ok(path) => cell.table = Some(path),
            Err(error) => {
                let message =
                    format!("`table` of {FACT_OWNER} is not a path in the pipeline's folder");
                let error = Diagnostic::new(node.location, message, error.to_string());
                self.errors.push(error);
            }
        }
    }

    fn sections(&mut self, report: &mut Report, node: &Node) {
        for item in self.list(node, "sections", OWNER) {
            SECTION.check_all(item, item.location, SECTION_OWNER, self.errors);
            let mut section = Section::default();
            for (read, entry) in SECTION.present(item) {
                read(self, &mut section, &entry.value);
            }
            report.sections.push(section);
        }
    }

    fn show(&mut self, section: &mut Section, node: &Node) {
        for item in self.list(node, "show", SECTION_OWNER) {
            section.show.extend(self.shown(item));
        }
    }
}
