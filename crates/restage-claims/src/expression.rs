//! Evaluates what a claim computes: a CEL expression over the cells of tables.

use std::sync::{Arc, LazyLock};

use cel::{Context, ExecutionError, Program, Value};

use super::cells::{Cell, Cells, Missing};
use super::functions::{FUNCTIONS, MISTAKE, context, kind, number, samples};
use super::samples::Samples;
use super::work;
use crate::tables::{Decimal, RowName};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::stack::on_a_deep_stack;
use restage_pipeline::{ExpressionError, ExpressionType};

/// What an expression gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// A finite number.
    Number(f64),
    /// A quantity in several runs, whose mean is finite.
    Samples(Samples),
    /// Whether something holds.
    Bool(bool),
}

/// Why an expression gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// What it reads isn't there, or gives no finite number.
    NotMeasured(String),
    /// The expression itself is wrong.
    Wrong(String),
}

/// Longer than anyone writes. CEL's parser and interpreter recurse along `a.b.c`: a deep stack is
/// enough for this many bytes.
const LONGEST: usize = 4_000;

/// What is wrong, and the line (from 1) and character (from 0) where that is known.
type Mistake = (String, Option<(usize, usize)>);

/// Evaluates an expression.
///
/// # Errors
/// It is wrong, or what it reads isn't there.
pub(super) fn evaluate(text: &str, cells: &Arc<dyn Cells>) -> Result<Outcome, Failure> {
    let evaluated = on_a_deep_stack(|| {
        let program = compile(text).map_err(|(message, _)| Failure::Wrong(message))?;
        let context = context(cells).map_err(|error| Failure::Wrong(error.to_string()))?;
        run(&program, &context)
    });
    evaluated.unwrap_or_else(|error| Err(Failure::NotMeasured(format!("no thread: {error}"))))
}

/// Finds the mistake in an expression, as far as it shows without tables; for
/// [`LoadOptions`](restage_pipeline::LoadOptions).
///
/// # Errors
/// The expression is wrong, or gives something else.
pub fn check_expression(text: &str, wanted: ExpressionType) -> Result<(), ExpressionError> {
    let tried = on_a_deep_stack(|| try_out(text, wanted));
    let tried = tried.unwrap_or_else(|error| Err((format!("no thread: {error}"), None)));
    tried.map_err(|(message, place)| ExpressionError {
        hint: hint(&message),
        message,
        place,
    })
}

/// Fields of a claim that may be taken for variables.
const OWN_FIELDS: [&str; 2] = ["ours", "paper"];

fn no_name(name: &str) -> String {
    format!("there is no `{name}`")
}

fn hint(message: &str) -> String {
    let operator = message.contains("does not take");
    if OWN_FIELDS.iter().any(|field| message == no_name(field)) {
        "an expression knows no other field of its claim: write what that one has".to_owned()
    } else if work::is_excess(message) {
        "compute it in a stage that writes a table, and let the claim read its cell".to_owned()
    } else if operator && message.contains("int") {
        "cells are decimals, and CEL keeps whole numbers apart: write `1.0` for `1`".to_owned()
    } else if operator && message.contains("samples") {
        "write `difference(a, b)`, `scaled(a, 100.0)`, or `mean(a)` for one number".to_owned()
    } else {
        format!("besides operators there are {FUNCTIONS}")
    }
}

/// Evaluates an expression on tables that have every cell; whether real ones would do is left
/// open.
fn try_out(text: &str, wanted: ExpressionType) -> Result<(), Mistake> {
    // The functions are the same for all expressions of a pipeline.
    static CONTEXT: LazyLock<Result<Context<'static, 'static>, String>> = LazyLock::new(|| {
        let cells: Arc<dyn Cells> = Arc::new(EveryCell);
        context(&cells).map_err(|error| error.to_string())
    });
    let program = compile(text)?;
    let wrong = |message| Err((message, None));
    let context = match &*CONTEXT {
        Ok(context) => context,
        Err(message) => return wrong(message.clone()),
    };
    match (run(&program, context), wanted) {
        (Err(Failure::Wrong(message)), _) => wrong(message),
        (Err(Failure::NotMeasured(_)), _)
        | (Ok(Outcome::Bool(_)), ExpressionType::Condition)
        | (Ok(Outcome::Number(_) | Outcome::Samples(_)), ExpressionType::Number) => Ok(()),
        (Ok(_), ExpressionType::Condition) => {
            wrong("gives something else than true or false".to_owned())
        }
        (Ok(_), ExpressionType::Number) => wrong("gives something else than a number".to_owned()),
    }
}

/// Needs a deep stack.
fn compile(text: &str) -> Result<Program, Mistake> {
    if text.len() > LONGEST {
        return Err((format!("is longer than {LONGEST} bytes"), None));
    }
    Program::compile(text).map_err(|errors| {
        let Some(error) = errors.errors.first() else {
            return ("is not an expression".to_owned(), None);
        };
        let message = error.msg.lines().next().unwrap_or_default();
        let message = message.trim_start_matches("Syntax error: ").to_owned();
        let (line, character) = error.pos;
        let place = usize::try_from(line).ok().zip(character.try_into().ok());
        (message, place)
    })
}

/// Needs a deep stack.
fn run(program: &Program, context: &Context<'_, '_>) -> Result<Outcome, Failure> {
    work::begin();
    let value = Value::resolve(&work::bounded(program.expression()), context);
    if let Some(excess) = work::excess() {
        return Err(Failure::Wrong(excess));
    }
    let value = value.map_err(failure)?;
    if let Some(samples) = samples(&value) {
        return match samples.mean() {
            mean if mean.is_finite() => Ok(Outcome::Samples(samples.clone())),
            mean => Err(Failure::NotMeasured(format!("gives a mean of {mean}"))),
        };
    }
    match (&value, number(&value)) {
        (Value::Bool(holds), _) => Ok(Outcome::Bool(*holds)),
        (_, Some(number)) if number.is_finite() => Ok(Outcome::Number(number)),
        (_, Some(number)) => Err(Failure::NotMeasured(format!("gives {number}"))),
        (_, None) => Err(Failure::Wrong(
            "gives neither a number nor true or false".to_owned(),
        )),
    }
}

/// Tables that have every cell.
struct EveryCell;

fn one() -> Cell {
    Cell {
        text: "1".to_owned(),
        decimal: Decimal::Point,
    }
}

impl Cells for EveryCell {
    fn cell(&self, _: &RelPath, _: &RowName, _: &str) -> Result<Cell, Missing> {
        Ok(one())
    }

    fn value(&self, _: &RelPath, _: &str) -> Result<Cell, Missing> {
        Ok(one())
    }

    fn column(&self, _: &RelPath, _: &str) -> Result<(Vec<String>, Decimal), Missing> {
        Ok((vec![one().text], Decimal::Point))
    }

    fn matching(&self, _: &Glob) -> Result<Vec<RelPath>, Missing> {
        let paths = ["1", "2"].map(RelPath::new).into_iter();
        paths
            .collect::<Result<_, _>>()
            .map_err(|error| Missing::Mistake(error.to_string()))
    }
}

fn failure(error: ExecutionError) -> Failure {
    match error {
        ExecutionError::FunctionError { function, message } if function == MISTAKE => {
            Failure::Wrong(message)
        }
        ExecutionError::FunctionError { message, .. } => Failure::NotMeasured(message),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Failure::NotMeasured("divides by 0".to_owned())
        }
        ExecutionError::Overflow(..)
        | ExecutionError::IndexOutOfBounds(_)
        | ExecutionError::NoSuchKey(_) => Failure::NotMeasured(error.to_string().to_lowercase()),
        ExecutionError::UndeclaredReference(name) => Failure::Wrong(no_name(&name)),
        ExecutionError::InvalidArgumentCount { expected, actual } => Failure::Wrong(format!(
            "a function is given {actual} arguments instead of {expected}"
        )),
        ExecutionError::UnexpectedType { got, want } => {
            Failure::Wrong(format!("has {got} where it needs {want}"))
        }
        ExecutionError::NoSuchOverload(error) => {
            let types = error.argument_types().join(" and ");
            let name = error.function().trim_matches('_');
            // Numbers have an order, but for this one: a training diverged.
            let numbers = |kind: &String| ["double", "int", "uint"].contains(&kind.as_str());
            match ["<", "<=", ">", ">="].contains(&name) {
                true if error.argument_types().iter().all(numbers) => {
                    Failure::NotMeasured(format!("compares NaN by `{name}`"))
                }
                _ => Failure::Wrong(format!("`{name}` does not take {types}")),
            }
        }
        ExecutionError::UnsupportedBinaryOperator(name, left, right) => {
            let types = [left, right].map(|value| kind(&value));
            Failure::Wrong(format!("`{name}` does not take {}", types.join(" and ")))
        }
        error => Failure::Wrong(error.to_string()),
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
