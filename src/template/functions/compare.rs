//! Go's comparisons (text/template/funcs.go): numbers of one kind, texts, booleans.

use std::cmp::Ordering;

use super::any_arg;
use crate::template::host::Host;
use crate::template::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Equality, or the words Go has against the comparison.
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (&a.plain(), &b.plain()) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (a, b) if a.type_name() == b.type_name() => Err(format!("non-comparable type {}", a.type_name())),
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (&a.plain(), &b.plain()) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        (a, b) if is_basic(a) && is_basic(b) && a.type_name() != b.type_name() => Err(INCOMPATIBLE.to_owned()),
        _ => Err(INVALID.to_owned()),
    }
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Duration(_))
}

/// Whether the first equals any of the others.
pub(super) fn eq(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let (first, others) = args.split_first().ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(!equal(any_arg(args, 0), any_arg(args, 1))?))
}

pub(super) fn lt(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(order(any_arg(args, 0), any_arg(args, 1))? == Some(Ordering::Less)))
}

pub(super) fn le(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(at_most(args)?))
}

/// Go defines `gt` as not `le`: with NaN it is true.
pub(super) fn gt(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(!at_most(args)?))
}

/// Go defines `ge` as not `lt`: with NaN it is true.
pub(super) fn ge(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(order(any_arg(args, 0), any_arg(args, 1))? != Some(Ordering::Less)))
}

fn at_most(args: &[Value]) -> Result<bool, String> {
    Ok(order(any_arg(args, 0), any_arg(args, 1))?.is_some_and(Ordering::is_le))
}
