//! Escalation: who is told of an alert only where nobody looks after it in time.
//!
//! A step is nothing but further handlers of a route, whose news is held until the alert was loud there for a time. The
//! time counts from when the alert is first told through the route, or could be: a handler that is dead, or that does not
//! want alerts of this severity, keeps nobody from being told. A silence, another alert or a time interval that begins
//! later does not stop it, but while one of them holds nothing is told. An acknowledgement stops it: it begins anew when that
//! is over.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::Group;
use super::hold::{Decision, Terms, decide, quieted};
use super::router::Router;
use super::told::Known;
use super::tree::Taken;
use super::{Hold, Receiver};
use crate::model::time::millis;
use crate::model::{HeldReason, Now};

/// A handler of a step, for one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rung {
    /// As the step names it.
    pub name: Arc<str>,
    /// The handler.
    pub handler: Arc<str>,
    /// After what time it is told.
    pub after_ms: i64,
    /// The group through which it is told.
    pub group: Arc<str>,
    /// Since when the time counts (elapsed clock), once it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Whether its handler is told without it, at once or by a step before it: its time counts all the same, since somebody
    /// else may be on duty under its name when that has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
}

impl Rung {
    /// When its time has come (elapsed clock), once it counts.
    pub fn due_ms(&self) -> Option<i64> {
        self.since_ms.map(|since| since.saturating_add(self.after_ms))
    }

    /// What keeps its handler from being told, until its time has come.
    pub fn waits(&self, now: Now) -> Option<Hold> {
        let left_ms = self.due_ms().map(|due| due.saturating_sub(now.elapsed_ms));
        if left_ms.is_some_and(|left| left <= 0) {
            return None;
        }
        let until = left_ms.map(|left| now.slot.plus(Duration::from_millis(left.unsigned_abs())));
        Some(Hold { until, ..Hold::because(HeldReason::NotEscalated) })
    }

    /// After what time it is told.
    pub fn after(&self) -> Duration {
        Duration::from_millis(self.after_ms.unsigned_abs())
    }
}

/// The steps of the routes that an alert takes, with whoever each name stands for by now. Idle are those whose handler is
/// told at once, or by a step that comes before. Times go on from `before`.
pub(super) fn rungs(taken: &[(Taken<'_>, Arc<str>)], before: &[Rung]) -> Vec<Rung> {
    let mut all: Vec<Rung> = Vec::new();
    for (way, group) in taken {
        for (after, name, handler) in way.later.iter().cloned() {
            let was = before.iter().filter(|rung| rung.name == name);
            // In another group than before its time goes on too.
            let since_ms = was.max_by_key(|rung| rung.group == *group).and_then(|rung| rung.since_ms);
            let idle = taken.iter().any(|(way, _)| way.handlers.contains(&handler));
            let rung = Rung { name, handler, after_ms: millis(after), group: group.clone(), since_ms, idle };
            match all.iter_mut().find(|other| other.name == rung.name && other.group == rung.group) {
                Some(other) => other.after_ms = other.after_ms.min(rung.after_ms),
                None => all.push(rung),
            }
        }
    }
    for at in 0..all.len() {
        let rung = &all[at];
        let first = all.iter().enumerate().filter(|(_, other)| other.handler == rung.handler);
        let first = first.min_by_key(|(_, other)| other.after_ms);
        all[at].idle |= first.is_some_and(|(first, _)| first != at);
    }
    all
}

impl Known {
    /// The step by which a handler is told of it, where it is not told at once.
    pub fn rung(&self, handler: &str) -> Option<&Rung> {
        self.rungs.iter().find(|rung| !rung.idle && *rung.handler == *handler)
    }

    /// The steps that tell somebody through a group.
    pub fn rungs_of<'a>(&'a self, group: &'a Arc<str>) -> impl Iterator<Item = &'a Rung> + Clone {
        self.rungs.iter().filter(move |rung| !rung.idle && rung.group == *group)
    }

    /// Whom steps tell through a group, and after what time.
    pub fn later(&self, group: &Arc<str>) -> Vec<(Arc<str>, Duration)> {
        self.rungs_of(group).map(|rung| (rung.handler.clone(), rung.after())).collect()
    }

    /// What keeps a handler of a step from being told.
    pub fn waits(&self, receiver: &Receiver, now: Now) -> Option<Hold> {
        self.rung(&receiver.name)?.waits(now)
    }

    /// Has the times of all steps begin anew.
    pub fn calm(&mut self) {
        self.rungs.iter_mut().for_each(|rung| rung.since_ms = None);
    }
}

impl Router {
    /// Has the time of steps count from now for the alerts of a group that are loud from now on.
    pub(super) fn begin_steps(&mut self, group: &Group, terms: Terms<'_>) {
        for key in &group.members {
            let Some(known) = self.saved.alerts.get(key).filter(|known| known.firing) else { continue };
            let waits = |rung: &Rung| rung.since_ms.is_none() && rung.group == group.of.key;
            if !known.rungs.iter().any(waits) || !is_loud(known, group, terms) {
                continue;
            }
            let Some(known) = self.saved.alerts.get_mut(key) else { continue };
            for rung in known.rungs.iter_mut().filter(|rung| waits(rung)) {
                rung.since_ms = Some(terms.now.elapsed_ms);
            }
            self.dirty.alerts.insert(key.clone());
        }
    }
}

/// Whether a group that is looked at tells of an alert, or told of it, or could: only a cooldown of all that would be told
/// makes it wait.
fn is_loud(known: &Known, group: &Group, terms: Terms<'_>) -> bool {
    if quieted(known, terms.routes.of_group(group), terms).is_some() {
        return false;
    }
    let mut cools = false;
    for receiver in terms.routes.receivers.iter().filter(|receiver| group.handlers.contains(&receiver.name)) {
        let told = known.told.get(&receiver.name).cloned().unwrap_or_default();
        match decide(known, receiver, &told, terms.routes.of_group(group), terms) {
            Decision::Held(hold) if !told.firing => cools |= hold.reason == HeldReason::Cooldown,
            _ => return true,
        }
    }
    !cools
}
