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
use crate::model::{HeldReason, Now, Timestamp};

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
    /// Whether its handler is told at once, without it: its time counts all the same, since somebody else may be on duty
    /// under its name when that has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
}

impl Rung {
    /// When its time has come (elapsed clock), once it counts.
    pub fn due_ms(&self) -> Option<i64> {
        self.since_ms.map(|since| since.saturating_add(self.after_ms))
    }

    /// Whether it is of a group, and its time does not count yet.
    fn begins_in(&self, group: &Group) -> bool {
        self.since_ms.is_none() && self.group == group.of.key
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

/// The steps of the routes that an alert takes, with whoever each name stands for by now. Times go on from `before`.
pub(super) fn rungs(taken: &[(Taken<'_>, Arc<str>)], before: &[Rung]) -> Vec<Rung> {
    let stands = |rung: &Rung| {
        let mut ways = taken.iter().filter(|(_, group)| *group == rung.group);
        ways.any(|(way, _)| way.later.iter().any(|(_, name, _)| *name == rung.name))
    };
    let mut all: Vec<Rung> = Vec::new();
    for (way, group) in taken {
        for (after, name, handler) in way.later.iter().cloned() {
            // Its time goes on in another group too, but not beside itself.
            let goes_on = |rung: &&Rung| rung.name == name && (rung.group == *group || !stands(rung));
            let was = before.iter().filter(goes_on).max_by_key(|rung| (rung.group == *group, rung.since_ms.is_some()));
            let since_ms = was.and_then(|rung| rung.since_ms);
            let idle = taken.iter().any(|(way, _)| way.handlers.contains(&handler));
            let rung = Rung { name, handler, after_ms: millis(after), group: group.clone(), since_ms, idle };
            match all.iter_mut().find(|other| other.name == rung.name && other.group == rung.group) {
                Some(other) => other.after_ms = other.after_ms.min(rung.after_ms),
                None => all.push(rung),
            }
        }
    }
    all
}

/// The step by which a handler is told, where it is not told at once: of those whose time counts the one that is due
/// first, so that one whose time cannot begin keeps none of the others from telling.
fn first<'a>(rungs: &'a [Rung], handler: &str) -> Option<&'a Rung> {
    let all = rungs.iter().filter(|rung| !rung.idle && *rung.handler == *handler);
    all.min_by_key(|rung| (rung.since_ms.is_none(), rung.due_ms().unwrap_or(rung.after_ms)))
}

/// The steps by which handlers are told through a group.
pub(super) fn telling<'a>(rungs: &'a [Rung], group: &'a str) -> impl Iterator<Item = &'a Rung> + Clone {
    let tells = |rung: &Rung| first(rungs, &rung.handler).is_some_and(|first| std::ptr::eq(first, rung));
    rungs.iter().filter(move |rung| *rung.group == *group && tells(rung))
}

impl Known {
    /// The step by which a handler is told of it, where it is not told at once.
    pub fn rung(&self, handler: &str) -> Option<&Rung> {
        first(&self.rungs, handler)
    }

    /// The steps that tell somebody through a group.
    pub fn rungs_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Rung> + Clone {
        telling(&self.rungs, group)
    }

    /// Whom steps tell through a group, and after what time.
    pub fn later(&self, group: &Arc<str>) -> Vec<(Arc<str>, Duration)> {
        self.rungs_of(group).map(|rung| (rung.handler.clone(), rung.after())).collect()
    }

    /// What keeps a handler of a step from being told.
    pub fn waits(&self, receiver: &Receiver, now: Now) -> Option<Hold> {
        self.rung(&receiver.name)?.waits(now)
    }

    /// Whether steps of a group do not count yet.
    fn has_steps_to_begin(&self, group: &Group) -> bool {
        self.rungs.iter().any(|rung| rung.begins_in(group))
    }

    /// Has the times of all steps begin anew.
    pub fn calm(&mut self) {
        self.rungs.iter_mut().for_each(|rung| rung.since_ms = None);
    }
}

impl Router {
    /// Has the time of steps count from now for the alerts of a group that are loud from now on.
    pub(super) fn begin_steps(&mut self, group: &Group, terms: Terms<'_>) {
        let now_ms = terms.now.elapsed_ms;
        for key in &group.members {
            let Some(known) = self.saved.alerts.get(key).filter(|known| known.firing) else { continue };
            if !known.has_steps_to_begin(group) || waits_for(known, group, terms).is_some() {
                continue;
            }
            let Some(known) = self.saved.alerts.get_mut(key) else { continue };
            for rung in known.rungs.iter_mut().filter(|rung| rung.begins_in(group)) {
                rung.since_ms = Some(now_ms);
            }
            self.dirty.alerts.insert(key.clone());
            let Some(known) = self.saved.alerts.get(key) else { continue };
            let begun = known.rungs_of(&group.of.key).filter(|rung| rung.since_ms == Some(now_ms));
            let looks = begun.filter_map(|rung| Some((self.way_to(known, &rung.handler)?, rung.due_ms()?)));
            // Who was told through another group hears of it there.
            let elsewhere: Vec<(u64, i64)> = looks.filter(|(number, _)| *number != group.number).collect();
            elsewhere.into_iter().for_each(|(number, due_ms)| self.look_at(number, due_ms));
        }
    }
}

/// Until when something keeps the time of an alert's steps in a group from beginning, where that has an end.
pub(super) fn begins_at(known: &Known, group: &Group, terms: Terms<'_>) -> Option<Timestamp> {
    let waits = known.has_steps_to_begin(group).then(|| waits_for(known, group, terms));
    waits.flatten()?.until
}

/// What keeps a group from telling of an alert, unless it told of it: only a cooldown of all that would be told makes it
/// wait.
fn waits_for(known: &Known, group: &Group, terms: Terms<'_>) -> Option<Hold> {
    if let Some(hold) = quieted(known, terms.routes.of_group(group), terms) {
        return Some(hold);
    }
    let mut cools: Option<Hold> = None;
    for receiver in terms.routes.receivers.iter().filter(|receiver| group.handlers.contains(&receiver.name)) {
        let told = known.told.get(&receiver.name).cloned().unwrap_or_default();
        match decide(known, receiver, &told, terms.routes.of_group(group), terms) {
            Decision::Held(hold) if !told.firing => {
                let cooldown = Some(hold).filter(|hold| hold.reason == HeldReason::Cooldown);
                cools = cools.into_iter().chain(cooldown).min_by_key(|hold| hold.until);
            }
            _ => return None,
        }
    }
    cools
}
