//! The state of routing as it is kept: whole, and as records of one alert or one group each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::group::Group;
use super::router::Router;
use super::told::{AlertKey, Known};
use crate::model::{Fingerprint, ResolveReason, Transition};

/// The state of routing, whole: saved and restored as one value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedRouter {
    #[serde(with = "pairs")]
    pub(super) alerts: BTreeMap<AlertKey, Known>,
    pub(super) groups: BTreeMap<u64, Group>,
    /// Counts groups; gives each its number.
    pub(super) groups_begun: u64,
}

impl SavedRouter {
    /// Whether nothing was told and no group had begun.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.groups.is_empty()
    }

    /// From its records. Groups of which an alert is missing, and alerts whose group is, are made whole.
    pub fn from_parts(alerts: Vec<SavedAlert>, groups: Vec<SavedGroup>, groups_begun: u64) -> Self {
        let mut alerts: BTreeMap<AlertKey, Known> =
            alerts.into_iter().map(|SavedAlert(key, known)| (key, known)).collect();
        let mut groups: BTreeMap<u64, Group> = groups.into_iter().map(|SavedGroup(g)| (g.number, g)).collect();
        for group in groups.values_mut() {
            let Group { of, members, route, .. } = group;
            members.retain(|key| alerts.get(key).is_some_and(|known| known.may_be_in(&of.key)));
            if route.is_empty() {
                *route = route_of(&of.key);
            }
        }
        groups.retain(|_, group| !group.members.is_empty());
        let at: BTreeMap<Arc<str>, u64> = groups.values().map(|group| (group.of.key.clone(), group.number)).collect();
        for (key, known) in &mut alerts {
            let is_in = |name: &Arc<str>| {
                at.get(name).and_then(|number| groups.get(number)).is_some_and(|group| group.members.contains(key))
            };
            known.groups.retain(is_in);
            // The end of what was told is told even if its group is lost.
            known.told.values_mut().for_each(|told| told.group = told.group.take().filter(is_in));
            // Records of the time when there was one route alone do not say through which group somebody was told.
            for told in known.told.values_mut().filter(|told| told.firing && told.group.is_none()) {
                told.group = known.groups.first().cloned();
            }
        }
        let groups_begun = groups.keys().next_back().map_or(0, |last| last + 1).max(groups_begun);
        Self { alerts, groups, groups_begun }
    }
}

/// The path of the route in the key of a group: what stands before its labels.
fn route_of(key: &str) -> Arc<str> {
    Arc::from(key.find("}:{").and_then(|at| key.get(..=at)).unwrap_or(super::tree::ROOT))
}

/// A record of what is known of one alert.
#[derive(Debug, Deserialize)]
pub struct SavedAlert(AlertKey, Known);

/// A record of a group.
#[derive(Debug, Deserialize)]
pub struct SavedGroup(Group);

/// What changed since it was last asked: the records to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dirty {
    /// Alerts that changed or are gone.
    pub alerts: BTreeSet<AlertKey>,
    /// Groups that changed or are gone.
    pub groups: BTreeSet<u64>,
}

impl Router {
    /// What is known of one alert, to be saved as a record.
    pub fn saved_alert(&self, key: &AlertKey) -> Option<impl Serialize + '_> {
        self.saved.alerts.get_key_value(key)
    }

    /// A group, to be saved as a record.
    pub fn saved_group(&self, number: u64) -> Option<impl Serialize + '_> {
        self.saved.groups.get(&number)
    }

    /// The alerts of a rule.
    pub(super) fn of_rule(&self, uid: &Arc<str>) -> impl Iterator<Item = (&AlertKey, &Known)> {
        let first = AlertKey { rule_uid: uid.clone(), fingerprint: Fingerprint(0) };
        self.saved.alerts.range(first..).take_while(move |(key, _)| key.rule_uid == *uid)
    }

    /// The last news of the alerts of a rule that fire, as far as routing knows; some may be known to no handler yet.
    pub fn believed(&self, uid: &Arc<str>) -> impl Iterator<Item = &Transition> {
        self.of_rule(uid).filter(|(_, known)| known.firing).map(|(_, known)| &*known.transition)
    }

    /// The rules that have such alerts, each as often as it has.
    pub fn believed_rules(&self) -> impl Iterator<Item = Arc<str>> {
        self.saved.alerts.iter().filter(|(_, known)| known.firing).map(|(key, _)| key.rule_uid.clone())
    }

    /// Whether an alert is over and a handler is told nothing further of it, as far as routing knows.
    pub fn is_past(&self, key: &AlertKey, handler: &str) -> bool {
        let told = |known: &Known| known.told.get(handler).is_some_and(|told| told.firing);
        self.saved.alerts.get(key).is_none_or(|known| !known.firing && !told(known))
    }

    /// As what an alert that fires is over for a handler, where it is quiet.
    pub fn quiet_as(&self, key: &AlertKey, handler: &str) -> Option<ResolveReason> {
        let reason = self.saved.alerts.get(key).filter(|known| known.firing)?.held.get(handler)?;
        reason.mutes().then(|| reason.as_end())
    }

    /// The alerts of which a handler was told that they fire, and not that they are over.
    pub fn told_firing(&self, handler: &str) -> impl Iterator<Item = &AlertKey> {
        let told = move |known: &Known| known.told.get(handler).is_some_and(|told| told.firing);
        self.saved.alerts.iter().filter(move |(_, known)| told(known)).map(|(key, _)| key)
    }

    /// What a handler believes to fire of a group, as it is now.
    pub fn open_at(&self, handler: &str, group: &str) -> impl Iterator<Item = &Arc<Transition>> {
        let members = self.group_at(group).into_iter().flat_map(|(_, group)| &group.members);
        let known = members.filter_map(|key| self.saved.alerts.get(key)).filter(|known| known.firing);
        let told = move |known: &&Known| {
            known.told.get(handler).is_some_and(|told| told.firing && told.group.as_deref() == Some(group))
        };
        known.filter(told).map(|known| &known.transition)
    }

    /// How an alert came to its end, while that is known.
    pub fn end_of(&self, key: &AlertKey) -> Option<&Arc<Transition>> {
        self.saved.alerts.get(key).map(|known| &known.transition).filter(|last| last.kind.is_end())
    }

    /// How many groups there were.
    pub fn groups_begun(&self) -> u64 {
        self.saved.groups_begun
    }

    /// Everything that has a record: alerts and groups.
    pub fn keys(&self) -> (Vec<AlertKey>, Vec<u64>) {
        (self.saved.alerts.keys().cloned().collect(), self.saved.groups.keys().copied().collect())
    }
}

/// Maps with keys that JSON cannot have, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{AlertKey, Known};

    pub fn serialize<S: Serializer>(map: &BTreeMap<AlertKey, Known>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<AlertKey, Known>, D::Error> {
        Ok(Vec::<(AlertKey, Known)>::deserialize(deserializer)?.into_iter().collect())
    }
}
