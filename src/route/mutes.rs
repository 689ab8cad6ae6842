//! Alerts that others mute, or mute no more, are looked at again; and what keeps an alert from being told, for views.

use std::collections::BTreeSet;

use super::hold::Terms;
use super::router::Router;
use super::told::{AlertKey, Known};
use super::{Routes, Silences};
use crate::model::time::millis;
use crate::model::{Alert, HeldReason, Muting, Now, OnMute};

impl Router {
    /// Has the groups of alerts looked at that other ones mute no more, or that somebody wants to know are muted. What was held waits as long as a new group does:
    /// where the cause is over, so are its effects, at the next evaluation.
    pub(super) fn look_again(&mut self, touched: BTreeSet<AlertKey>, terms: Terms<'_>) {
        let now_ms = terms.now.elapsed_ms;
        let mut looks = Vec::new();
        for key in touched {
            let Some(known) = self.saved.alerts.get(&key).filter(|known| known.firing) else { continue };
            let held = known.held.values().any(|reason| *reason == HeldReason::Inhibited);
            let muted = terms.inhibitions.of(&key).is_some();
            if !(if muted { terms.routes.is_attended(known) } else { held }) {
                continue;
            }
            for (number, group) in known.member_of().iter().filter_map(|at| self.group_at(at)) {
                // One that waits for more alerts goes on waiting.
                if group.begun {
                    let wait = if muted { 0 } else { millis(terms.routes.of_group(group).0.group_wait) };
                    looks.push((number, now_ms.saturating_add(wait)));
                }
            }
        }
        looks.into_iter().for_each(|(number, due_ms)| self.look_at(number, due_ms));
    }

    /// The alerts that mute an alert.
    pub fn inhibitors(&self, alert: &Alert) -> Vec<&Alert> {
        let mut all: Vec<&Alert> = Vec::new();
        for source in self.inhibitions.all(&AlertKey::of(alert)).flat_map(|inhibition| inhibition.by) {
            if all.iter().all(|known| AlertKey::of(known) != AlertKey::of(&source.alert)) {
                all.push(&source.alert);
            }
        }
        all
    }

    /// What keeps an alert from being told now, whoever it is for.
    pub fn muting(&self, alert: &Alert, routes: &Routes, silences: &Silences, now: Now) -> Muting {
        let mut muting = Muting::default();
        let key = AlertKey::of(alert);
        let known = self.saved.alerts.get(&key);
        if let Some(ack) = known.and_then(|known| known.ack.as_ref()).filter(|ack| ack.holds(now.slot)) {
            let until = ack.until.map(|until| format!(" until {until}")).unwrap_or_default();
            let words = format!("acknowledged{until} by {}", ack.words());
            muting.words.push((HeldReason::Acknowledged, words));
            muting.acknowledged = Some(ack.clone());
        }
        let labels = routes.leaving(alert);
        for silence in silences.all_covering(&labels, now.slot) {
            muting.silenced_by.push(silence.id.clone());
            let until = silence.window(now.slot).map_or(silence.ends_at, |window| window.ends_at);
            let words = format!("silenced until {until} by {}: {}", silence.created_by, silence.comment);
            muting.words.push((HeldReason::Silenced, words));
        }
        muting.inhibited_by = self.inhibitors(alert).iter().map(|source| source.fingerprint).collect();
        for inhibition in self.inhibitions.all(&key) {
            muting.words.push((HeldReason::Inhibited, format!("inhibited by {inhibition}")));
        }
        let of_rule = routes.terms.get(&alert.rule_uid).and_then(|terms| terms.times.muted(now.slot));
        let ways = known.map(|known| known.groups.as_slice()).unwrap_or_default();
        let ways = ways.iter().filter_map(|at| self.group_at(at)).map(|(_, group)| routes.of_group(group));
        let quiet: Option<Vec<_>> = ways.map(|(route, own)| route.times.muted(now.slot).filter(|_| own)).collect();
        for muted in of_rule.into_iter().chain(quiet.into_iter().flatten()) {
            let name = muted.interval.to_string();
            if !muting.muted_by.contains(&name) {
                muting.words.push((HeldReason::Muted, format!("muted {muted}")));
                muting.muted_by.push(name);
            }
        }
        muting
    }
}

impl Routes {
    /// Whether a handler was told that an alert fires that is told when it becomes quiet.
    pub(super) fn is_attended(&self, known: &Known) -> bool {
        let mut attentive = self.receivers.iter().filter(|receiver| receiver.on_mute != OnMute::Nothing);
        attentive.any(|receiver| known.told.get(&receiver.name).is_some_and(|told| told.firing))
    }
}
