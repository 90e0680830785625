//! `tables:`, how tables are written that are not what their names say.
//! It does not look at the tables.

use super::compare::files_of;
use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Kind, Mapping, expected};
use super::node::{Entry, Node, Value};
use super::pipeline::TableFormat;
use super::template::Templates;

type Read = fn(&mut Reader<'_>, &mut TableFormat, &Node);

/// An item of `tables`.
pub(crate) static TABLES: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["key", "columns", "tolerance"],
            "`compare` says how tables must match, `tables` how they are written",
        )],
        ..About::new(
            "TableFormat",
            "An item of `tables`",
            "a tables",
            "How some tables are written.",
        )
    },
    fields: &[
        (
            Field::required(
                "files",
                Kind::Text,
                "write `files: \"data/*.csv\"`",
                "A path or pattern. Files that are neither .csv nor .tsv are tables if one matches \
                 them; JSON, YAML and TOML are what they are.",
            )
            .words(&["file", "path", "paths", "glob", "pattern"]),
            Some(|reader, table, node| reader.files(table, node)),
        ),
        (
            Field::optional(
                "delimiter",
                Kind::Text,
                "a tab in .tsv files; elsewhere a comma, or the semicolon or tab of a header that \
                 has no comma",
                "The character between cells.",
            )
            .example("delimiter: \"|\"")
            .words(&["sep", "separator", "delim"]),
            Some(|reader, table, node| {
                table.delimiter = reader.character(node, "delimiter");
            }),
        ),
        (
            Field::optional(
                "decimal",
                Kind::Word(&[".", ","]),
                "`.`",
                "What is before the fraction of a number. With `,` the text `0,5` is a number, and \
                 `0.5` is none.",
            )
            .example("decimal: \",\"")
            .words(&["decimal_point", "dec", "decimals"]),
            Some(|reader, table, node| reader.decimal(table, node)),
        ),
    ],
};

const OWNER: &str = "an item of `tables`";

/// Reads the list; the owner in `templates` is "`tables`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Vec<TableFormat> {
    let Value::List(items) = &entry.value.value else {
        report.push(
            expected(&entry.value, "tables", "the pipeline", "a list")
                .hint("write `- {files: \"data/*.csv\", decimal: \",\"}`"),
        );
        return Vec::new();
    };
    let mut reader = Reader { templates, report };
    let read = items.iter();
    read.filter_map(|item| reader.item(item)).collect()
}

pub(crate) struct Reader<'a> {
    templates: &'a Templates<'a>,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn item(&mut self, item: &Node) -> Option<TableFormat> {
        TABLES.check_all(item, item.location, OWNER, self.report)?;
        let mut table = TableFormat::default();
        for (read, entry) in TABLES.present(item) {
            read(self, &mut table, &entry.value);
        }
        if table.decimal_comma && table.delimiter == Some(b',') {
            let message = "a comma cannot separate both cells and fractions";
            self.report.push(
                Diagnostic::new(item.location, message, "both are `,`")
                    .hint("a delimiter that its header shows need not be written"),
            );
        }
        Some(table)
    }

    fn files(&mut self, table: &mut TableFormat, node: &Node) {
        if let Some(files) = files_of(node, OWNER, self.templates, self.report) {
            table.files = files;
        }
    }

    fn character(&mut self, node: &Node, field: &str) -> Option<u8> {
        let found = match &node.value {
            Value::Text(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !b"\"\r\n\0".contains(byte) => Some(*byte),
                _ => None,
            },
            _ => None,
        };
        if found.is_none() {
            let error = expected(node, field, OWNER, "one ASCII character, and no quote");
            self.report
                .push(error.hint("write `delimiter: \";\"`, or `\"\\t\"` for a tab"));
        }
        found
    }

    fn decimal(&mut self, table: &mut TableFormat, node: &Node) {
        match &node.value {
            Value::Text(text) if text == "," => table.decimal_comma = true,
            Value::Text(text) if text == "." => {}
            _ => {
                let error = expected(node, "decimal", OWNER, "`.` or `,`");
                self.report.push(error.hint("write `decimal: \",\"`"));
            }
        }
    }
}
