//! `claims:`, what the paper says and what counts as reproduced.
//! How a claim is judged is for `claims` to say.

mod reader;

use super::diagnostic::Diagnostic;
use super::expand::{self, FOREACH};
use super::expression::{CheckExpression, ExpressionType};
use super::fields::{About, Field, Kind, Mapping, expected};
use super::names;
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Claim, PaperValue};
use super::sources::FileText;
use super::template::{Instance, Scope, Templates};
use reader::Reader;

type Report = Vec<Diagnostic>;
type Read = fn(&mut Reader<'_>, &mut Claim, &Entry);

/// A claim.
pub(crate) static CLAIM: Mapping<Read> = Mapping {
    about: About {
        one_of: &[&["tolerance", "ours", "paper"], &["holds"]],
        instead: &[
            (
                &["abs", "rel", "absolute", "relative"],
                "it goes under `tolerance`, as in `tolerance: {abs: 0.01}`",
            ),
            (
                &["above", "below", "higher", "lower"],
                "it goes under `direction`, as in `direction: {above: 0}`",
            ),
            (
                &["id", "name"],
                "a claim's name stands before it, as a stage's does",
            ),
        ],
        ..About::new(
            "Claim",
            "A claim",
            "a claim",
            "Something that the paper says, and when it counts as reproduced: `tolerance` or \
             `holds`.\n\nExpressions are [CEL](https://cel.dev) over cells of result tables.",
        )
    },
    fields: &[
        (
            Field::required(
                "says",
                Kind::Text,
                "quote the paper: `says: \"A is better than B\"`",
                "The paper's words.",
            )
            .words(&["desc", "text", "claim", "statement"]),
            Some(|reader, claim, entry| claim.says = reader.text(entry).unwrap_or_default()),
        ),
        (
            Field::optional(
                "where",
                Kind::Text,
                "none",
                "The section or table that says so.",
            )
            .words(&["section", "source", "table", "figure"]),
            Some(|reader, claim, entry| claim.section = reader.text(entry)),
        ),
        (
            Field::optional(
                "foreach",
                FOREACH,
                "a single claim",
                "Makes a claim for each entry of a map or item of a list, as for a stage.",
            ),
            None,
        ),
        (
            Field::sometimes(
                "paper",
                Kind::Scalar,
                "with `tolerance`",
                "The paper's value; a number where there is a `tolerance`.",
            )
            .words(&["expected", "theirs", "reported", "value"]),
            Some(|reader, claim, entry| claim.paper = reader.paper(&entry.value)),
        ),
        (
            Field::optional("unit", Kind::Text, "none", "The unit of both values."),
            Some(|reader, claim, entry| claim.unit = reader.text(entry)),
        ),
        (
            Field::sometimes(
                "ours",
                EXPRESSION,
                "with `tolerance` or `direction`",
                "An expression that gives our value: a number, or `samples(..)`, one value for each \
                 run, whose mean counts and is shown with its 95 % t-interval. \
                 `difference(samples, samples)` is by pairs where both have the same runs, \
                 otherwise Welch's. A value is named by file, row and column, or in a JSON, YAML or \
                 TOML file by its JSON pointer (`/loss/train`; -1 is a list's last item). \
                 `column(file, column)` gives a column without its empty cells, of a document the \
                 values of `/history/*/loss` or the items of a list; `min`, `max`, `mean`, `first`, \
                 `last` and `count` take such a list. A file that is not there though a stage writes \
                 it, a row that is not there, an empty cell, `null`, NaN: not measured. A file that \
                 no stage writes, a column or pointer that is not there, a cell that is no number: \
                 an error.",
            )
            .example("ours: 'cell(\"results/table.csv\", \"model=a\", \"accuracy\")'\n# or\nours: 'samples(\"results/a/seed-*/summary.csv\", 1, \"accuracy\")'\n# or\nours: 'cell(\"metrics.json\", \"/test/accuracy\")'")
            .words(&["measured", "expression", "expr", "actual"]),
            Some(|reader, claim, entry| claim.ours = reader.expression(entry, ExpressionType::Number)),
        ),
        (
            Field::sometimes(
                "holds",
                EXPRESSION,
                "unless there is `tolerance`",
                "An expression that is true where the claim is reproduced.",
            )
            .words(&["assert", "check", "condition"]),
            Some(|reader, claim, entry| reader.holds(claim, entry)),
        ),
        (
            Field::sometimes(
                "tolerance",
                Kind::Bound(&["abs", "rel"]),
                "unless there is `holds`",
                "How far our value may be from the paper's: by a number (`abs`), or by a share of \
                 the paper's value (`rel`).",
            )
            .example("tolerance: {abs: 0.01}"),
            Some(|reader, claim, entry| reader.tolerance(claim, entry)),
        ),
        (
            Field::optional(
                "direction",
                Kind::Bound(&["above", "below"]),
                "none",
                "Where our value is if at least the direction is the paper's; of several runs, the \
                 whole of its interval.",
            )
            .example("direction: {above: 0}"),
            Some(|reader, claim, entry| reader.direction(claim, entry)),
        ),
        (
            Field::optional(
                "needs",
                EXPRESSION,
                "it is always measured",
                "An expression; where it is false, nothing is measured.",
            )
            .words(&["if", "when", "requires"]),
            Some(|reader, claim, entry| claim.needs = reader.expression(entry, ExpressionType::Condition)),
        ),
        (
            Field::optional(
                "otherwise",
                Kind::Text,
                "none",
                "The reason that is given where `needs` is false.",
            )
            .words(&["reason", "else"]),
            Some(|reader, claim, entry| claim.otherwise = reader.text(entry)),
        ),
        (
            Field::optional(
                "volatile",
                Kind::Flag,
                "false",
                "Whether it differs from machine to machine: it is shown, but is never a \
                 regression.",
            ),
            Some(|reader, claim, entry| claim.volatile = reader.flag(entry)),
        ),
    ],
};

const EXPRESSION: Kind = Kind::Named("an expression", &Kind::Text);

/// Reads the map of claims.
pub(crate) fn read(
    entry: &Entry,
    file: FileText<'_>,
    scope: Scope<'_>,
    check: CheckExpression,
    report: &mut Report,
) -> Vec<Claim> {
    let Value::Map(entries) = &entry.value.value else {
        report.push(
            expected(&entry.value, "claims", "the pipeline", "a map of claims").hint(
                "write `claims:`, and below it `name: {says: .., paper: .., ours: ..}` for each",
            ),
        );
        return Vec::new();
    };
    let claims = entries.iter();
    claims
        .flat_map(|entry| instances(entry, file, scope, check, report))
        .collect()
}

fn instances(
    entry: &Entry,
    file: FileText<'_>,
    scope: Scope<'_>,
    check: CheckExpression,
    report: &mut Report,
) -> Vec<Claim> {
    let owner = format!("claim `{}`", printable(&scope.place.name(&entry.key)));
    names::check("claim", &entry.key, entry.key_location, report);
    let Some(known) = CLAIM.check(&entry.value, &owner, report) else {
        return Vec::new();
    };
    let outside = Templates {
        file,
        scope,
        owner: &owner,
    };
    let read = |id: String, instance: Instance<'_>, report: &mut Report| {
        let scope = Scope { instance, ..scope };
        let templates = Templates {
            file,
            scope,
            owner: &owner,
        };
        let mut reader = Reader {
            templates,
            check,
            report,
        };
        one(&mut reader, entry, id, known)
    };
    let Some(foreach) = entry.value.entry("foreach") else {
        let claim = read(scope.place.name(&entry.key), Instance::Single, report);
        return claim.into_iter().collect();
    };
    let Some(variants) = expand::foreach(foreach, &outside, report) else {
        return Vec::new();
    };
    let mut claims = Vec::with_capacity(variants.len());
    for variant in &variants {
        let instance = Instance::Of {
            key: &variant.key,
            item: &variant.item,
        };
        let id = format!("{}@{}", scope.place.name(&entry.key), variant.key);
        claims.extend(read(id, instance, report));
    }
    claims
}

fn one(reader: &mut Reader<'_>, entry: &Entry, id: String, fields_known: bool) -> Option<Claim> {
    let before = reader.report.len();
    let mut claim = Claim {
        id,
        folder: reader.templates.scope.place.folder.to_owned(),
        ..Claim::default()
    };
    for (read, entry) in CLAIM.present(&entry.value) {
        read(reader, &mut claim, entry);
    }
    if reader.report.len() > before || !fields_known {
        return None;
    }
    if let Some((message, label, hint)) = incomplete(&entry.value, &claim) {
        let message = format!("{} {message}", reader.templates.owner);
        let error = Diagnostic::new(entry.key_location, message, label);
        reader.report.push(error.hint(hint));
        return None;
    }
    Some(claim)
}

/// What a claim of known and sound fields lacks, or has too much of.
fn incomplete(node: &Node, claim: &Claim) -> Option<(&'static str, &'static str, &'static str)> {
    let has = |field| node.get(field).is_some();
    let number = matches!(claim.paper, Some(PaperValue::Number(_)));
    match () {
        () if !has("says") => Some((
            "has no `says`",
            "expected `says`",
            "quote the paper: `says: \"A is better than B\"`",
        )),
        () if has("tolerance") && has("holds") => Some((
            "has both `tolerance` and `holds`",
            "reproduced in two ways",
            "keep one; with `holds`, `paper` and `ours` are only shown",
        )),
        () if !has("tolerance") && !has("holds") => Some((
            "does not say what counts as reproduced",
            "has neither `tolerance` nor `holds`",
            "add `tolerance: {abs: 0.01}` next to `paper` and `ours`, or `holds: <an expression>`",
        )),
        () if has("tolerance") && !(number && has("ours")) => Some((
            "has a `tolerance` but not two numbers",
            "`tolerance` is between `paper` and `ours`",
            "give both: `paper: 0.9` and `ours: cell(\"results/table.csv\", \"model=a\", \"accuracy\")`",
        )),
        () if has("direction") && !has("ours") => Some((
            "has a `direction` but no `ours`",
            "`direction` is that of `ours`",
            "add `ours: <an expression that gives a number>`",
        )),
        () if has("otherwise") && !has("needs") => Some((
            "has `otherwise` without `needs`",
            "it is said where `needs` does not hold",
            "add `needs: <an expression>`, or remove `otherwise`",
        )),
        () => None,
    }
}
