//! What HTTP asks of the app for the Alertmanager API v2: alerts that others report, and all that fire, as they stand.
//!
//! All methods may block.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::ApiError;
use crate::model::{Fingerprint, Labels, Timestamp};

/// Go's zero time, which stands for none.
const NO_TIME: Timestamp = Timestamp(-62_135_596_800_000);

/// Alerts, groups and receivers, seen from HTTP.
pub trait Alerting: Send + Sync + 'static {
    /// Takes alerts that another program reports. Without an error they are on the disk.
    fn post_alerts(&self, posted: Vec<PostedAlert>) -> Result<(), ApiError>;

    /// Alerts that fire, by fingerprint.
    fn firing(&self, query: &AlertQuery) -> Result<Vec<AlertView>, ApiError>;

    /// The groups in which they are told.
    fn alert_groups(&self, query: &AlertQuery) -> Result<Vec<AlertGroup>, ApiError>;

    /// Handlers, in the order of the files.
    fn receivers(&self, matchers: &[String]) -> Result<Vec<ReceiverView>, ApiError>;

    /// Routes and handlers in Alertmanager's language, free of secrets.
    fn routing(&self) -> String;
}

/// An alert as it is posted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Since when it fires.
    #[serde(default, deserialize_with = "time")]
    pub starts_at: Option<Timestamp>,
    /// When it is over.
    #[serde(default, deserialize_with = "time")]
    pub ends_at: Option<Timestamp>,
    /// Where its source shows it.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Option<String>,
}

/// A time; an empty text and Go's zero time are none.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let wrong = || serde::de::Error::custom(format!("not a time: {text:?}"));
    let at = Timestamp::parse(&text).ok_or_else(wrong)?;
    Ok((at != NO_TIME).then_some(at))
}

/// `GET /api/v2/alerts` and `…/alerts/groups`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertQuery {
    /// Matchers as typed: the alert's labels must fit them.
    pub filter: Vec<String>,
    /// A regular expression for the name of a handler that the alert is for.
    pub receiver: Option<String>,
    /// Matchers for the labels of a handler, of which there is one: `name`.
    pub receiver_matchers: Vec<String>,
    /// Those that nothing holds.
    pub active: bool,
    /// Those that a silence covers.
    pub silenced: bool,
    /// Those that another alert inhibits.
    pub inhibited: bool,
    /// Groups whose route tells nobody now.
    pub muted: bool,
}

impl Default for AlertQuery {
    fn default() -> Self {
        Self {
            filter: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
        }
    }
}

/// A handler, as alerts and lists name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiverView(pub Arc<str>);

impl Serialize for ReceiverView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: &'a str,
            labels: BTreeMap<&'static str, &'a str>,
        }
        Shown { name: &self.0, labels: BTreeMap::from([("name", &*self.0)]) }.serialize(serializer)
    }
}

/// What holds an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStatus {
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts.
    pub inhibited_by: Vec<String>,
    /// Names of time intervals.
    pub muted_by: Vec<String>,
}

impl Serialize for AlertStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            inhibited_by: &'a [String],
            muted_by: &'a [String],
            silenced_by: &'a [String],
            state: &'static str,
        }
        let Self { silenced_by, inhibited_by, muted_by } = self;
        let held = [silenced_by, inhibited_by, muted_by].iter().any(|by| !by.is_empty());
        let state = if held { "suppressed" } else { "active" };
        Shown { inhibited_by, muted_by, silenced_by, state }.serialize(serializer)
    }
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Its annotations.
    pub annotations: Labels,
    /// When it is over if nothing further is known of it.
    pub ends_at: Timestamp,
    /// Of its labels, as Alertmanager computes it.
    pub fingerprint: Fingerprint,
    /// The handlers that it is for.
    pub receivers: Vec<ReceiverView>,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// What holds it.
    pub status: AlertStatus,
    /// When it was known to fire last.
    pub updated_at: Timestamp,
    /// Where its source shows it.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// Its labels, as it leaves.
    pub labels: Labels,
}

/// Alerts that one handler is told of in one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertGroup {
    /// The alerts.
    pub alerts: Vec<AlertView>,
    /// The labels that make the group.
    pub labels: Labels,
    /// The handler.
    pub receiver: ReceiverView,
}
