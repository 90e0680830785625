//! The functions that expressions of claims can call besides CEL's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cel::extractors::Arguments;
use cel::{Context, DeclarationError, ExecutionError, Value};

use super::cells::{Cell, Cells, Missing};
use super::samples::{Samples, mean};
use super::work::{self, count};
use crate::tables::{Decimal, RowName};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// For hints.
pub(super) const FUNCTIONS: &str = "`cell(file, row, column)` and `text(file, row, column)`, or with a JSON \
    pointer `cell(file, \"/accuracy\")`, `column(file, column)`, `first(file, column, at_least, column)`, \
    `abs(number)`, `min(list)`, `max(list)`, `mean(list)`, `first(list)`, `last(list)`, `count(list)`, and over \
    the runs of a pattern such as `seed-*/summary.csv` `samples(pattern, row, column)` or \
    `samples(pattern, \"/accuracy\")`, `difference(samples, samples)`, `scaled(samples, factor)`";

/// Cells of a column that count as a step: no expression is evaluated for each.
const CELLS: usize = 16;
/// Steps that count for finding one cell: its row may be any of a table.
const LOOKUP: usize = 100;

type Fold = fn(&[f64]) -> f64;

type Given = Result<Value, ExecutionError>;

pub(super) fn context(
    cells: &Arc<dyn Cells>,
) -> Result<Context<'static, 'static>, DeclarationError> {
    let mut context = Context::default();
    work::declare(&mut context)?;
    let [c, t, l, f, s] = [cells; 5].map(Arc::clone);
    context.add_function("cell", move |Arguments(args): Arguments| -> Given {
        let (file, place) = place(&args)?;
        let file = path(file)?;
        decimal(&look_up(&*c, &file, &place)?, file.as_str(), &place).map(Value::Float)
    })?;
    context.add_function("text", move |Arguments(args): Arguments| -> Given {
        let (file, place) = place(&args)?;
        let cell = look_up(&*t, &path(file)?, &place)?;
        Ok(Value::String(Arc::new(cell.text)))
    })?;
    context.add_function("column", move |Arguments(args): Arguments| -> Given {
        let [file, column] = exactly(&args)?;
        let (file, column) = (path(file)?, text(column)?);
        let numbers = numbers(&*l, &file, column)?.into_iter();
        let numbers = numbers.map(|(_, number)| Value::Float(number)).collect();
        Ok(Value::List(Arc::new(numbers)))
    })?;
    context.add_function("first", move |Arguments(args): Arguments| match &args[..] {
        [list] => fold("first", list),
        _ => first(&*f, &args),
    })?;
    context.add_function("count", |Arguments(args): Arguments| -> Given {
        let [list] = exactly(&args)?;
        let numbers = listed("count", list)?;
        Ok(Value::Float(numbers.len() as f64))
    })?;
    context.add_function("samples", move |Arguments(args): Arguments| -> Given {
        let (files, place) = place(&args)?;
        sampled(&*s, files, |file| {
            decimal(&look_up(&*s, file, &place)?, file.as_str(), &place)
        })
    })?;
    context.add_function("difference", |Arguments(args): Arguments| -> Given {
        let [one, two] = exactly(&args)?;
        if let (Some(one), Some(two)) = (number(one), number(two)) {
            return Ok(Value::Float(one - two));
        }
        let of = |value| samples(value).ok_or_else(|| unlike(value, "samples"));
        let difference = of(one)?.difference(of(two)?);
        difference
            .map(|found| Value::Opaque(Arc::new(found)))
            .ok_or_else(|| unlike(two, "samples of one quantity"))
    })?;
    context.add_function("scaled", |Arguments(args): Arguments| -> Given {
        let [value, factor] = exactly(&args)?;
        let factor = number(factor).ok_or_else(|| unlike(factor, "a number"))?;
        match (number(value), samples(value)) {
            (Some(value), _) => Ok(Value::Float(value * factor)),
            (_, Some(samples)) => Ok(Value::Opaque(Arc::new(samples.scaled(factor)))),
            _ => Err(unlike(value, "samples or a number")),
        }
    })?;
    context.add_function("abs", |Arguments(args): Arguments| -> Given {
        let [value] = exactly(&args)?;
        Ok(Value::Float(
            number(value)
                .ok_or_else(|| unlike(value, "a number"))?
                .abs(),
        ))
    })?;
    for name in FOLDS
        .map(|(name, _)| name)
        .into_iter()
        .filter(|name| *name != "first")
    {
        context.add_function(name, move |Arguments(args): Arguments| -> Given {
            let [list] = exactly(&args)?;
            fold(name, list)
        })?;
    }
    Ok(context)
}

/// What makes one number of several.
const FOLDS: [(&str, Fold); 5] = [
    ("min", least),
    ("max", greatest),
    ("mean", |numbers| mean(numbers)),
    ("first", |numbers| {
        numbers.first().copied().unwrap_or(f64::NAN)
    }),
    ("last", |numbers| {
        numbers.last().copied().unwrap_or(f64::NAN)
    }),
];

fn fold(name: &str, list: &Value) -> Given {
    let numbers = listed(name, list)?;
    let fold = FOLDS.into_iter().find(|(known, _)| *known == name);
    match fold {
        Some((_, fold)) if !numbers.is_empty() => Ok(Value::Float(fold(&numbers))),
        _ => Err(gone(format!("`{name}` of nothing"))),
    }
}

/// The numbers of a list, or of several runs, which are in no order.
fn listed(name: &str, list: &Value) -> Result<Vec<f64>, ExecutionError> {
    let numbers: Option<Vec<f64>> = match (list, samples(list)) {
        (Value::List(items), _) => items.iter().map(number).collect(),
        (_, Some(samples)) if name == "mean" => Some(vec![samples.mean()]),
        (_, Some(_)) if ["first", "last"].contains(&name) => None,
        (_, Some(samples)) => samples
            .values()
            .map(|values| values.values().copied().collect()),
        _ => None,
    };
    let numbers = numbers.ok_or_else(|| unlike(list, "a list of numbers"))?;
    count(numbers.len() / CELLS)?;
    Ok(numbers)
}

/// One number from each file that matches a pattern, by the part of its path that the pattern leaves
/// open.
fn sampled(
    cells: &dyn Cells,
    files: &Value,
    number: impl Fn(&RelPath) -> Result<f64, ExecutionError>,
) -> Given {
    let what = "a pattern with one match a run, such as `results/seed-*/summary.csv`";
    let pattern = text(files)?;
    let pattern = Glob::new(pattern)
        .ok()
        .filter(|_| Glob::is_glob(pattern))
        .ok_or_else(|| unlike(files, what))?;
    let mut values = BTreeMap::new();
    for file in cells.matching(&pattern).map_err(missing)? {
        let run = pattern.open_part(&file).to_owned();
        values.insert(run, number(&file)?);
    }
    Ok(Value::Opaque(Arc::new(Samples::Single(values))))
}

/// A column's numbers with their rows, from 1. Empty cells are passed over: a sparse log has them.
fn numbers(
    cells: &dyn Cells,
    file: &RelPath,
    column: &str,
) -> Result<Vec<(i64, f64)>, ExecutionError> {
    let (cells, decimal) = cells.column(file, column).map_err(missing)?;
    count(cells.len() / CELLS)?;
    let filled = (1..)
        .zip(&cells)
        .filter(|(_, cell)| !cell.trim().is_empty());
    filled
        .map(|(row, cell)| {
            let place = Place::Cell(RowName::Number(row), column);
            Ok((row, as_number(cell, decimal, file.as_str(), &place)?))
        })
        .collect()
}

/// The value of one column in the first row where another reaches a bound, infinite if none does. For
/// a pattern, that of each file.
fn first(cells: &dyn Cells, args: &[Value]) -> Given {
    let [file, column, least, other] = exactly(args)?;
    let least = number(least).ok_or_else(|| unlike(least, "a number"))?;
    let (column, other) = (text(column)?, text(other)?);
    let of = |file: &RelPath| {
        // A slip in the other column's name shows even if no row reaches the bound.
        cells.column(file, other).map_err(missing)?;
        let reached = numbers(cells, file, column)?;
        let Some((row, _)) = reached.into_iter().find(|(_, number)| *number >= least) else {
            return Ok(f64::INFINITY);
        };
        let row = RowName::Number(row);
        let place = Place::Cell(row, other);
        decimal(&look_up(cells, file, &place)?, file.as_str(), &place)
    };
    match Glob::is_glob(text(file)?) {
        true => sampled(cells, file, of),
        false => of(&path(file)?).map(Value::Float),
    }
}

/// Which value of a file an expression names.
enum Place<'a> {
    Cell(RowName, &'a str),
    Pointer(&'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(row @ RowName::Number(_), column) => {
                write!(f, "in {row}, column `{column}`")
            }
            Self::Cell(row, column) => write!(f, "in row `{row}`, column `{column}`"),
            Self::Pointer(pointer) => write!(f, "at `{pointer}`"),
        }
    }
}

/// A file, and a row and a column, or a JSON pointer.
fn place(args: &[Value]) -> Result<(&Value, Place<'_>), ExecutionError> {
    if let [file, pointer] = args {
        return match text(pointer) {
            Ok(found) if found.starts_with('/') => Ok((file, Place::Pointer(found))),
            _ => Err(unlike(
                pointer,
                "a JSON pointer, such as `/accuracy`, or a row and a column",
            )),
        };
    }
    let [file, row, column] = exactly(args)?;
    Ok((file, Place::Cell(row_name(row)?, text(column)?)))
}

fn look_up(cells: &dyn Cells, file: &RelPath, place: &Place<'_>) -> Result<Cell, ExecutionError> {
    count(LOOKUP)?;
    let found = match place {
        Place::Cell(row, column) => cells.cell(file, row, column),
        Place::Pointer(pointer) => cells.value(file, pointer),
    };
    found.map_err(missing)
}

fn exactly<const N: usize>(args: &[Value]) -> Result<&[Value; N], ExecutionError> {
    args.try_into()
        .map_err(|_| ExecutionError::InvalidArgumentCount {
            expected: N,
            actual: args.len(),
        })
}

fn text(value: &Value) -> Result<&str, ExecutionError> {
    match value {
        Value::String(text) => Ok(text.as_str()),
        _ => Err(unlike(value, "text")),
    }
}

fn path(value: &Value) -> Result<RelPath, ExecutionError> {
    RelPath::new(text(value)?).map_err(|_| unlike(value, "a path below the pipeline's folder"))
}

/// `3`, `-1`, or `"model=a, split=test"`. A value of the first column alone is refused: it is more
/// often a slip than a name, and so the slip shows when the pipeline is loaded.
fn row_name(value: &Value) -> Result<RowName, ExecutionError> {
    let name = match value {
        Value::Int(number) if *number != 0 => Some(RowName::Number(*number)),
        Value::String(text) => RowName::key(text),
        _ => None,
    };
    let what = "a row: its number from 1 (-1 is the last), or `column=value`";
    name.ok_or_else(|| unlike(value, what))
}

pub(super) fn samples(value: &Value) -> Option<&Samples> {
    match value {
        Value::Opaque(value) => value.downcast_ref(),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        _ => None,
    }
}

fn decimal(cell: &Cell, file: &str, place: &Place<'_>) -> Result<f64, ExecutionError> {
    as_number(&cell.text, cell.decimal, file, place)
}

/// A cell as a number; another text is a mistake, of the claim or of what wrote the file.
fn as_number(
    cell: &str,
    decimal: Decimal,
    file: &str,
    place: &Place<'_>,
) -> Result<f64, ExecutionError> {
    decimal.number(cell).ok_or_else(|| {
        let cell = cell.trim();
        let hint = match (decimal, cell.replacen(',', ".", 1).parse::<f64>()) {
            (Decimal::Point, Ok(_)) if cell.contains(',') => {
                format!(": `tables: [{{files: \"{file}\", decimal: \",\"}}]` reads decimal commas")
            }
            (_, Ok(number)) if number.is_infinite() => ": it is too large".to_owned(),
            _ => String::new(),
        };
        let message = format!("`{file}` has `{cell}` {place}, which is not a number{hint}");
        ExecutionError::function_error(MISTAKE, message)
    })
}

/// The function of an error that only an edit of the expression mends.
pub(super) const MISTAKE: &str = "mistake";

fn missing(what: Missing) -> ExecutionError {
    match what {
        Missing::NotMeasured(message) => gone(message),
        Missing::Mistake(message) => ExecutionError::function_error(MISTAKE, message),
    }
}

/// What an expression reads is missing.
fn gone(message: String) -> ExecutionError {
    ExecutionError::function_error("tables", message)
}

/// The kind of a value, for messages.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Opaque(value) => value.runtime_type_name().to_owned(),
        value => format!("{:?}", value.type_of()).to_lowercase(),
    }
}

/// An argument of the wrong kind.
fn unlike(value: &Value, want: &str) -> ExecutionError {
    let got = match value {
        Value::String(text) => format!("`{text}`"),
        Value::Int(number) => format!("{number}"),
        value => kind(value),
    };
    ExecutionError::UnexpectedType {
        got,
        want: want.to_owned(),
    }
}

/// NaN if any number is: a training that diverged has no best epoch.
fn least(numbers: &[f64]) -> f64 {
    let less = |a: f64, b: f64| if b.is_nan() || b < a { b } else { a };
    numbers.iter().copied().reduce(less).unwrap_or(f64::NAN)
}

/// NaN if any number is.
fn greatest(numbers: &[f64]) -> f64 {
    let more = |a: f64, b: f64| if b.is_nan() || b > a { b } else { a };
    numbers.iter().copied().reduce(more).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::cells::{Cells, Files};
    use super::super::expression::{Failure, Outcome, evaluate};
    use restage_core::rel_path::RelPath;

    #[test]
    fn functions_compute_over_the_cells_of_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let table = "epoch,acc,loss\n1,0.5,-3\n2, 0.8 ,-2\n3,0.9,-1\n";
        std::fs::create_dir(dir.path().join("a")).unwrap();
        for (name, text) in [
            ("t.csv", table),
            ("log.csv", "step,loss,acc\n1,0.9,\n2,,0.7\n3,0.6,\n4,,0.8\n"),
            ("nan.csv", "x\n1\nNaN\n2\n"),
            ("odd.csv", "m,acc\nb,1\na, 85.3%\n"),
            (
                "m.json",
                r#"{"loss": {"val": 2}, "acc": 0.5, "note": "high", "none": null, "big": 1e400}"#,
            ),
            ("h.json", r#"{"h": [{"l": 0.5}, {"e": 1, "l": 0.25}]}"#),
            ("comma.csv", "x;y\n0,5;1\n"),
            ("twice.csv", "m,x\na,1\na,2\n"),
            ("ragged.csv", "x\n1,2\n"),
            ("a/m.json", r#"{"acc": 0.25}"#),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let cells: Arc<dyn Cells> = Arc::new(Files::below(
            dir.path(),
            &[],
            &[],
            Box::new(|_| Ok(RelPath::new("a/m.json").into_iter().collect())),
        ));
        for holds in [
            r#"cell("t.csv", -1, "acc") == 0.9 && cell("t.csv", "epoch=2", "acc") == 0.8"#,
            r#"text("t.csv", 1, "acc") == "0.5""#,
            r#"column("t.csv", "acc") == [0.5, 0.8, 0.9]"#,
            r#"first("t.csv", "acc", 0.8, "epoch") == 2.0"#,
            r#"first("t.csv", "acc", 0.2, "epoch") == 1.0"#,
            r#"abs(cell("t.csv", 1, "loss")) == 3.0 && abs(2) == 2.0"#,
            r#"max(column("t.csv", "loss")) == -1.0 && min(column("t.csv", "epoch")) == 1.0"#,
            r#"mean(column("t.csv", "loss")) == -2.0"#,
            r#"max(column("log.csv", "acc")) == 0.8 && mean(column("log.csv", "acc")) == 0.75"#,
            r#"last(column("log.csv", "loss")) == 0.6 && last(column("log.csv", "acc")) == 0.8"#,
            r#"first("log.csv", "acc", 0.75, "step") == 4.0"#,
            r#"cell("m.json", 1, "acc") == 0.5 && cell("m.json", 1, "/loss/val") == 2.0"#,
            r#"mean(samples("*/m.json", 1, "acc")) == 0.25"#,
            r#"mean(samples("*/m.json", "/acc")) == 0.25"#,
            r#"cell("m.json", "/loss/val") == 2.0 && text("m.json", "/note") == "high""#,
            r#"column("h.json", "/h/*/l") == [0.5, 0.25] && cell("h.json", "/h/-1/l") == 0.25"#,
            r#"first(column("log.csv", "acc")) == 0.7 && count(column("log.csv", "acc")) == 2.0"#,
            r#"cell("comma.csv", -1, "y") == 1.0"#,
        ] {
            let found = evaluate(holds, &cells);
            assert_eq!(found, Ok(Outcome::Bool(true)), "{holds}");
        }
        for (text, reason) in [
            (r#"first("t.csv", "acc", 0.95, "epoch")"#, "gives inf"),
            (r#"max(column("nan.csv", "x"))"#, "gives NaN"),
            (r#"min(column("nan.csv", "x"))"#, "gives NaN"),
            (r#"cell("m.json", "/none")"#, "`m.json` has null at `/none`"),
            ("max([])", "`max` of nothing"),
            (
                r#"cell("t.csv", "epoch=4", "acc")"#,
                "`t.csv` has no row `epoch=4`",
            ),
            ("1 / 0", "divides by 0"),
        ] {
            let found = evaluate(text, &cells);
            assert_eq!(found, Err(Failure::NotMeasured(reason.to_owned())));
        }
        for (text, message) in [
            (
                r#"cell("odd.csv", "m=a", "acc")"#,
                "`odd.csv` has `85.3%` in row `m=a`, column `acc`, which is not a number",
            ),
            (
                r#"mean(column("odd.csv", "acc"))"#,
                "`odd.csv` has `85.3%` in row 2, column `acc`, which is not a number",
            ),
            (
                r#"cell("m.json", "/note")"#,
                "`m.json` has `high` at `/note`, which is not a number",
            ),
            (
                r#"cell("m.json", "/big")"#,
                "`m.json` has `1e400` at `/big`, which is not a number: it is too large",
            ),
            (
                r#"cell("comma.csv", 1, "x")"#,
                "`comma.csv` has `0,5` in row 1, column `x`, which is not a number: \
                 `tables: [{files: \"comma.csv\", decimal: \",\"}]` reads decimal commas",
            ),
            (
                r#"cell("m.json", "/loss/vla")"#,
                "`m.json` has nothing at `/loss/vla`: did you mean `/loss/val`?",
            ),
            (
                r#"mean(samples("*/m.json", "/ac"))"#,
                "`a/m.json` has nothing at `/ac`: did you mean `/acc`?",
            ),
            (
                r#"max(column("h.json", "/h/*/y"))"#,
                "`h.json` has nothing at `/h/*/y`: did you mean `/h/0/l`?",
            ),
            (
                r#"cell("t.csv", "/acc")"#,
                "`t.csv` is a table of rows and columns, without JSON pointers: name a row and a column",
            ),
            (
                r#"cell("t.csv", "acc")"#,
                "has `acc` where it needs a JSON pointer, such as `/accuracy`, or a row and a column",
            ),
            (
                r#"cell("twice.csv", "m=a", "x")"#,
                "`twice.csv` has several of row `m=a`",
            ),
            (
                r#"cell("ragged.csv", 1, "x")"#,
                "`ragged.csv` has 2 cells in line 2, but 1 column",
            ),
            (
                r#"max(column("log.csv", "ac"))"#,
                "`log.csv` has no column `ac`: did you mean `acc`?",
            ),
            (
                r#"first("t.csv", "acc", 9.0, "epochs")"#,
                "`t.csv` has no column `epochs`: did you mean `epoch`?",
            ),
            (
                r#"cell("tt.csv", 1, "acc")"#,
                "there is no `tt.csv`, and no stage writes it: did you mean `t.csv`?",
            ),
            (
                r#"cell("m.json", 1, "loss")"#,
                "`m.json` has no column `loss`: it has: `loss/val`, `acc`, `note`, `none`, `big`",
            ),
        ] {
            let found = evaluate(text, &cells);
            assert_eq!(found, Err(Failure::Wrong(message.to_owned())));
        }
    }
}
