//! What a claim computes: a CEL expression over the cells of tables.
//! It must not know where tables come from, nor what a value is held against.

use std::sync::{Arc, LazyLock};

use cel::extractors::Arguments;
use cel::{Context, DeclarationError, ExecutionError, Program, Value};

use crate::base::rel_path::RelPath;
use crate::base::span::Location;

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// A finite number.
    Number(f64),
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
}

/// What an expression can call, for hints.
pub(crate) const FUNCTIONS: &str = "`cell(file, row, column)`, `text(file, row, column)`, \
    `column(file, column)`, `first(file, column, at_least, column)`, `abs(number)`, `min(list)`, \
    `max(list)` and `mean(list)`";

/// Longer than anyone writes.
const LONGEST: usize = 10_000;

/// What is wrong, and the line (from 1) and character (from 0) where that is known.
pub(crate) type Mistake = (String, Option<(usize, usize)>);

type Fold = fn(&[f64]) -> f64;

type Given = Result<Value, ExecutionError>;

impl Expression {
    /// Reads it.
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
        self.run(&context(cells).map_err(|error| Failure::Wrong(error.to_string()))?)
    }

    /// What it gives on tables that have every cell; `None` if that takes real ones.
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
        match self.program.execute(context).map_err(failure)? {
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
            let types = [left, right].map(|value| format!("{:?}", value.type_of()).to_lowercase());
            Failure::Wrong(format!("`{name}` does not take {}", types.join(" and ")))
        }
        error => Failure::Wrong(error.to_string()),
    }
}

fn context(cells: &Arc<dyn Cells>) -> Result<Context<'static, 'static>, DeclarationError> {
    let mut context = Context::default();
    let [c, t, l, f] = [cells, cells, cells, cells].map(Arc::clone);
    context.add_function("cell", move |Arguments(args): Arguments| -> Given {
        let [file, row, column] = exactly(&args)?;
        to_number(&one_cell(&*c, file, row, column)?)
    })?;
    context.add_function("text", move |Arguments(args): Arguments| -> Given {
        let [file, row, column] = exactly(&args)?;
        Ok(Value::String(Arc::new(one_cell(&*t, file, row, column)?)))
    })?;
    context.add_function("column", move |Arguments(args): Arguments| -> Given {
        let [file, column] = exactly(&args)?;
        let cells = l.column(&path(file)?, text(column)?).map_err(gone)?;
        let numbers: Result<Vec<_>, _> = cells.iter().map(|cell| to_number(cell)).collect();
        Ok(Value::List(Arc::new(numbers?)))
    })?;
    context.add_function("first", move |Arguments(args): Arguments| first(&*f, &args))?;
    context.add_function("abs", |Arguments(args): Arguments| -> Given {
        let [value] = exactly(&args)?;
        Ok(Value::Float(
            number(value)
                .ok_or_else(|| unlike(value, "a number"))?
                .abs(),
        ))
    })?;
    let folds: [(&'static str, Fold); 3] = [("min", least), ("max", greatest), ("mean", mean)];
    for (name, fold) in folds {
        context.add_function(name, move |Arguments(args): Arguments| -> Given {
            let [list] = exactly(&args)?;
            let Value::List(items) = list else {
                return Err(unlike(list, "a list of numbers"));
            };
            let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
            let numbers = numbers.ok_or_else(|| unlike(list, "a list of numbers"))?;
            match numbers.is_empty() {
                true => Err(gone(format!("`{name}` of nothing"))),
                false => Ok(Value::Float(fold(&numbers))),
            }
        })?;
    }
    Ok(context)
}

/// The value of one column where another first is at least so much; infinite if it never is.
fn first(cells: &dyn Cells, args: &[Value]) -> Given {
    let [file, column, least, other] = exactly(args)?;
    let least = number(least).ok_or_else(|| unlike(least, "a number"))?;
    let (file, other) = (path(file)?, text(other)?);
    let reached = cells.column(&file, text(column)?).map_err(gone)?;
    for (at, cell) in reached.iter().enumerate() {
        if number(&to_number(cell)?).is_some_and(|value| value >= least) {
            let row = RowName::Number(i64::try_from(at + 1).unwrap_or(i64::MAX));
            return to_number(&cells.cell(&file, &row, other).map_err(gone)?);
        }
    }
    Ok(Value::Float(f64::INFINITY))
}

fn one_cell(
    cells: &dyn Cells,
    file: &Value,
    row: &Value,
    column: &Value,
) -> Result<String, ExecutionError> {
    cells
        .cell(&path(file)?, &row_name(row)?, text(column)?)
        .map_err(gone)
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

/// `3`, `-1`, or `"model=a, split=test"`.
fn row_name(value: &Value) -> Result<RowName, ExecutionError> {
    let what = "a row: its number from 1 (-1 is the last), or `column=value`";
    match value {
        Value::Int(number) if *number != 0 => Ok(RowName::Number(*number)),
        Value::String(text) => {
            let pairs = text.split(',').map(|pair| {
                let (column, value) = pair.split_once('=')?;
                Some((column.trim().to_owned(), value.trim().to_owned()))
            });
            let pairs: Option<Vec<_>> = pairs.collect();
            pairs.map(RowName::Key).ok_or_else(|| unlike(value, what))
        }
        _ => Err(unlike(value, what)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        _ => None,
    }
}

fn to_number(cell: &str) -> Given {
    let number = cell.trim().parse::<f64>();
    number
        .map(Value::Float)
        .map_err(|_| gone(format!("the cell `{cell}` is no number")))
}

/// What is read isn't there.
fn gone(message: String) -> ExecutionError {
    ExecutionError::function_error("tables", message)
}

/// An argument of the wrong kind.
fn unlike(value: &Value, want: &str) -> ExecutionError {
    let got = match value {
        Value::String(text) => format!("`{text}`"),
        Value::Int(number) => format!("{number}"),
        value => format!("{:?}", value.type_of()).to_lowercase(),
    };
    ExecutionError::UnexpectedType {
        got,
        want: want.to_owned(),
    }
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

fn greatest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}
