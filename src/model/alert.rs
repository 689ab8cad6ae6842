//! An alert, its states, and the transitions between them.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fingerprint, Labels, Severity, Timestamp, format_duration};

/// Where a rule stands: shown in every message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Path of the rule file, as it was given or found.
    pub file: Arc<str>,
    /// Line of the rule's name, from 1; 0 where there is no file to look it up in.
    pub line: u32,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// State of an alert, or of a rule as the greatest over its alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// It holds, but not yet for as long as `for` asks.
    Pending,
    /// It fires.
    Firing,
}

impl AlertState {
    /// The word used in the API and in tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// Why a signal is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceReason {
    /// Every series behind it carries an end mark: the target answered without it, or was removed.
    SeriesEnded,
    /// It fell silent: target down, pusher stopped, store restarted empty.
    NoData,
}

/// Why a firing alert resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveReason {
    /// The condition no longer holds (and the recovery condition, where there is one, does).
    Recovered,
    /// The series behind the alert ended.
    SeriesEnded,
    /// No data for longer than `no_data_timeout`, or `on_no_data: resolve`.
    NoData,
    /// Evaluation failed and the rule says `on_error: resolve`.
    Error,
    /// The rule was removed, disabled, or no longer yields this alert.
    RuleRemoved,
    /// The end that its source gave is over, and the source reported nothing further.
    Expired,
    /// It fires on, and a silence covers it; told so by routing to handlers with `on_mute: resolve` alone.
    Silenced,
    /// The same for one that another alert mutes.
    Inhibited,
    /// The same for one that a time interval mutes.
    Muted,
    /// The same for one that somebody looks after.
    Acknowledged,
}

impl ResolveReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Recovered,
        Self::SeriesEnded,
        Self::NoData,
        Self::Error,
        Self::RuleRemoved,
        Self::Expired,
        Self::Silenced,
        Self::Inhibited,
        Self::Muted,
        Self::Acknowledged,
    ];

    /// From the words shown to people.
    pub fn from_words(words: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == words)
    }

    /// The words shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::SeriesEnded => "series ended",
            Self::NoData => "no data",
            Self::Error => "evaluation error",
            Self::RuleRemoved => "rule removed",
            Self::Expired => "expired",
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransitionKind {
    /// The condition began to hold; `for` is counting.
    Pending,
    /// The condition stopped holding before `for` was over.
    Cancelled,
    /// It fires.
    Fired,
    /// It fires at a worse level than before.
    Raised {
        /// The level until now.
        from: Severity,
    },
    /// It fires at a lesser level than before.
    Lowered {
        /// The level until now.
        from: Severity,
    },
    /// It no longer fires.
    Resolved {
        /// Why.
        reason: ResolveReason,
    },
    /// The signal is missing; the state is held.
    NoData,
    /// The signal is back.
    DataBack,
    /// It still fires, and a message tells it again: a reminder, or news of others in its group. Made by routing alone.
    StillFiring,
}

impl TransitionKind {
    /// Whether it no longer fires.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Resolved { .. })
    }

    /// The word shown in history and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Fired => "fired",
            Self::Raised { .. } => "raised",
            Self::Lowered { .. } => "lowered",
            Self::Resolved { .. } => "resolved",
            Self::NoData => "no_data",
            Self::DataBack => "data_back",
            Self::StillFiring => "still_firing",
        }
    }

    /// Whether it is news for people: the alert began to fire, changed its level or ended.
    pub const fn is_notable(self) -> bool {
        matches!(self, Self::Fired | Self::Raised { .. } | Self::Lowered { .. } | Self::Resolved { .. })
    }
}

/// An alert as people and handlers see it, at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable identity of the rule: explicit, or group and name.
    pub rule_uid: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Where the rule stands.
    pub origin: Origin,
    /// Identity of the alert within the rule: the fingerprint of `labels`.
    pub fingerprint: Fingerprint,
    /// Sample labels, rule labels and `alertname`; the severity label too.
    pub labels: Labels,
    /// Expanded annotations, the description among them.
    pub annotations: Labels,
    /// State.
    pub state: AlertState,
    /// Severity, or the level that holds now.
    pub severity: Severity,
    /// The value of the signal at the last evaluation that had one.
    #[serde(with = "float_text")]
    pub value: f64,
    /// The value furthest beyond the threshold since the alert became active.
    #[serde(with = "float_text")]
    pub peak: f64,
    /// The condition in words, e.g. `> 80` or `outside 10..90`.
    pub condition: Arc<str>,
    /// The limit the signal is drawn against, where the condition has one.
    pub limit: Option<f64>,
    /// Since when the condition holds.
    pub active_at: Timestamp,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// When it resolved.
    pub resolved_at: Option<Timestamp>,
    /// Since when the signal is missing, while it is.
    pub no_data_since: Option<Timestamp>,
    /// That it came and went too often, while it fires until it was quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
    /// Handlers named by the rule; empty where the routes decide.
    pub notify: Vec<Arc<str>>,
    /// Where its source shows it, of an alert that another program reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<Arc<str>>,
}

/// How an alert came and went, or went up and down, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// When that was found.
    pub since: Timestamp,
    /// How often it had risen (begun to fire, or got worse) or fallen.
    pub changes: u32,
    /// In which time.
    pub within: Duration,
    /// It fires until its condition was false for as long as this.
    pub quiet: Duration,
    /// Of an alert with several levels: the one that it is kept at until it was below it for as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Severity>,
}

impl Flapping {
    /// In words, for messages.
    pub fn words(&self) -> String {
        let (changes, within, quiet) = (self.changes, format_duration(self.within), format_duration(self.quiet));
        let keeps = self.keeps.map_or("firing", Severity::as_str);
        format!("flapping: changed {changes} times in {within}, stays {keeps} until it is quiet for {quiet}")
    }
}

/// Stands for the rule of alerts that other programs report: those rules are not ours.
pub const RECEIVED: &str = "alertd_received";

/// The rule of alertd's own that proves that alerts are evaluated and delivered.
pub const CANARY: &str = "alertd_canary";
/// Uids that no rule of a file may have.
pub const RESERVED_UIDS: [&str; 2] = [RECEIVED, CANARY];

impl Alert {
    /// Whether another program reported it. Such an alert has no value, and has the labels that its source gave it.
    pub fn is_received(&self) -> bool {
        *self.rule_uid == *RECEIVED
    }

    /// How long the alert has been (or had been) active, seen at an instant.
    pub fn duration(&self, at: Timestamp) -> Duration {
        self.resolved_at.unwrap_or(at).since(self.active_at)
    }
}

/// One step in the life of one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The slot at which it happened.
    pub at: Timestamp,
    /// Counts the transitions of this alert from 1; part of the identity of the notices it causes.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: TransitionKind,
    /// The alert after the step.
    pub alert: Alert,
    /// The signal of the last evaluations, oldest first, for a sparkline; NaN where there was none.
    #[serde(with = "float_texts", default, skip_serializing_if = "Vec::is_empty")]
    pub trend: Vec<f64>,
    /// In a message: what the link that acknowledges the alert carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Arc<str>>,
}

impl Transition {
    /// That its alert fires still, as a message tells it that is about others.
    pub fn goes_on(&self, at: Timestamp) -> Self {
        Self { kind: TransitionKind::StillFiring, at, ..self.clone() }
    }
}

/// Floats as text (`"NaN"`, `"+Inf"` survive JSON), as the Prometheus API writes them.
pub mod float_text {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Shortest text that reads back as the same number.
    pub fn text(value: f64) -> String {
        if value.is_nan() {
            "NaN".to_owned()
        } else if value.is_infinite() {
            if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
        } else {
            value.to_string()
        }
    }

    /// Writes a float.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*value))
    }

    /// Reads a float.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Lists of floats as text.
pub mod float_texts {
    use serde::ser::SerializeSeq;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the list.
    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            seq.serialize_element(&super::float_text::text(*value))?;
        }
        seq.end()
    }

    /// Reads the list.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|t| t.parse().map_err(serde::de::Error::custom)).collect()
    }
}
