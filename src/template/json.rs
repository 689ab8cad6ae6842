//! Values as Go's encoding/json writes them: keys of maps sorted, fields of structs in their order, and `<`, `>`, `&`
//! escaped so that the text may stand in HTML.

use super::format::{Sink, format_float};
use super::moment;
use super::value::Value;

/// Go's layout of a time in JSON.
const TIME_LAYOUT: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// Writes a value; recursion is bounded by [`super::value::VALUE_DEPTH_MAX`], and by the sink.
pub(super) fn write(sink: &mut Sink<'_>, value: &Value) {
    if sink.is_full() {
        return;
    }
    match value {
        Value::Nil => sink.push_str("null"),
        Value::Bool(b) => sink.push_str(if *b { "true" } else { "false" }),
        Value::Int(number) | Value::Duration(number) => sink.push_str(&number.to_string()),
        Value::Float(number) => sink.push_str(&float(*number)),
        Value::Str(text) => string(sink, text),
        Value::List(items) => list(sink, items.iter()),
        Value::Map(map) => {
            entries(sink, map.entries().iter().map(|(key, value)| (&**key, value.clone())));
        }
        Value::Labels(labels) => entries(sink, labels.iter().map(|(name, value)| (name, value.into()))),
        Value::Sample(labels, number) => {
            entries(sink, [("Labels", Value::Labels(labels.clone())), ("Value", Value::Float(*number))].into_iter());
        }
        Value::Vector(samples) => {
            let samples: Vec<Value> = samples.iter().map(|(labels, v)| Value::Sample(labels.clone(), *v)).collect();
            list(sink, samples.iter());
        }
        Value::Time(at) => string(sink, &moment::format_time(*at, TIME_LAYOUT)),
        Value::Object(object) => match (object.json_fields(), object.underlying(), object.shown()) {
            (Some(fields), ..) => entries(sink, fields.into_iter()),
            (None, Value::Nil, Some(shown)) => string(sink, &shown),
            (None, plain, _) => write(sink, &plain),
        },
    }
}

/// JSON has no number for what is not finite.
fn float(number: f64) -> String {
    if number.is_finite() { format_float(number, 'g', None) } else { "null".to_owned() }
}

fn list<'v>(sink: &mut Sink<'_>, items: impl Iterator<Item = &'v Value>) {
    sink.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            sink.push(',');
        }
        write(sink, item);
    }
    sink.push(']');
}

fn entries<'k>(sink: &mut Sink<'_>, entries: impl Iterator<Item = (&'k str, Value)>) {
    sink.push('{');
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            sink.push(',');
        }
        string(sink, key);
        sink.push(':');
        write(sink, &value);
    }
    sink.push('}');
}

/// A text in quotes.
pub(super) fn string(sink: &mut Sink<'_>, text: &str) {
    sink.push('"');
    for c in text.chars() {
        match c {
            '"' => sink.push_str("\\\""),
            '\\' => sink.push_str("\\\\"),
            '\n' => sink.push_str("\\n"),
            '\r' => sink.push_str("\\r"),
            '\t' => sink.push_str("\\t"),
            '\u{8}' => sink.push_str("\\b"),
            '\u{c}' => sink.push_str("\\f"),
            '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                sink.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => sink.push(c),
        }
    }
    sink.push('"');
}
