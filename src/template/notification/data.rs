//! What templates of messages see: Alertmanager's `Data`, with the methods of its parts.

use std::sync::Arc;

use crate::model::labels::ALERT_NAME;
use crate::model::{Labels, Timestamp};
use crate::template::moment;
use crate::template::value::{Object, Value};

/// The zero time of Go: no end is known.
const NO_TIME: Timestamp = Timestamp(-62_135_596_800_000);

/// A message as its templates see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notification {
    /// Name of the receiver; Alertmanager gives it quoted as a pattern.
    pub receiver: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Its alerts, in order.
    pub alerts: Vec<NotifiedAlert>,
    /// Why it goes out now, in words.
    pub reason: &'static str,
    /// The labels that its group is made by.
    pub group_labels: Labels,
    /// Labels with one value in all its alerts.
    pub common_labels: Labels,
    /// Annotations with one value in all its alerts.
    pub common_annotations: Labels,
    /// How people reach the server.
    pub external_url: String,
}

/// An alert of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifiedAlert {
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it resolved; `None` while it fires.
    pub ends_at: Option<Timestamp>,
    /// Where its rule is seen.
    pub generator_url: String,
    /// 16 hex digits.
    pub fingerprint: String,
}

/// A message made ready for its templates, which all see the same; cheap to clone.
#[derive(Clone, Debug)]
pub struct Dot {
    pub(super) value: Value,
    pub(super) external_url: Arc<str>,
}

impl Notification {
    /// Dot of its templates.
    pub fn dot(&self) -> Dot {
        let alerts = self.alerts.iter().map(alert).collect();
        let value = object(Fields {
            type_name: "*template.Data",
            fields: vec![
                ("Receiver", "receiver", self.receiver.as_str().into()),
                ("Status", "status", self.status.into()),
                ("Alerts", "alerts", object(Alerts(alerts))),
                ("NotificationReason", "notification_reason", self.reason.into()),
                ("GroupLabels", "groupLabels", object(Pairs(self.group_labels.clone()))),
                ("CommonLabels", "commonLabels", object(Pairs(self.common_labels.clone()))),
                ("CommonAnnotations", "commonAnnotations", object(Pairs(self.common_annotations.clone()))),
                ("ExternalURL", "externalURL", self.external_url.as_str().into()),
            ],
        });
        Dot { value, external_url: Arc::from(self.external_url.as_str()) }
    }
}

fn object(object: impl Object + 'static) -> Value {
    Value::Object(Arc::new(object))
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Value {
    texts.map(Value::from).collect::<Vec<_>>().into()
}

fn no_arguments(name: &str, args: &[Value], value: Value) -> Result<Value, String> {
    match args {
        [] => Ok(value),
        _ => Err(format!("wrong number of args for {name}: want 0 got {}", args.len())),
    }
}

/// A struct: fields by their names in Go and in JSON.
#[derive(Debug)]
struct Fields {
    type_name: &'static str,
    fields: Vec<(&'static str, &'static str, Value)>,
}

impl Object for Fields {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let (_, _, value) = self.fields.iter().find(|(known, ..)| *known == name)?;
        Some(match args {
            [] => Ok(value.clone()),
            _ => Err(format!("{name} has arguments but cannot be invoked as function")),
        })
    }

    fn underlying(&self) -> Value {
        Value::Nil
    }

    /// `{a b c}`, as Go prints a struct.
    fn shown(&self) -> Option<String> {
        let parts: Vec<String> = self.fields.iter().map(|(_, _, value)| shown(value)).collect();
        Some(format!("{{{}}}", parts.join(" ")))
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.fields.iter().map(|(_, name, value)| (*name, value.clone())).collect())
    }
}

/// A value within a struct that is printed.
fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::Time(at) => moment::time_string(*at),
        Value::Object(object) => object.shown().unwrap_or_default(),
        _ => String::new(),
    }
}

/// An alert as a struct.
fn alert(alert: &NotifiedAlert) -> Value {
    object(Fields {
        type_name: "template.Alert",
        fields: vec![
            ("Status", "status", alert.status.into()),
            ("Labels", "labels", object(Pairs(alert.labels.clone()))),
            ("Annotations", "annotations", object(Pairs(alert.annotations.clone()))),
            ("StartsAt", "startsAt", Value::Time(alert.starts_at)),
            ("EndsAt", "endsAt", Value::Time(alert.ends_at.unwrap_or(NO_TIME))),
            ("GeneratorURL", "generatorURL", alert.generator_url.as_str().into()),
            ("Fingerprint", "fingerprint", alert.fingerprint.as_str().into()),
        ],
    })
}

/// A list of alerts.
#[derive(Debug)]
struct Alerts(Vec<Value>);

impl Alerts {
    fn of_status(&self, status: &str) -> Value {
        let fits = |alert: &&Value| match alert {
            Value::Object(alert) => matches!(alert.field("Status", &[]), Some(Ok(Value::Str(s))) if *s == *status),
            _ => false,
        };
        self.0.iter().filter(fits).cloned().collect::<Vec<_>>().into()
    }
}

impl Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Firing" => Some(no_arguments(name, args, self.of_status("firing"))),
            "Resolved" => Some(no_arguments(name, args, self.of_status("resolved"))),
            _ => None,
        }
    }

    fn underlying(&self) -> Value {
        self.0.clone().into()
    }
}

/// Labels or annotations.
#[derive(Debug)]
struct Pairs(Labels);

impl Pairs {
    /// By name, the alert's name first.
    fn sorted(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_by_key(|(name, _)| (*name != ALERT_NAME, *name));
        pairs
    }
}

impl Object for Pairs {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        if name == "Remove" {
            return Some(match args {
                [gone] => self.without(gone),
                _ => Err(format!("wrong number of args for Remove: want 1 got {}", args.len())),
            });
        }
        // Only what is asked for is made.
        let value = match name {
            "SortedPairs" => {
                object(PairList(self.sorted().into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()))
            }
            "Names" => texts(self.sorted().into_iter().map(|(name, _)| name)),
            "Values" => texts(self.sorted().into_iter().map(|(_, value)| value)),
            "String" => self.shown().unwrap_or_default().into(),
            _ => return None,
        };
        Some(no_arguments(name, args, value))
    }

    fn underlying(&self) -> Value {
        Value::Labels(self.0.clone())
    }

    fn shown(&self) -> Option<String> {
        Some(lines(self.sorted().into_iter()))
    }
}

impl Pairs {
    fn without(&self, names: &Value) -> Result<Value, String> {
        let wrong = |other: &Value| format!("wrong type for value; expected []string; got {}", other.type_name());
        let Value::List(names) = names.plain() else { return Err(wrong(names)) };
        let is = |value: &Value, name: &str| matches!(value, Value::Str(text) if **text == *name);
        Ok(object(Self(self.0.filtered(|name| !names.iter().any(|gone| is(gone, name))))))
    }
}

fn lines<'t>(pairs: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// Pairs in an order.
#[derive(Debug)]
struct PairList(Vec<(String, String)>);

impl Object for PairList {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let value = match name {
            "Names" => texts(self.0.iter().map(|(name, _)| name.as_str())),
            "Values" => texts(self.0.iter().map(|(_, value)| value.as_str())),
            "String" => self.shown().unwrap_or_default().into(),
            _ => return None,
        };
        Some(no_arguments(name, args, value))
    }

    fn underlying(&self) -> Value {
        let pair = |(name, value): &(String, String)| {
            let fields = vec![("Name", "Name", name.as_str().into()), ("Value", "Value", value.as_str().into())];
            object(Fields { type_name: "template.Pair", fields })
        };
        self.0.iter().map(pair).collect::<Vec<_>>().into()
    }

    fn shown(&self) -> Option<String> {
        Some(lines(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
    }
}
