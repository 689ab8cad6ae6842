//! Texts that a template vouches for: `safeHtml` and `safeUrl` mark them, and escaping leaves them as they are.

use std::sync::Arc;

use super::value::{Object, Value};

/// What a text may stand for without being escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Url,
}

/// A text with its mark.
#[derive(Debug)]
pub(super) struct Safe {
    kind: Kind,
    text: Arc<str>,
}

const HTML: &str = "template.HTML";
const URL: &str = "template.URL";

impl Safe {
    pub(super) fn html(text: &str) -> Value {
        Value::Object(Arc::new(Self { kind: Kind::Html, text: Arc::from(text) }))
    }

    pub(super) fn url(text: &str) -> Value {
        Value::Object(Arc::new(Self { kind: Kind::Url, text: Arc::from(text) }))
    }

    /// The mark of a value, where it has one.
    pub(super) fn kind_of(value: &Value) -> Option<Kind> {
        match value {
            Value::Object(object) => match object.type_name() {
                HTML => Some(Kind::Html),
                URL => Some(Kind::Url),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Object for Safe {
    fn type_name(&self) -> &str {
        match self.kind {
            Kind::Html => HTML,
            Kind::Url => URL,
        }
    }

    fn field(&self, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        None
    }

    fn underlying(&self) -> Value {
        Value::Str(Arc::clone(&self.text))
    }
}
