//! Bounds the work of an expression: loops in loops over short lists could take hours.
//!
//! A step is a use of a name, and one more for each item of a list that is named or looped over:
//! nothing long can be made without naming something. CEL's interpreter counts nothing, so a
//! function that does is put around those places.

use std::cell::Cell;

use cel::common::ast::{CallExpr, EntryExpr, Expr};
use cel::extractors::Arguments;
use cel::{Context, DeclarationError, ExecutionError, IdedExpr, Value};

/// Far more than a claim needs; they take some seconds. Tests have no time for that.
const MOST: u64 = if cfg!(test) { 20_000 } else { 1_000_000 };

const EXCESS: &str = "takes more than 1,000,000 steps: loops in loops multiply";

/// No expression can be written that calls it.
const COUNTED: &str = "@counted";

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Starts counting the steps of this thread anew.
pub(super) fn begin() {
    STEPS.set(0);
}

/// What is wrong, if the expression took too many steps.
pub(super) fn excess() -> Option<String> {
    (STEPS.get() > MOST).then(|| EXCESS.to_owned())
}

/// Whether a message is that of [`excess`].
pub(super) fn is_excess(message: &str) -> bool {
    message == EXCESS
}

/// Counts some steps.
///
/// # Errors
/// There were too many.
pub(super) fn count(steps: usize) -> Result<(), ExecutionError> {
    let steps = STEPS.get().saturating_add(steps as u64);
    STEPS.set(steps);
    match steps > MOST {
        true => Err(ExecutionError::function_error("steps", "too many steps")),
        false => Ok(()),
    }
}

/// Declares the function that [`bounded`] puts into expressions.
///
/// # Errors
/// It is declared already.
pub(super) fn declare(context: &mut Context<'static, 'static>) -> Result<(), DeclarationError> {
    context.add_function(
        COUNTED,
        |Arguments(args): Arguments| -> Result<Value, ExecutionError> {
            let value = args.first().cloned().unwrap_or(Value::Null);
            let size = match &value {
                Value::List(items) => items.len(),
                Value::Map(map) => map.map.len(),
                Value::String(text) => text.len(),
                _ => 0,
            };
            count(size + 1)?;
            Ok(value)
        },
    )
}

/// The expression, counting its steps. Needs a deep stack.
pub(super) fn bounded(expression: &IdedExpr) -> IdedExpr {
    let mut bounded = expression.clone();
    visit(&mut bounded);
    bounded
}

fn visit(expression: &mut IdedExpr) {
    let counts = match &mut expression.expr {
        // Names of the interpreter's own are left alone: it looks for them.
        Expr::Ident(name) => !name.starts_with('@'),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| visit(target));
            call.args.iter_mut().for_each(visit);
            false
        }
        Expr::Comprehension(loop_) => {
            let parts = [
                &mut loop_.iter_range,
                &mut loop_.accu_init,
                &mut loop_.loop_cond,
                &mut loop_.loop_step,
                &mut loop_.result,
            ];
            parts.into_iter().for_each(visit);
            // A name is counted already.
            if !is_counted(&loop_.iter_range) {
                wrap(&mut loop_.iter_range);
            }
            false
        }
        Expr::List(list) => {
            list.elements.iter_mut().for_each(visit);
            false
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        visit(&mut entry.key);
                        visit(&mut entry.value);
                    }
                    EntryExpr::StructField(field) => visit(&mut field.value),
                }
            }
            false
        }
        Expr::Select(select) => {
            visit(&mut select.operand);
            false
        }
        // There are no types that could be made.
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => false,
    };
    if counts {
        wrap(expression);
    }
}

fn is_counted(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Call(call) if call.func_name == COUNTED)
}

fn wrap(expression: &mut IdedExpr) {
    let inner = std::mem::take(expression);
    expression.id = inner.id;
    expression.expr = Expr::Call(CallExpr {
        func_name: COUNTED.to_owned(),
        target: None,
        args: vec![inner],
    });
}
