//! What is known of one alert, and what each handler knows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Fingerprint, HeldReason, Severity, Transition};

/// Identity of an alert: its rule and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// The rule.
    pub rule_uid: Arc<str>,
    /// The labels' fingerprint.
    pub fingerprint: Fingerprint,
}

impl AlertKey {
    /// Of an alert.
    pub fn of(alert: &Alert) -> Self {
        Self { rule_uid: alert.rule_uid.clone(), fingerprint: alert.fingerprint }
    }

    /// As a text: the name of its record.
    pub fn record_id(&self) -> String {
        format!("{}\u{1f}{}", self.rule_uid, self.fingerprint)
    }
}

/// An alert that handlers know of or are to be told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its last news.
    pub transition: Arc<Transition>,
    /// Whether it fires.
    pub firing: bool,
    /// Its group, while it is in one.
    pub group: Option<Arc<str>>,
    /// What each handler knows.
    pub told: BTreeMap<Arc<str>, Told>,
    /// Why a handler is not told, where that was put down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<Arc<str>, HeldReason>,
}

impl Known {
    /// Whether a handler believes that it fires.
    pub fn is_told_firing(&self) -> bool {
        self.told.values().any(|told| told.firing)
    }
}

/// What one handler knows of one alert; times are on the elapsed clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// It was told that the alert fires, and not yet that it is over.
    pub firing: bool,
    /// The level it was told of last.
    pub level: Severity,
    /// When it was last told that the alert fires: for the cooldown.
    pub firing_ms: Option<i64>,
    /// When it was last told anything of the alert: for the repeat interval.
    pub at_ms: i64,
}
