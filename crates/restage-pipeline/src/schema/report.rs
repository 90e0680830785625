//! The part of the JSON Schema that describes `report:`.
//! It must not know how the file is read.
#![expect(dead_code, reason = "these types are described, never built")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// A page that shows the results, the claims with their verdicts, and how all of it was made.
/// `restage report` writes it.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// The file to write: `report.html` if not given.
    #[schemars(default)]
    path: Option<String>,
    /// At the top of the page.
    title: String,
    /// Below the title; an empty line begins a paragraph.
    #[schemars(default)]
    text: Option<String>,
    /// What the page's head says of the results, such as `Data`, each the text of a table's cell.
    #[schemars(default)]
    facts: Option<BTreeMap<String, Fact>>,
    /// What is shown, in order.
    #[schemars(default)]
    sections: Option<Vec<Section>>,
}

/// The text of a table's cell.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    /// A .csv or .tsv file.
    table: String,
    /// The row: its number from 1 (-1 is the last), the text in its first cell, or `column=text`.
    row: Row,
    /// The column's name.
    column: String,
}

/// A row of a table.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Row {
    /// From 1; -1 is the last.
    Number(i64),
    /// By the text of its cells.
    Key(String),
}

/// Tables and figures under a heading.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// The heading.
    title: String,
    /// Below the heading; an empty line begins a paragraph.
    #[schemars(default)]
    text: Option<String>,
    /// Tables and figures, in order.
    #[schemars(default)]
    show: Option<Vec<Show>>,
}

/// A table or a figure, or several of a kind.
#[derive(JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["table"]}, {"required": ["figure", "alt"]}]))]
struct Show {
    /// A .csv or .tsv file, or a pattern for several.
    #[schemars(default)]
    table: Option<String>,
    /// A picture (.svg, .png, .jpg, .webp, .gif), or a pattern for several.
    #[schemars(default)]
    figure: Option<String>,
    /// What the figure shows, for those who can't see it.
    #[schemars(default)]
    alt: Option<String>,
    /// Beside the table or figure.
    #[schemars(default)]
    caption: Option<String>,
    /// A table's columns in the order in which they are shown, with their headings; all if not
    /// given.
    #[schemars(default)]
    columns: Option<BTreeMap<String, String>>,
    /// Columns whose best cell is bold, and whether the greatest or the least is the best.
    #[schemars(default)]
    best: Option<BTreeMap<String, Best>>,
    /// Whether a table is closed until it is asked for.
    #[schemars(default)]
    folded: Option<bool>,
}

/// Which cell of a column is the best.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Best {
    /// The greatest.
    Max,
    /// The least.
    Min,
}
