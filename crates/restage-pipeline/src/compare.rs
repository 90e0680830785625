//! `compare:`, which result tables must match, and how closely.
//! It does not look at the tables.

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Kind, Mapping, expected};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{ColumnRule, CompareRule};
use super::template::Templates;
use restage_core::glob::Glob;
use restage_core::suggest;

type Read = fn(&mut Reader<'_>, &mut CompareRule, &Node);

/// A rule of `compare`.
pub(crate) static COMPARE: Mapping<Read> = Mapping {
    about: About {
        instead: &[(
            &["tolerance", "abs", "rel"],
            "tolerances are by column: `columns: {accuracy: {abs: 0.01}}`",
        )],
        ..About::new(
            "Compare",
            "A rule of `compare`",
            "a compare",
            "Which tables are compared, and how.",
        )
    },
    fields: &[
        (
            Field::required(
                "files",
                Kind::Text,
                "write `files: \"results/*.csv\"`",
                "A path or pattern.",
            )
            .words(&["file", "path", "paths", "glob", "pattern"]),
            Some(|reader, rule, node| reader.files(rule, node)),
        ),
        (
            Field::optional(
                "key",
                Kind::List(&Kind::Text),
                "rows are compared in order",
                "Columns whose texts name a row. No two rows may have the same.",
            )
            .example("key: [epoch]")
            .words(&["keys", "index", "id"]),
            Some(|reader, rule, node| reader.key(rule, node)),
        ),
        (
            Field::optional(
                "columns",
                Kind::ByName(&COLUMN),
                "the text must be the same",
                "A rule for each column, where `*` is every column that is not named: the same \
                 text (`exact`), not compared (`ignore`), or numbers that differ by at most a \
                 number (`abs`), a share of the expected one (`rel`), or both added up, as in \
                 `numpy.isclose`. In a JSON, YAML or TOML file, columns are the paths of its values: \
                 `/accuracy`, `/loss/train`, `/layers/0`; a `*` in one stands for any text of a part, \
                 and the rule of the longest path that fits counts. A rule that fits no column is \
                 told.",
            )
            .example(
                "columns: {accuracy: {abs: 0.01}, seconds: ignore}\n# or\n\
                 columns: {\"/loss/*\": {rel: 1e-3}, /seconds: ignore}",
            )
            .words(&["column", "cols", "fields", "rules"]),
            Some(|reader, rule, node| reader.columns(rule, node)),
        ),
    ],
};

const COLUMN: Kind = Kind::OneOf(&[
    Kind::Word(&["exact", "ignore"]),
    Kind::Bounds(&["abs", "rel"]),
]);

const OWNER: &str = "a rule of `compare`";

/// Reads the list of rules; the owner in `templates` is "`compare`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Vec<CompareRule> {
    let Value::List(items) = &entry.value.value else {
        report.push(
            expected(&entry.value, "compare", "the pipeline", "a list of rules")
                .hint("write `- files: \"results/*.csv\"`"),
        );
        return Vec::new();
    };
    let mut reader = Reader { templates, report };
    let rules = items.iter();
    rules.filter_map(|item| reader.rule(item)).collect()
}

/// The path or pattern of the field `files` of `owner`, below the pipeline's folder.
pub(crate) fn files_of(
    node: &Node,
    owner: &str,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Option<String> {
    let Value::Text(_) = node.value else {
        report.push(expected(node, "files", owner, "text: a path or a pattern"));
        return None;
    };
    let text = templates.text(node, report)?;
    let text = templates.scope.place.below(&text);
    match Glob::new(&text) {
        Ok(glob) => Some(glob.as_str().to_owned()),
        Err(error) => {
            let message = format!(
                "`files` of {owner} is not a pattern below the pipeline's folder: `{}`",
                printable(&text)
            );
            report.push(Diagnostic::new(node.location, message, error.to_string()));
            None
        }
    }
}

pub(crate) struct Reader<'a> {
    templates: &'a Templates<'a>,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn rule(&mut self, item: &Node) -> Option<CompareRule> {
        COMPARE.check_all(item, item.location, OWNER, self.report)?;
        let mut rule = CompareRule::default();
        for (read, entry) in COMPARE.present(item) {
            read(self, &mut rule, &entry.value);
        }
        key_is_exact(item, &rule, self.report);
        Some(rule)
    }

    fn files(&mut self, rule: &mut CompareRule, node: &Node) {
        if let Some(files) = files_of(node, OWNER, self.templates, self.report) {
            rule.files = files;
        }
    }

    fn key(&mut self, rule: &mut CompareRule, node: &Node) {
        let what = "a list of columns";
        let Value::List(items) = &node.value else {
            let error = expected(node, "key", OWNER, what);
            self.report.push(error.hint("write `key: [epoch]`"));
            return;
        };
        for item in items {
            match item.value {
                Value::Text(_) => rule.key.extend(self.templates.text(item, self.report)),
                _ => self.report.push(expected(item, "key", OWNER, what)),
            }
        }
    }

    fn columns(&mut self, rule: &mut CompareRule, node: &Node) {
        let Value::Map(entries) = &node.value else {
            let error = expected(node, "columns", OWNER, "a map from column to rule");
            self.report
                .push(error.hint("write `columns: {accuracy: {abs: 0.01}, seconds: ignore}`"));
            return;
        };
        for entry in entries {
            match column_rule(&entry.value) {
                Some(found) => drop(rule.columns.insert(entry.key.clone(), found)),
                None => self.report.push(no_rule(entry)),
            }
        }
    }
}

fn no_rule(entry: &Entry) -> Diagnostic {
    let written = entry.value.scalar_text();
    let slip = suggest::closest(written.as_deref().unwrap_or_default(), ["exact", "ignore"]);
    let hint = match slip {
        Some(found) => format!("did you mean `{found}`?"),
        None => {
            "write `exact`, `ignore`, `{abs: 0.01}`, `{rel: 0.01}` or both, not below 0".to_owned()
        }
    };
    let message = format!("column `{}` has no rule that `compare` knows", entry.key);
    let label = match written {
        Some(text) => format!("`{}` is not a rule", printable(&text)),
        None => "not a rule".to_owned(),
    };
    Diagnostic::new(entry.value.location, message, label).hint(hint)
}

/// A rule for a key column would never be used: what names a row is its text.
fn key_is_exact(item: &Node, rule: &CompareRule, report: &mut Vec<Diagnostic>) {
    for column in &rule.key {
        let found = rule.columns.get(column);
        if let Some(node) = item.get("key")
            && found.is_some_and(|found| *found != ColumnRule::Exact)
        {
            let message = format!(
                "column `{}` is in `key` and has a rule in `columns`",
                printable(column)
            );
            report.push(
                Diagnostic::new(node.location, message, "a key is compared as text")
                    .hint("take it out of one of the two"),
            );
        }
    }
}

fn column_rule(node: &Node) -> Option<ColumnRule> {
    match &node.value {
        Value::Text(text) if text == "exact" => Some(ColumnRule::Exact),
        Value::Text(text) if text == "ignore" => Some(ColumnRule::Ignore),
        Value::Map(entries) if !entries.is_empty() => {
            let (mut absolute, mut relative) = (0.0, 0.0);
            for entry in entries {
                let Value::Number(number) = &entry.value.value else {
                    return None;
                };
                let bound = number.as_f64().filter(|bound| *bound >= 0.0)?;
                match entry.key.as_str() {
                    "abs" => absolute = bound,
                    "rel" => relative = bound,
                    _ => return None,
                }
            }
            Some(ColumnRule::Within { absolute, relative })
        }
        _ => None,
    }
}
