//! What templates of alerts see: the labels and the value of the sample, and Prometheus's functions.

use std::sync::Arc;

use super::value::{Object, Value};
use super::{Dialect, Environment, QueryFn, functions};
use crate::model::{Labels, Timestamp};

/// Slot of `$labels`.
const LABELS_SLOT: usize = 1;

/// Prometheus's prelude (prometheus/prometheus:rules/alerting.go) and functions.
pub(super) static DIALECT: Dialect = Dialect {
    tables: &[functions::GO, functions::PROMETHEUS],
    variables: &["$labels", "$externalLabels", "$externalURL", "$value"],
    fields: &["Labels", "Value", "ExternalLabels", "ExternalURL"],
    labels: Some((LABELS_SLOT, "Labels")),
};

/// What a template of an alert is rendered with.
pub struct AlertContext<'a> {
    /// Labels of the sample, `__name__` included.
    pub labels: &'a Labels,
    /// Its value.
    pub value: f64,
    /// Labels this server puts on everything it sends.
    pub external_labels: &'a Labels,
    /// Where people reach this server.
    pub external_url: &'a str,
    /// Answers the function `query`.
    pub query: &'a QueryFn<'a>,
    /// The instant of the evaluation.
    pub now: Timestamp,
}

impl<'a> AlertContext<'a> {
    /// Dot and the variables, in the order of their slots.
    pub(super) fn frame(&self, reads_url: bool) -> Vec<Value> {
        let url = if reads_url { Value::from(self.external_url) } else { Value::Nil };
        let data = AlertData {
            labels: self.labels.clone(),
            external_labels: self.external_labels.clone(),
            external_url: url.clone(),
            value: self.value,
        };
        vec![
            Value::Object(Arc::new(data)),
            Value::Labels(self.labels.clone()),
            Value::Labels(self.external_labels.clone()),
            url,
            Value::Float(self.value),
        ]
    }

    pub(super) fn environment(&self) -> Environment<'a> {
        Environment { external_url: self.external_url, now: self.now, query: Some(self.query) }
    }
}

/// Dot.
#[derive(Debug)]
struct AlertData {
    labels: Labels,
    external_labels: Labels,
    external_url: Value,
    value: f64,
}

impl Object for AlertData {
    fn type_name(&self) -> &str {
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let value = match name {
            "Labels" => Value::Labels(self.labels.clone()),
            "ExternalLabels" => Value::Labels(self.external_labels.clone()),
            "ExternalURL" => self.external_url.clone(),
            "Value" => Value::Float(self.value),
            _ => return None,
        };
        Some(if args.is_empty() { Ok(value) } else { Err(format!("{name} is a field and takes no arguments")) })
    }

    fn underlying(&self) -> Value {
        Value::Nil
    }
}
