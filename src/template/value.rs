//! The values templates work with, cheap to clone.
//!
//! Place in the flow: callers put data in as [`Value`]s (or as [`Object`]s, for data with methods such as
//! Alertmanager's), functions take and return them. Values never do I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::{Labels, Timestamp};

/// How deep lists and maps may nest; deeper ones are refused where they are built.
pub const VALUE_DEPTH_MAX: usize = 32;

/// A value of the template language.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value; printed as `<no value>`.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list of anything.
    List(Arc<Vec<Value>>),
    /// A map from text to anything; a missing key is [`Value::Nil`].
    Map(Arc<Map>),
    /// A map from text to text; a missing key is the empty text.
    Labels(Labels),
    /// One series of a query's answer, with fields `.Labels` and `.Value`.
    Sample(Labels, f64),
    /// A query's answer.
    Vector(Arc<Vec<(Labels, f64)>>),
    /// An instant, with methods such as `.Format`.
    Time(Timestamp),
    /// A length of time in nanoseconds, with methods such as `.Seconds`.
    Duration(i64),
    /// Data with fields and methods of its own.
    Object(Arc<dyn Object>),
}

/// A map that knows how deep it nests.
#[derive(Debug, Default)]
pub struct Map {
    entries: BTreeMap<Arc<str>, Value>,
    depth: usize,
}

impl Map {
    /// A map of these entries.
    pub fn new(entries: BTreeMap<Arc<str>, Value>) -> Self {
        let depth = 1 + entries.values().map(Value::depth).max().unwrap_or(0);
        Self { entries, depth }
    }

    /// The entries in order of their keys.
    pub fn entries(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.entries
    }
}

/// A value with fields or methods that the other kinds cannot express.
pub trait Object: fmt::Debug + Send + Sync {
    /// Name of the type, as error messages and `%T` show it.
    fn type_name(&self) -> &str;

    /// The field of that name, or the result of the method of that name; `None` if there is neither.
    ///
    /// # Errors
    /// Says what is wrong with the arguments, or why the method failed.
    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>>;

    /// What `range`, `index`, `len`, truth and printing work on: a list, a map or text. [`Value::Nil`] if it is none
    /// of these.
    fn underlying(&self) -> Value;

    /// What printing shows where that is not the underlying value: Go's method `String`.
    fn shown(&self) -> Option<String> {
        None
    }

    /// The fields that `toJson` writes, where it is a struct.
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }
}

impl Value {
    /// Text.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// Name of its type in Go.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Labels(_) => "map[string]string",
            Self::Sample(..) => "*template.sample",
            Self::Vector(_) => "template.queryResult",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Truth as `if` sees it: false for nothing, zero and what is empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Vector(samples) => !samples.is_empty(),
            Self::Sample(..) | Self::Time(_) | Self::Duration(_) => true,
            Self::Object(object) => match object.underlying() {
                Self::Nil => true,
                plain => plain.truth(),
            },
        }
    }

    /// Levels of lists and maps in it.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// An object's underlying value; anything else as it is.
    pub(super) fn plain(&self) -> Self {
        match self {
            Self::Object(object) => object.underlying(),
            other => other.clone(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(Arc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Arc::from(text))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Labels> for Value {
    fn from(labels: Labels) -> Self {
        Self::Labels(labels)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(Arc::new(items))
    }
}
