//! What a plain scalar means: number, boolean, null or text, as `serde_yaml` has it.

use serde_yaml::Value;

use super::{Kind, Node, ScalarStyle};

impl Node {
    /// The scalar as `serde_yaml` types it; `None` for lists and mappings.
    pub fn typed(&self) -> Option<Value> {
        let Kind::Scalar { value, .. } = &self.kind else { return None };
        if self.is_null() {
            return Some(Value::Null);
        }
        if self.plain().is_none_or(|text| !may_be_typed(text)) {
            return Some(Value::String(value.clone()));
        }
        // A plain scalar is one line of text here, so it cannot be anything but a scalar to the reader either; what it
        // refuses (a lone `-`, `? x`) is text.
        match serde_yaml::from_str::<Value>(value) {
            Ok(typed @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Some(typed),
            _ => Some(Value::String(value.clone())),
        }
    }

    /// The value as a finite or infinite number; quoted numbers are text.
    pub fn number(&self) -> Option<f64> {
        match self.typed()? {
            Value::Number(n) => n.as_f64(),
            _ => None,
        }
    }

    /// The value as a whole number that is not negative.
    pub fn integer(&self) -> Option<u64> {
        match self.typed()? {
            Value::Number(n) => n.as_u64(),
            _ => None,
        }
    }

    /// The value as `true` or `false`; quoted it is text.
    pub fn boolean(&self) -> Option<bool> {
        match self.typed()? {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// Whether nothing stands there (`key:`, `~`, `null`).
    pub fn is_null(&self) -> bool {
        // Asked of nearly every value, so that the full reading is not begun for it.
        self.plain().is_some_and(|text| matches!(text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar that its writing does not make a text.
    fn plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { value, style: ScalarStyle::Plain, tag }
                if !matches!(tag.as_deref(), Some("!!str" | "!")) =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// The whole tree as a `serde_yaml` value, for reading it into a struct.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { .. } => self.typed().unwrap_or(Value::Null),
            Kind::Sequence(items) => Value::Sequence(items.iter().map(Self::to_value).collect()),
            Kind::Mapping(entries) => {
                Value::Mapping(entries.iter().map(|(k, v)| (k.to_value(), v.to_value())).collect())
            }
        }
    }
}

/// Whether a plain scalar could be anything but text: saves the full reading of nearly every scalar of a rule file.
fn may_be_typed(value: &str) -> bool {
    match value.as_bytes() {
        [] => true,
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => value.len() <= 64 && !value.contains([' ', ':', ',']),
        [b'~'] => true,
        [b't' | b'T' | b'f' | b'F' | b'n' | b'N', ..] => {
            ["true", "false", "null"].iter().any(|word| value.eq_ignore_ascii_case(word))
        }
        _ => false,
    }
}
