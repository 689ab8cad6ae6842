//! Go's own functions on lists, maps and text (text/template/funcs.go).

use std::sync::Arc;

use super::{any_arg, str_arg};
use crate::template::format;
use crate::template::host::Host;
use crate::template::value::Value;

pub(super) fn not(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(!any_arg(args, 0).truth()))
}

pub(super) fn call(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    // No value of the language is a function.
    match any_arg(args, 0) {
        Value::Nil => Err("call of nil".to_owned()),
        other => Err(format!("non-function of type {}", other.type_name())),
    }
}

pub(super) fn len(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = any_arg(args, 0);
    let length = match value.plain() {
        Value::Str(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Vector(samples) => samples.len(),
        Value::Map(map) => map.entries().len(),
        Value::Labels(labels) => labels.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        _ => return Err(format!("len of type {}", value.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn position(key: &Value, limit: usize) -> Result<usize, String> {
    match key {
        Value::Int(index) => {
            usize::try_from(*index).ok().filter(|i| *i <= limit).ok_or_else(|| format!("index out of range: {index}"))
        }
        Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

fn key_text(key: &Value) -> Result<Arc<str>, String> {
    match key.plain() {
        Value::Str(text) => Ok(text),
        Value::Nil => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", other.type_name())),
    }
}

pub(super) fn index(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let mut item = any_arg(args, 0).clone();
    for key in args.iter().skip(1) {
        item = index_once(&item, key)?;
    }
    Ok(item)
}

fn index_once(item: &Value, key: &Value) -> Result<Value, String> {
    let out_of_range = |index: usize| format!("index out of range: {index}");
    match item.plain() {
        Value::List(items) => {
            let index = position(key, items.len())?;
            items.get(index).cloned().ok_or_else(|| out_of_range(index))
        }
        Value::Vector(samples) => {
            let index = position(key, samples.len())?;
            let (labels, value) = samples.get(index).ok_or_else(|| out_of_range(index))?;
            Ok(Value::Sample(labels.clone(), *value))
        }
        Value::Str(text) => {
            let index = position(key, text.len())?;
            let byte = text.as_bytes().get(index).ok_or_else(|| out_of_range(index))?;
            Ok(Value::Int(i64::from(*byte)))
        }
        Value::Map(map) => Ok(map.entries().get(&key_text(key)?).cloned().unwrap_or_default()),
        Value::Labels(labels) => Ok(labels.get(&key_text(key)?).unwrap_or("").into()),
        Value::Nil => Err("index of untyped nil".to_owned()),
        _ => Err(format!("can't index item of type {}", item.type_name())),
    }
}

pub(super) fn slice(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let item = any_arg(args, 0).plain();
    let length = match &item {
        Value::Str(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Vector(samples) => samples.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let bounds = args.get(1..).unwrap_or(&[]);
    match (&item, bounds.len()) {
        (Value::Str(_), 3) => return Err("cannot 3-index slice a string".to_owned()),
        (_, 0..=3) => {}
        (_, count) => return Err(format!("too many slice indexes: {count}")),
    }
    let at = |index: usize, default: usize| bounds.get(index).map_or(Ok(default), |key| position(key, length));
    let (start, end) = (at(0, 0)?, at(1, length)?);
    // A third index limits a capacity, which nobody can see here; it must still be in order.
    let last = at(2, end.max(start))?;
    if start > end || end > last {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    host.charge_bytes(end - start)?;
    Ok(match item {
        // Cutting a character in two leaves U+FFFD, since texts are UTF-8 here.
        Value::Str(text) => String::from_utf8_lossy(text.as_bytes().get(start..end).unwrap_or(&[])).into_owned().into(),
        Value::List(items) => Value::List(Arc::new(items.get(start..end).unwrap_or(&[]).to_vec())),
        Value::Vector(samples) => Value::Vector(Arc::new(samples.get(start..end).unwrap_or(&[]).to_vec())),
        _ => Value::Nil,
    })
}

pub(super) fn print(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.build(|sink| format::print(sink, args))
}

pub(super) fn println(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.build(|sink| format::println(sink, args))
}

pub(super) fn printf(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.build(|sink| format::printf(sink, str_arg(args, 0), args.get(1..).unwrap_or(&[])))
}
