//! What is known of one alert, and what each handler knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::escalate::Rung;
use crate::model::{Ack, Alert, Fingerprint, HeldReason, Severity, Transition};

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
    /// The groups that its routes give it, in their order.
    #[serde(alias = "group", deserialize_with = "one_or_many")]
    pub groups: Vec<Arc<str>>,
    /// What each handler knows.
    pub told: BTreeMap<Arc<str>, Told>,
    /// Why a handler is not told, where that was put down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<Arc<str>, HeldReason>,
    /// The steps by which handlers are told where nobody looks after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<Rung>,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
    /// Links of messages that were used in this episode.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub links_used: BTreeSet<u64>,
}

impl Known {
    /// One of which nobody was told.
    pub fn new(transition: Arc<Transition>, firing: bool) -> Self {
        Self {
            transition,
            firing,
            groups: Vec::new(),
            told: BTreeMap::new(),
            held: BTreeMap::new(),
            rungs: Vec::new(),
            ack: None,
            links_used: BTreeSet::new(),
        }
    }

    /// Whether a handler believes that it fires.
    pub fn is_told_firing(&self) -> bool {
        self.told.values().any(|told| told.firing)
    }

    /// Whether something keeps it from somebody for a time; steps of an escalation come by themselves.
    pub fn is_held(&self) -> bool {
        self.held.values().any(|reason| reason.ends() && *reason != HeldReason::NotEscalated)
    }

    /// Whether it may be in a group: one of its routes, or one through which somebody was told, which old records do not
    /// name.
    pub fn may_be_in(&self, group: &Arc<str>) -> bool {
        let told = |told: &Told| told.firing && told.group.as_ref().is_none_or(|at| at == group);
        self.groups.contains(group) || self.told.values().any(told)
    }

    /// Every group it is in: those of its routes, and those through which somebody was told that it fires.
    pub fn member_of(&self) -> Vec<Arc<str>> {
        let mut all = self.groups.clone();
        for group in self.told.values().filter(|told| told.firing).filter_map(|told| told.group.as_ref()) {
            if !all.contains(group) {
                all.push(group.clone());
            }
        }
        all
    }
}

/// The groups of a record; those of the time when there was one route alone name one or none.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<str>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Many(Vec<Arc<str>>),
        One(Option<Arc<str>>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Many(groups) => groups,
        Written::One(group) => group.into_iter().collect(),
    })
}

/// What one handler knows of one alert; times are on the elapsed clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// It was told that the alert fires, and not yet that it is over.
    pub firing: bool,
    /// The level it was told of last.
    pub level: Severity,
    /// When it was last told that the alert fires: for the cooldown.
    pub firing_ms: Option<i64>,
    /// When it was last told anything of the alert: for the repeat interval.
    pub at_ms: i64,
    /// The group through which it was told that the alert fires: what the receiver knows it by, so that everything
    /// further goes there too until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Arc<str>>,
    /// Whether it was told last that the alert is acknowledged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acked: bool,
    /// How many messages had news of this episode of the alert for it: each is another message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u32,
    /// Whether it is told anew that the alert fires once nobody looks after it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Whether it was told that the alert flaps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
}

fn is_zero(times: &u32) -> bool {
    *times == 0
}
