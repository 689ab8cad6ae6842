//! The alert state machine: pending, `for`, firing, recovery, levels, cooldown, missing data, limits.
//!
//! Place in the flow: takes the [`Outcome`](crate::eval::Outcome) of one rule at one slot and the rule's state, returns
//! the transitions. It reads no clock and no store, sends nothing and iterates in label order, so the same outcomes at
//! the same instants give the same transitions, byte for byte, wherever it runs. The behaviour is Prometheus's
//! (prometheus/prometheus:rules/alerting.go) with what `docs/alert-life.md` adds.

mod advance;
mod alert_labels;
mod anomaly;
mod displaced;
mod flaps;
mod instance;
mod keys;
mod missing;
pub mod orphan;
pub mod rename;

#[cfg(test)]
mod flap_level_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use advance::{Advance, Advanced, Externals, Moved, TemplateQuery, is_internal};
pub use alert_labels::{SEVERITY, severity_of, shown, shown_labels};
pub use anomaly::{Band, DetectorBank, JudgedPoint, Kept as KeptDetector, SUFFIXES};
pub use flaps::Flaps;
pub use instance::Instance;
pub use keys::SignalKeys;

use crate::model::{AlertState, Labels, Timestamp};

/// How long a resolved alert stays visible, as in Prometheus (`resolvedRetention`).
pub const RESOLVED_RETENTION: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "health", rename_all = "lowercase")]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It succeeded.
    Ok,
    /// It failed.
    Err {
        /// The last error.
        message: String,
        /// Since when every evaluation fails.
        since: Timestamp,
    },
}

/// Everything that is remembered of one rule from slot to slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// Alerts by the labels of their signal (without the metric's name).
    #[serde(with = "pairs")]
    pub instances: BTreeMap<Labels, Instance>,
    /// Label sets whose disappearance must be noticed (`on_no_data: fire` only).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seen: BTreeSet<Labels>,
    /// Detectors of an anomaly rule.
    #[serde(default, skip_serializing_if = "DetectorBank::is_empty")]
    pub detectors: DetectorBank,
    /// How the last evaluation went.
    pub health: Health,
    /// The slot of the last evaluation.
    pub evaluated_at: Option<Timestamp>,
    /// Counts the transitions of this rule; gives each its sequence number.
    pub sequence: u64,
    /// Alerts that were not kept at the last evaluation because of `max_alerts`.
    #[serde(default)]
    pub over_limit: usize,
    /// Of a recording rule: the series that it recorded last.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub recorded: BTreeSet<Labels>,
    /// What was derived from the labels of the last signals.
    #[serde(skip)]
    pub keys: SignalKeys,
}

impl RuleState {
    /// The greatest state over the rule's alerts.
    pub fn state(&self) -> AlertState {
        self.instances.values().map(|i| i.state).max().unwrap_or_default()
    }

    /// Notes that an evaluation failed.
    pub(crate) fn fail(&mut self, message: &str, at: Timestamp) {
        let since = match &self.health {
            Health::Err { since, .. } => *since,
            _ => at,
        };
        self.health = Health::Err { message: message.to_owned(), since };
        self.keys.clear();
    }
}

/// Maps with label sets as keys, written as lists of pairs because JSON keys are strings.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Instance, Labels};

    pub fn serialize<S: Serializer>(map: &BTreeMap<Labels, Instance>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Labels, Instance>, D::Error> {
        #[derive(Deserialize)]
        struct Pair(Labels, Instance);
        Ok(Vec::<Pair>::deserialize(deserializer)?.into_iter().map(|p| (p.0, p.1)).collect())
    }
}
