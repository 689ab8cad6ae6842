//! Groups in time: what is due is decided per handler, and becomes notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::Group;
use super::hold::{Decision, News, Terms, cooling_ms, decide};
use super::identity::notice_id;
use super::saved::{Dirty, SavedRouter};
use super::told::{AlertKey, Known, Told};
use super::{Receiver, Routes, Silences};
use crate::model::time::millis;
use crate::model::{Held, HeldReason, Labels, Notice, NoticeKind, NoticeReason, Now, Transition, TransitionKind};

/// How often alerts that nothing waits for any more are forgotten.
const TIDY_INTERVAL_MS: i64 = 60_000;

/// What becomes of the transitions of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatch {
    /// To be delivered, in the order of their groups, then of the handlers.
    pub notices: Vec<Notice>,
    /// Not told, with the reason.
    pub held: Vec<Held>,
}

/// Routing and its state.
#[derive(Debug, Default)]
pub struct Router {
    pub(super) saved: SavedRouter,
    pub(super) by_key: BTreeMap<Arc<str>, u64>,
    /// Groups by the time at which they are looked at (elapsed clock), then by number.
    due: BTreeSet<(i64, u64)>,
    pub(super) dirty: Dirty,
    tidied_ms: Option<i64>,
}

impl Router {
    /// Takes what happened and flushes the groups that are due.
    pub fn step(
        &mut self,
        transitions: impl IntoIterator<Item = Arc<Transition>>,
        routes: &Routes,
        silences: &Silences,
        now: Now,
    ) -> Dispatch {
        let terms = Terms { routes, silences, now };
        let mut out = Dispatch::default();
        for transition in transitions {
            self.take(transition, terms, &mut out.held);
        }
        while let Some(&(due, number)) = self.due.first().filter(|(due, _)| *due <= now.elapsed_ms) {
            self.due.remove(&(due, number));
            self.flush(number, terms, &mut out);
        }
        self.tidy(terms);
        out
    }

    /// Flushes every group, as if all waits were over: what one evaluation would send.
    pub fn step_without_waits(
        &mut self,
        transitions: impl IntoIterator<Item = Arc<Transition>>,
        routes: &Routes,
        now: Now,
    ) -> Dispatch {
        let mut routes = routes.clone();
        routes.root.group_wait = std::time::Duration::ZERO;
        self.step(transitions, &routes, &Silences::default(), now)
    }

    /// Goes on from a saved state.
    pub fn restore(saved: SavedRouter) -> Self {
        let by_key = saved.groups.values().map(|group| (group.of.key.clone(), group.number)).collect();
        let due = saved.groups.values().filter_map(|group| Some((group.due_ms?, group.number))).collect();
        Self { saved, by_key, due, ..Self::default() }
    }

    /// The whole state.
    pub fn save(&self) -> SavedRouter {
        self.saved.clone()
    }

    /// What changed since this was last asked.
    pub fn take_dirty(&mut self) -> Dirty {
        std::mem::take(&mut self.dirty)
    }

    /// When (elapsed clock) something is due next.
    pub fn next_ms(&self) -> Option<i64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Silences changed: groups with alerts that are held are looked at now.
    pub fn silences_changed(&mut self, now: Now) {
        let held: BTreeSet<u64> = self
            .saved
            .alerts
            .values()
            .filter(|known| known.held.values().any(|reason| reason.ends()))
            .filter_map(|known| self.by_key.get(known.group.as_ref()?).copied())
            .collect();
        for number in held {
            self.look_at(number, now.elapsed_ms);
        }
    }

    /// Has a group looked at then, or earlier if it already was to be.
    pub(super) fn look_at(&mut self, number: u64, due_ms: i64) {
        let Some(group) = self.saved.groups.get_mut(&number) else { return };
        let due_ms = group.due_ms.map_or(due_ms, |before| before.min(due_ms));
        if let Some(before) = group.due_ms.replace(due_ms) {
            self.due.remove(&(before, number));
        }
        self.due.insert((due_ms, number));
        self.dirty.groups.insert(number);
    }

    fn flush(&mut self, number: u64, terms: Terms<'_>, out: &mut Dispatch) {
        let Some(group) = self.saved.groups.get_mut(&number) else { return };
        group.due_ms = None;
        group.begun = true;
        self.dirty.groups.insert(number);
        let group = group.clone();
        let notices = out.notices.len();
        for receiver in &terms.routes.receivers {
            self.tell(&group, receiver, terms, out);
        }
        if out.notices.len() > notices
            && let Some(group) = self.saved.groups.get_mut(&number)
        {
            group.flushed_ms = Some(terms.now.elapsed_ms);
        }
        self.release(&group, terms, &mut out.held);
        self.plan(number, terms);
    }

    /// What a handler is told of a group, if anything.
    fn tell(&mut self, group: &Group, receiver: &Receiver, terms: Terms<'_>, out: &mut Dispatch) {
        let name = &receiver.name;
        let targeted = group.handlers.contains(name);
        let (mut news, mut known) = (Vec::new(), Vec::new());
        for key in &group.members {
            let Some(alert) = self.saved.alerts.get_mut(key) else { continue };
            let told = alert.told.get(name).copied().unwrap_or_default();
            // A handler that is no longer meant still hears that what it was told is over.
            let is_to_hear_the_end = told.firing && !alert.firing;
            if !targeted && !is_to_hear_the_end {
                continue;
            }
            match decide(alert, receiver, told, terms) {
                Decision::News(what) => news.push((key.clone(), what)),
                Decision::Known => known.push(key.clone()),
                Decision::Held(hold) => {
                    let first = alert.held.insert(name.clone(), hold.reason) != Some(hold.reason);
                    if !alert.firing {
                        alert.told.entry(name.clone()).and_modify(|t| t.firing = false);
                    }
                    if first {
                        self.dirty.alerts.insert(key.clone());
                        out.held.push(Held {
                            handler: Some(name.clone()),
                            reason: hold.reason,
                            detail: hold.detail,
                            until: hold.until,
                            transition: terms.routes.shown(&alert.transition),
                        });
                    }
                }
            }
        }
        if !news.is_empty() {
            out.notices.push(self.notice(group, receiver, (&news, &known), terms));
        }
    }

    /// Makes the notice, and notes what the handler knows from now on.
    fn notice(
        &mut self,
        group: &Group,
        receiver: &Receiver,
        (news, known): (&[(AlertKey, News)], &[AlertKey]),
        terms: Terms<'_>,
    ) -> Notice {
        let mut transitions = Vec::with_capacity(news.len() + known.len());
        let told_now = news.iter().map(|(key, what)| (key, Some(*what)));
        for (key, what) in told_now.chain(known.iter().map(|key| (key, None))) {
            let Some(alert) = self.saved.alerts.get_mut(key) else { continue };
            transitions.push(terms.routes.shown(&told_as(&alert.transition, what, terms.now)));
            note(alert, &receiver.name, what, terms.now);
            self.dirty.alerts.insert(key.clone());
        }
        let fires = transitions.iter().any(|t| !matches!(t.kind, TransitionKind::Resolved { .. }));
        let reason = reason(news.iter().map(|(_, what)| *what), known.is_empty());
        let id = notice_id(group, &receiver.name, (reason, terms.now), &transitions);
        Notice {
            id,
            handler: receiver.name.clone(),
            kind: if fires { NoticeKind::Firing } else { NoticeKind::Resolved },
            reason,
            at: terms.now.slot,
            group: group.of.clone(),
            note: None,
            transitions,
        }
    }

    /// Takes alerts that are over, and of which nobody has to be told any more, out of the group.
    fn release(&mut self, group: &Group, terms: Terms<'_>, held: &mut Vec<Held>) {
        for key in &group.members {
            let Some(known) = self.saved.alerts.get_mut(key) else { continue };
            let gone = |name: &Arc<str>| terms.routes.receiver(name).is_none();
            if known.firing || known.told.iter().any(|(name, told)| told.firing && !gone(name)) {
                continue;
            }
            for (name, _) in known.told.iter().filter(|(_, told)| told.firing) {
                held.push(Held {
                    handler: Some(name.clone()),
                    reason: HeldReason::HandlerGone,
                    detail: String::new(),
                    until: None,
                    transition: terms.routes.shown(&known.transition),
                });
            }
            known.group = None;
            known.told.values_mut().for_each(|told| told.firing = false);
            if let Some(group) = self.saved.groups.get_mut(&group.number) {
                group.members.remove(key);
            }
            self.dirty.alerts.insert(key.clone());
            if !is_cooling(known, terms) {
                self.saved.alerts.remove(key);
            }
        }
        self.drop_if_empty(group.number);
    }

    pub(super) fn drop_if_empty(&mut self, number: u64) {
        if self.saved.groups.get(&number).is_some_and(|group| group.members.is_empty())
            && let Some(group) = self.saved.groups.remove(&number)
        {
            self.by_key.remove(&group.of.key);
            if let Some(due) = group.due_ms {
                self.due.remove(&(due, number));
            }
            self.dirty.groups.insert(number);
        }
    }

    /// When a group that was looked at is looked at again: at the next reminder, or when a hold ends.
    fn plan(&mut self, number: u64, terms: Terms<'_>) {
        let Some(group) = self.saved.groups.get(&number) else { return };
        let repeat_ms = millis(terms.routes.root.repeat_interval);
        let mut next: Option<i64> = None;
        for known in group.members.iter().filter_map(|key| self.saved.alerts.get(key)).filter(|k| k.firing) {
            for receiver in terms.routes.receivers.iter().filter(|r| group.handlers.contains(&r.name)) {
                let told = known.told.get(&receiver.name).copied().unwrap_or_default();
                let at = match decide(known, receiver, told, terms) {
                    Decision::Held(hold) => hold.until.map(|until| {
                        let left_ms = until.0.saturating_sub(terms.now.slot.0).max(1);
                        terms.now.elapsed_ms.saturating_add(left_ms)
                    }),
                    _ if told.firing => Some(told.at_ms.saturating_add(repeat_ms)),
                    _ => None,
                };
                next = next.into_iter().chain(at).min();
            }
        }
        if let Some(next) = next {
            self.look_at(number, next.max(terms.now.elapsed_ms.saturating_add(1)));
        }
    }

    /// Forgets alerts that are in no group once their cooldown is over.
    fn tidy(&mut self, terms: Terms<'_>) {
        let now_ms = terms.now.elapsed_ms;
        if self.tidied_ms.is_some_and(|at| (at..at + TIDY_INTERVAL_MS).contains(&now_ms)) {
            return;
        }
        self.tidied_ms = Some(now_ms);
        let dirty = &mut self.dirty.alerts;
        self.saved.alerts.retain(|key, known| {
            let keep = known.group.is_some() || is_cooling(known, terms);
            if !keep {
                dirty.insert(key.clone());
            }
            keep
        });
    }
}

fn is_cooling(known: &Known, terms: Terms<'_>) -> bool {
    known.told.values().any(|told| cooling_ms(&known.transition.alert, *told, terms).is_some())
}

fn note(known: &mut Known, handler: &Arc<str>, what: Option<News>, now: Now) {
    let level = known.transition.alert.severity;
    let told = known.told.entry(handler.clone()).or_default();
    told.at_ms = now.elapsed_ms;
    match what {
        Some(News::Resolved) => told.firing = false,
        Some(News::Lowered { .. }) => told.level = level,
        Some(_) => *told = Told { firing: true, level, firing_ms: Some(now.elapsed_ms), at_ms: now.elapsed_ms },
        None => {}
    }
    known.held.remove(handler);
}

/// The transition as a message tells it.
fn told_as(transition: &Arc<Transition>, what: Option<News>, now: Now) -> Arc<Transition> {
    let kind = match what {
        Some(News::Fired | News::Resolved) => match transition.kind {
            // Raised before anybody was told: to people it fires.
            TransitionKind::Raised { .. } | TransitionKind::Lowered { .. } => TransitionKind::Fired,
            kind => kind,
        },
        Some(News::Raised { from }) => TransitionKind::Raised { from },
        Some(News::Lowered { from }) => TransitionKind::Lowered { from },
        Some(News::HoldOver | News::Repeat) | None => TransitionKind::StillFiring,
    };
    if kind == transition.kind {
        return Arc::clone(transition);
    }
    // That it still fires is true now; everything else happened when it happened.
    let at = if kind == TransitionKind::StillFiring { now.slot } else { transition.at };
    Arc::new(Transition { kind, at, ..Transition::clone(transition) })
}

fn reason(news: impl Iterator<Item = News> + Clone, first: bool) -> NoticeReason {
    let any = |fits: fn(&News) -> bool| news.clone().any(|what| fits(&what));
    if any(|n| matches!(n, News::Fired)) {
        return if first { NoticeReason::First } else { NoticeReason::NewAlerts };
    }
    for (fits, reason) in [
        ((|n| matches!(n, News::Raised { .. })) as fn(&News) -> bool, NoticeReason::Raised),
        (|n| matches!(n, News::HoldOver), NoticeReason::HoldOver),
        (|n| matches!(n, News::Lowered { .. }), NoticeReason::Lowered),
        (|n| matches!(n, News::Resolved), NoticeReason::Resolved),
    ] {
        if any(fits) {
            return reason;
        }
    }
    NoticeReason::Repeat
}

impl Routes {
    /// The labels of an alert as it leaves: those of the installation too; its own win.
    pub(super) fn leaving(&self, own: &Labels) -> Labels {
        if self.external_labels.is_empty() {
            return own.clone();
        }
        Labels::from_pairs(self.external_labels.iter().chain(own.iter()))
    }

    /// A transition as it leaves.
    fn shown(&self, transition: &Arc<Transition>) -> Arc<Transition> {
        if self.external_labels.is_empty() {
            return Arc::clone(transition);
        }
        let mut leaving = Transition::clone(transition);
        leaving.alert.labels = self.leaving(&leaving.alert.labels);
        Arc::new(leaving)
    }
}
