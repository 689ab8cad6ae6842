//! What values give when they are asked: fields and methods, and whether they fit a parameter; and the functions of a
//! dialect by name.

use super::functions::{Function, Kind};
use super::value::Value;
use super::zoned::Zoned;
use super::{Dialect, moment};

/// Whether a value fits a parameter.
pub(super) fn accepts(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Str => matches!(value, Value::Str(_)),
        Kind::Vector => matches!(value, Value::Vector(_)),
        Kind::Sample => matches!(value, Value::Sample(..)),
        Kind::Strings => match value.plain() {
            Value::List(items) => items.iter().all(|item| matches!(item, Value::Str(_))),
            _ => false,
        },
        Kind::Time => Zoned::instant(value).is_some(),
    }
}

/// A field or, with the arguments, a method of a value.
pub(super) fn field(value: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    let no_such = || format!("can't evaluate field {name} in type {}", value.type_name());
    let method = match value {
        Value::Time(at) => moment::time_method(*at, name, args),
        Value::Duration(nanos) => moment::duration_method(*nanos, name, args),
        Value::Object(object) => object.field(name, args),
        _ => None,
    };
    if let Some(result) = method {
        return result.map_err(|message| format!("error calling {name}: {message}"));
    }
    let plain = value.plain();
    let found = match &plain {
        Value::Labels(labels) => labels.get(name).unwrap_or("").into(),
        Value::Map(map) => map.entries().get(name).cloned().unwrap_or_default(),
        Value::Sample(labels, _) if name == "Labels" => Value::Labels(labels.clone()),
        Value::Sample(_, number) if name == "Value" => Value::Float(*number),
        Value::Nil if !matches!(value, Value::Object(_)) => return Ok(Value::Nil),
        _ => return Err(no_such()),
    };
    if args.is_empty() { Ok(found) } else { Err(format!("{name} is not a method but has arguments")) }
}

impl Dialect {
    /// The function of that name.
    pub(super) fn function(&self, name: &str) -> Option<&'static Function> {
        self.tables.iter().find_map(|table| {
            let index = table.binary_search_by(|f| f.name.cmp(name)).ok()?;
            table.get(index)
        })
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = &'static Function> {
        self.tables.iter().flat_map(|table| table.iter())
    }
}
