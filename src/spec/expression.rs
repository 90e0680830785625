//! What a claim computes: a CEL expression over the cells of tables.
//! It must not know where tables come from, nor what a value is held against.

use std::sync::{Arc, LazyLock};

use cel::{Context, ExecutionError, Program, Value};

use super::functions::{context, kind, number, samples};
use super::samples::Samples;
use crate::base::glob::Glob;
use crate::base::rel_path::RelPath;
use crate::base::span::Location;
use crate::base::stack::on_a_deep_stack;

/// An expression, templates filled in.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Its text.
    pub text: String,
    /// Where it stands in the file.
    pub location: Location,
    program: Arc<Program>,
}

impl PartialEq for Expression {
    /// The same text is the same program.
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.location) == (&other.text, other.location)
    }
}

/// What an expression gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A finite number.
    Number(f64),
    /// A quantity in several runs, whose mean is finite.
    Samples(Samples),
    /// Whether something holds.
    Bool(bool),
}

/// Why an expression gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// What it reads isn't there, or gives no finite number.
    NotMeasured(String),
    /// The expression itself is wrong.
    Wrong(String),
}

/// Which row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowName {
    /// From 1; -1 is the last.
    Number(i64),
    /// The only row whose columns have these values.
    Key(Vec<(String, String)>),
}

/// Tables that an expression can read. An error says what isn't there.
pub trait Cells: Send + Sync {
    /// One cell's text, which isn't empty.
    ///
    /// # Errors
    /// The file, row or column isn't there, or the cell is empty.
    fn cell(&self, file: &RelPath, row: &RowName, column: &str) -> Result<String, String>;

    /// A column's cells.
    ///
    /// # Errors
    /// The file or column isn't there.
    fn column(&self, file: &RelPath, column: &str) -> Result<Vec<String>, String>;

    /// The files that a pattern matches: at least one, each once.
    ///
    /// # Errors
    /// There is none.
    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, String>;
}

/// Longer than anyone writes. CEL's parser and interpreter recurse along `a.b.c`: of so many bytes
/// a deep stack holds all.
const LONGEST: usize = 4_000;

/// What is wrong, and the line (from 1) and character (from 0) where that is known.
pub(crate) type Mistake = (String, Option<(usize, usize)>);

impl Expression {
    /// Reads it. Needs a deep stack.
    ///
    /// # Errors
    /// What is wrong, and the place in its text where that is known.
    pub(crate) fn new(text: String, location: Location) -> Result<Self, Mistake> {
        if text.len() > LONGEST {
            return Err((format!("is longer than {LONGEST} bytes"), None));
        }
        let program = Program::compile(&text).map_err(|errors| match errors.errors.first() {
            Some(error) => {
                let message = error.msg.lines().next().unwrap_or_default();
                let message = message.trim_start_matches("Syntax error: ").to_owned();
                let (line, character) = error.pos;
                let place = (usize::try_from(line), usize::try_from(character));
                match place {
                    (Ok(line), Ok(character)) => (message, Some((line, character))),
                    _ => (message, None),
                }
            }
            None => ("is no expression".to_owned(), None),
        })?;
        Ok(Self {
            text,
            location,
            program: Arc::new(program),
        })
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// It is wrong, or what it reads isn't there.
    pub fn evaluate(&self, cells: &Arc<dyn Cells>) -> Result<Outcome, Failure> {
        let context = context(cells).map_err(|error| Failure::Wrong(error.to_string()))?;
        on_a_deep_stack(|| self.run(&context))
            .unwrap_or_else(|error| Err(Failure::NotMeasured(format!("no thread: {error}"))))
    }

    /// What it gives on tables that have every cell; `None` if that takes real ones. Needs a deep
    /// stack.
    ///
    /// # Errors
    /// It is wrong, as far as that shows without tables.
    pub(crate) fn try_out(&self) -> Result<Option<Outcome>, String> {
        // The functions are the same for all expressions of a pipeline.
        static PRETENDED: LazyLock<Result<Context<'static, 'static>, String>> =
            LazyLock::new(|| {
                let cells: Arc<dyn Cells> = Arc::new(Pretended);
                context(&cells).map_err(|error| error.to_string())
            });
        match self.run(PRETENDED.as_ref().map_err(Clone::clone)?) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(Failure::NotMeasured(_)) => Ok(None),
            Err(Failure::Wrong(message)) => Err(message),
        }
    }

    fn run(&self, context: &Context<'_, '_>) -> Result<Outcome, Failure> {
        let wrong = |text: &str| Failure::Wrong(text.to_owned());
        let value = self.program.execute(context).map_err(failure)?;
        if let Some(samples) = samples(&value) {
            return match samples.mean() {
                mean if mean.is_finite() => Ok(Outcome::Samples(samples.clone())),
                mean => Err(Failure::NotMeasured(format!("gives a mean of {mean}"))),
            };
        }
        match value {
            Value::Bool(holds) => Ok(Outcome::Bool(holds)),
            value => match number(&value) {
                Some(number) if number.is_finite() => Ok(Outcome::Number(number)),
                Some(number) => Err(Failure::NotMeasured(format!("gives {number}"))),
                None => Err(wrong("gives neither a number nor true or false")),
            },
        }
    }
}

/// Tables that have every cell.
struct Pretended;

impl Cells for Pretended {
    fn cell(&self, _: &RelPath, _: &RowName, _: &str) -> Result<String, String> {
        Ok("1".to_owned())
    }

    fn column(&self, _: &RelPath, _: &str) -> Result<Vec<String>, String> {
        Ok(vec!["1".to_owned()])
    }

    fn matching(&self, _: &Glob) -> Result<Vec<RelPath>, String> {
        let paths = ["1", "2"].map(RelPath::new).into_iter();
        paths
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
}

fn failure(error: ExecutionError) -> Failure {
    match error {
        ExecutionError::FunctionError { message, .. } => Failure::NotMeasured(message),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Failure::NotMeasured("divides by 0".to_owned())
        }
        ExecutionError::Overflow(..)
        | ExecutionError::IndexOutOfBounds(_)
        | ExecutionError::NoSuchKey(_) => Failure::NotMeasured(error.to_string().to_lowercase()),
        ExecutionError::UndeclaredReference(name) => {
            Failure::Wrong(format!("there is no `{name}`"))
        }
        ExecutionError::InvalidArgumentCount { expected, actual } => Failure::Wrong(format!(
            "a function is given {actual} arguments instead of {expected}"
        )),
        ExecutionError::UnexpectedType { got, want } => {
            Failure::Wrong(format!("has {got} where it needs {want}"))
        }
        ExecutionError::NoSuchOverload(error) => {
            let types = error.argument_types().join(" and ");
            let name = error.function().trim_matches('_');
            Failure::Wrong(format!("`{name}` does not take {types}"))
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
