//! Who is told instead: fallback handlers, and the alerts of which they were told and must hear the end.
//!
//! A handler that gives a notice up is believed by routing to have been told. So a fallback in its place hears what that
//! handler is told further, as copies; and the end of what it was told of also where the handler hears of none, because
//! it does not want to, is gone, or has another fallback by now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::app::unsure::over;
use crate::model::{
    GroupRef, Notice, NoticeKind, NoticeReason, Now, Renamed, ResolveReason, Transition, TransitionKind,
};
use crate::route::{AlertKey, Router, Routes, derived_id};

/// Whose place a fallback takes in which group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Who could not be told.
    handler: Arc<str>,
    /// The key of the group.
    group: Arc<str>,
    /// Who is told instead.
    fallback: Arc<str>,
}

impl Place {
    /// The name of its record.
    pub fn record_id(&self) -> String {
        [&*self.handler, &*self.group, &*self.fallback].join("\u{1f}")
    }
}

/// What a fallback believes in the place of a handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StandIn {
    handler: Arc<str>,
    fallback: Arc<str>,
    group: GroupRef,
    /// The alerts that it was told fire, as it was told.
    #[serde(with = "listed")]
    alerts: BTreeMap<AlertKey, Arc<Transition>>,
}

/// As a list: the keys of a JSON object are texts.
mod listed {
    use serde::{Deserializer, Serializer};

    use super::{AlertKey, Arc, BTreeMap, Deserialize, Transition};

    type Alerts = BTreeMap<AlertKey, Arc<Transition>>;

    pub fn serialize<S: Serializer>(alerts: &Alerts, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(alerts.values())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Alerts, D::Error> {
        let alerts = Vec::<Arc<Transition>>::deserialize(from)?;
        Ok(alerts.into_iter().map(|alert| (AlertKey::of(&alert.alert), alert)).collect())
    }
}

impl StandIn {
    fn new(notice: &Notice, fallback: &Arc<str>) -> Self {
        let (handler, fallback, group) = (notice.handler.clone(), fallback.clone(), notice.group.clone());
        Self { handler, fallback, group, alerts: BTreeMap::new() }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        let (handler, group, fallback) = (self.handler.clone(), self.group.key.clone(), self.fallback.clone());
        Place { handler, group, fallback }
    }

    /// Whether there is nothing that must be told further.
    pub fn is_over(&self) -> bool {
        self.alerts.is_empty()
    }

    fn hears(&mut self, notice: &Notice) {
        for transition in &notice.transitions {
            let key = AlertKey::of(&transition.alert);
            match transition.kind {
                TransitionKind::Resolved { .. } => _ = self.alerts.remove(&key),
                // Its course is of no use at its end.
                _ if transition.trend.is_empty() => _ = self.alerts.insert(key, Arc::clone(transition)),
                _ => {
                    let told = Transition { trend: Vec::new(), ..Transition::clone(transition) };
                    self.alerts.insert(key, Arc::new(told));
                }
            }
        }
    }

    /// Takes out what is over and of which routing tells the handler nothing further; the notice that says so.
    fn ends(&mut self, (router, routes): (&Router, &Routes), now: Now) -> Option<Notice> {
        let past: Vec<AlertKey> =
            self.alerts.keys().filter(|key| router.is_past(key, &self.handler)).cloned().collect();
        let mut transitions = Vec::with_capacity(past.len());
        for key in &past {
            let told = self.alerts.remove(key)?;
            let end = router.end_of(key).map(|end| routes.shown(end));
            transitions.push(end.unwrap_or_else(|| Arc::new(over(&told, ResolveReason::Recovered, now.slot))));
        }
        if transitions.is_empty() {
            return None;
        }
        let said: Vec<String> = transitions.iter().map(|t| format!("{} {}", t.alert.fingerprint, t.sequence)).collect();
        let id = derived_id(&format!("{} {}", self.place().record_id(), said.join(" ")), &self.fallback);
        // An incident of the group ends with its last alert. What is quiet stands there only where all would seem to be over.
        let is_quiet = |key: &AlertKey| router.quiet_as(key, &self.handler).is_some();
        let all_quiet = self.alerts.keys().all(is_quiet);
        let shown = self.alerts.iter().filter(|(key, _)| all_quiet || !is_quiet(key));
        transitions.extend(shown.map(|(_, told)| Arc::new(told.goes_on(now.slot))));
        Some(Notice {
            id,
            handler: self.fallback.clone(),
            kind: if self.is_over() { NoticeKind::Resolved } else { NoticeKind::Firing },
            reason: NoticeReason::Resolved,
            at: now.slot,
            group: self.group.clone(),
            note: None,
            held_over: Vec::new(),
            transitions,
        })
    }
}

/// Fallback handlers, and what they believe.
#[derive(Debug, Default)]
pub struct Fallbacks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The fallback of each handler that has one.
    of: BTreeMap<String, Arc<str>>,
    stand_ins: BTreeMap<Place, StandIn>,
    /// Those that changed since they were last taken.
    changed: BTreeSet<Place>,
    /// Places whose beginning is on its way to the fallback's queue.
    begun: BTreeSet<Place>,
    /// Alerts of which fallbacks are told themselves, and which are not over for them.
    own: BTreeSet<(Arc<str>, AlertKey)>,
    /// Whether `own` is what routing knows: not before it is asked, nor when there are other fallbacks.
    own_is_known: bool,
    /// Of the notices that are being committed, by id: the fallback that is given a copy, or whom it is a copy of.
    copied: BTreeMap<String, Arc<str>>,
}

impl Fallbacks {
    /// Takes the fallbacks of a set of handlers.
    pub fn configure<'a>(&self, fallbacks: impl Iterator<Item = (&'a str, Arc<str>)>) {
        let mut state = self.state();
        state.of = fallbacks.map(|(name, fallback)| (name.to_owned(), fallback)).collect();
        state.own_is_known = false;
    }

    /// Goes on from what was saved.
    pub fn restore(&self, saved: impl IntoIterator<Item = StandIn>) {
        self.state().stand_ins.extend(saved.into_iter().map(|stand_in| (stand_in.place(), stand_in)));
    }

    /// What fallbacks believe.
    pub fn saved(&self) -> Vec<StandIn> {
        self.state().stand_ins.values().cloned().collect()
    }

    /// Places at which something changed since this was last asked. Stored with the notices that say so.
    pub fn take_changed(&self) -> BTreeSet<Place> {
        std::mem::take(&mut self.state().changed)
    }

    /// What a fallback believes, if there is anything.
    pub fn at(&self, place: &Place) -> Option<StandIn> {
        self.state().stand_ins.get(place).cloned()
    }

    /// The fallback of a handler, but for those that gave a notice up already.
    pub fn of(&self, handler: &Arc<str>, tried: &[Arc<str>]) -> Option<Arc<str>> {
        let fallback = self.state().of.get(&**handler)?.clone();
        (!tried.contains(&fallback) && fallback != *handler).then_some(fallback)
    }

    /// The notice for the fallback of a handler that gave it up, and what the fallback believes then, so that it hears
    /// the end. `tried` are the handlers that gave it up already.
    pub fn instead(&self, notice: &Notice, tried: &[Arc<str>], reason: &str) -> Option<(Arc<Notice>, StandIn)> {
        let fallback = self.of(&notice.handler, tried)?;
        let mut state = self.state();
        // An end that comes late must not take back what the fallback was told itself since.
        let own = |t: &Arc<Transition>| state.own.contains(&(fallback.clone(), AlertKey::of(&t.alert)));
        let is_late = |t: &Arc<Transition>| t.kind.is_end() && own(t);
        let left: Vec<Arc<Transition>> = notice.transitions.iter().filter(|t| !is_late(t)).cloned().collect();
        if left.is_empty() {
            return None;
        }
        let notice = &Notice { transitions: left, ..notice.clone() };
        let stand_in = state.hears(notice, &fallback);
        state.begun.insert(stand_in.place());
        drop(state);
        let mut copy = copy_for(notice, fallback);
        copy.note = Some(format!("{} could not be told: {reason}", notice.handler));
        Some((Arc::new(copy), stand_in))
    }

    /// What a fallback is told instead is in its queue: what is told of it further comes behind that.
    pub fn arrived(&self, place: &Place) {
        self.state().begun.remove(place);
    }

    /// The copy of a notice for the fallback that believes in alerts of its group.
    pub fn copy(&self, notice: &Notice) -> Option<Notice> {
        let mut state = self.state();
        let fallback = state.of.get(&*notice.handler)?.clone();
        let place = StandIn::new(notice, &fallback).place();
        if !state.stand_ins.contains_key(&place) || notice.kind == NoticeKind::Acknowledged {
            return None;
        }
        // It would overtake the beginning; of the ends in it the fallback is told later.
        if state.begun.contains(&place) {
            return None;
        }
        state.hears(notice, &fallback);
        state.copied.insert(notice.id.clone(), fallback.clone());
        let copy = copy_for(notice, fallback);
        // Fallbacks may lead in a circle: it does not come back to where it was copied from.
        state.copied.insert(copy.id.clone(), notice.handler.clone());
        Some(copy)
    }

    /// The ends that fallbacks are not told as copies, for those of `routes` that want to hear of ends.
    /// What of `told` says no more than that is told by them alone, whoever gives it up; what a fallback is told itself of
    /// the same group it need not hear twice.
    pub(super) fn ends(&self, (router, routes): (&Router, &Routes), told: &ByGroup, now: Now) -> Vec<Notice> {
        let mut state = self.state();
        let state = &mut *state;
        let mut notices = Vec::new();
        state.stand_ins.retain(|place, stand_in| {
            if state.begun.contains(place) {
                return true;
            }
            if let Some(mut notice) = stand_in.ends((router, routes), now) {
                state.changed.insert(place.clone());
                let wanted = routes.receiver(&place.fallback).is_none_or(|receiver| receiver.send_resolved);
                state.copied.insert(notice.id.clone(), place.handler.clone());
                let ends = ends_of(&notice);
                // Nobody else need be told of what says no more than this.
                for other in told.at(&place.handler, &place.group).filter(|other| says_alone(other, &ends)) {
                    state.copied.entry(other.id.clone()).or_insert_with(|| place.fallback.clone());
                }
                let mut own = told.at(&place.fallback, &place.group);
                if wanted && !own.any(|other| ends.is_subset(&ends_of(other))) {
                    keep_open(&mut notice, (router, routes), now);
                    notices.push(notice);
                }
            }
            !stand_in.is_over()
        });
        notices
    }

    /// A rule goes on under another uid, and its alerts with it.
    pub fn rename(&self, renamed: &Renamed) {
        let mut state = self.state();
        let state = &mut *state;
        for (place, stand_in) in &mut state.stand_ins {
            let keys: Vec<AlertKey> =
                stand_in.alerts.keys().filter(|key| key.rule_uid == renamed.from).cloned().collect();
            for key in keys {
                let Some(mut told) = stand_in.alerts.remove(&key) else { continue };
                let alert = &mut Arc::make_mut(&mut told).alert;
                alert.rule_uid = renamed.to.clone();
                alert.fingerprint = renamed.alerts.get(&key.fingerprint).copied().unwrap_or(key.fingerprint);
                stand_in.alerts.insert(AlertKey::of(alert), told);
                state.changed.insert(place.clone());
            }
        }
    }

    /// Who need not be told of a notice again should its handler give it up: the fallback that is given a copy now, and
    /// whoever it is a copy of.
    pub fn copied(&self, id: &str) -> Vec<Arc<str>> {
        self.state().copied.get(id).cloned().into_iter().collect()
    }

    /// Whether no handler has a fallback and none believes in anything.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.of.is_empty() && state.stand_ins.is_empty()
    }

    /// Has routing asked anew of what fallbacks are told themselves: it takes something else for that now.
    pub fn ask_anew(&self) {
        self.state().own_is_known = false;
    }

    /// Other notices are committed from here on: these, which are no copies.
    pub(super) fn begin(&self, told: &[Arc<Notice>], router: &Router) {
        let mut state = self.state();
        let state = &mut *state;
        state.copied.clear();
        let fallbacks: BTreeSet<Arc<str>> = state.of.values().cloned().collect();
        if !std::mem::replace(&mut state.own_is_known, true) {
            let of = |fallback: &Arc<str>| {
                let fallback = fallback.clone();
                router.told_firing(&fallback).map(|key| (fallback.clone(), key.clone())).collect::<Vec<_>>()
            };
            state.own = fallbacks.iter().flat_map(of).collect();
        }
        for notice in told.iter().filter(|notice| fallbacks.contains(&notice.handler)) {
            for t in &notice.transitions {
                let own = (notice.handler.clone(), AlertKey::of(&t.alert));
                _ = match t.kind {
                    TransitionKind::Resolved { .. } => state.own.remove(&own),
                    _ => state.own.insert(own),
                };
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is told at once, by the keys of groups.
pub(super) struct ByGroup(BTreeMap<Arc<str>, Vec<Arc<Notice>>>);

impl ByGroup {
    pub fn of(notices: &[Arc<Notice>]) -> Self {
        let mut all = Self(BTreeMap::new());
        notices.iter().for_each(|notice| all.put(notice));
        all
    }

    pub fn put(&mut self, notice: &Arc<Notice>) {
        self.0.entry(notice.group.key.clone()).or_default().push(Arc::clone(notice));
    }

    fn at(&self, handler: &str, group: &str) -> impl Iterator<Item = &Arc<Notice>> {
        self.0.get(group).into_iter().flatten().filter(move |notice| &*notice.handler == handler)
    }

    /// Whether one of them tells its handler everything that a copy tells.
    pub fn says(&self, copy: &Notice) -> bool {
        let said = |notice: &Notice| -> BTreeSet<(AlertKey, bool)> {
            notice.transitions.iter().map(|t| (AlertKey::of(&t.alert), t.kind.is_end())).collect()
        };
        self.at(&copy.handler, &copy.group.key).any(|other| said(copy).is_subset(&said(other)))
    }
}

/// What a fallback is told of the ends of others does not close what it is told of itself in that group.
pub(super) fn keep_open(notice: &mut Notice, (router, routes): (&Router, &Routes), now: Now) {
    if notice.kind != NoticeKind::Resolved {
        return;
    }
    let said: BTreeSet<AlertKey> = notice.transitions.iter().map(|t| AlertKey::of(&t.alert)).collect();
    let open = router.open_at(&notice.handler, &notice.group.key).filter(|t| !said.contains(&AlertKey::of(&t.alert)));
    let still = |t: &Arc<Transition>| routes.shown(&Arc::new(t.goes_on(now.slot)));
    let is_quiet = |t: &&Arc<Transition>| router.quiet_as(&AlertKey::of(&t.alert), &notice.handler).is_some();
    // What is quiet stands there only where all would seem to be over.
    let (quiet, loud): (Vec<_>, Vec<_>) = open.partition(is_quiet);
    let shown: Vec<Arc<Transition>> = if loud.is_empty() { quiet } else { loud }.into_iter().map(still).collect();
    if !shown.is_empty() {
        notice.kind = NoticeKind::Firing;
        notice.transitions.extend(shown);
    }
}

/// The alerts that a notice tells to be over.
fn ends_of(notice: &Notice) -> BTreeSet<AlertKey> {
    let ends = notice.transitions.iter().filter(|t| t.kind.is_end());
    ends.map(|t| AlertKey::of(&t.alert)).collect()
}

/// Whether a notice tells these ends, or some of them, and nothing else.
fn says_alone(notice: &Notice, ends: &BTreeSet<AlertKey>) -> bool {
    let said = ends_of(notice);
    said.len() == notice.transitions.len() && said.is_subset(ends)
}

impl State {
    /// A fallback is told of a notice; what it believes then.
    fn hears(&mut self, notice: &Notice, fallback: &Arc<str>) -> StandIn {
        let new = StandIn::new(notice, fallback);
        let place = new.place();
        let stand_in = self.stand_ins.entry(place.clone()).or_insert(new);
        stand_in.hears(notice);
        let stand_in = stand_in.clone();
        if stand_in.is_over() {
            self.stand_ins.remove(&place);
        }
        self.changed.insert(place);
        stand_in
    }
}

/// The same for another handler, under an identity that follows from the two.
fn copy_for(notice: &Notice, handler: Arc<str>) -> Notice {
    let id = derived_id(&notice.id, &handler);
    Notice { id, handler, ..notice.clone() }
}
