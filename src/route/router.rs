//! Groups in time: what is due is decided per handler, and becomes notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::escalate::begins_at;
use super::group::Group;
use super::hold::{Decision, News, Terms, Through, cooling_ms, decide, loud_until};
use super::identity::notice_id;
use super::inhibit::Inhibitions;
use super::news::{Said, mentioned, note, reason, told_as};
use super::saved::{Dirty, SavedRouter};
use super::told::{AlertKey, Known};
use super::{Hold, Receiver, Routes, Silences};
use crate::model::alert::RECEIVED;
use crate::model::time::millis;
use crate::model::{Alert, Held, HeldReason, Labels, Notice, NoticeKind, Now, OnMute, Transition};

/// How often alerts that nothing waits for any more are forgotten.
const TIDY_INTERVAL_MS: i64 = 60_000;
/// While files cannot be read, groups that wait for them are looked at so often.
const STAND_IN_PAUSE_MS: i64 = 10_000;

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
    pub(super) inhibitions: Inhibitions,
    tidied_ms: Option<i64>,
    /// When (elapsed clock) somebody else is on duty in a rotation; `None` where that is not known yet.
    pub(super) handover_ms: Option<i64>,
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
        self.hand_over(routes, now);
        let mut inhibitions = std::mem::take(&mut self.inhibitions);
        inhibitions.follow(routes, &self.saved.alerts);
        let mut out = Dispatch::default();
        let mut touched = BTreeSet::new();
        for transition in transitions {
            let key = AlertKey::of(&transition.alert);
            self.take(transition, (routes, now), &mut out.held);
            touched.extend(inhibitions.update(&key, self.saved.alerts.get(&key), routes));
        }
        let terms = Terms { routes, silences, inhibitions: &inhibitions, now };
        self.look_again(touched, terms);
        while let Some(&(due, number)) = self.due.first().filter(|(due, _)| *due <= now.elapsed_ms) {
            self.due.remove(&(due, number));
            if self.waits_for_files(number, routes) {
                let later = now.elapsed_ms.saturating_add(STAND_IN_PAUSE_MS);
                self.due.insert((later, number));
                self.saved.groups.entry(number).and_modify(|group| group.due_ms = Some(later));
                continue;
            }
            self.flush(number, terms, &mut out);
        }
        if !routes.stand_in {
            self.tidy(terms);
        }
        self.inhibitions = inhibitions;
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
        routes.root.change(&mut |route| route.group_wait = std::time::Duration::ZERO);
        self.step(transitions, &routes, &Silences::default(), now)
    }

    /// Goes on from a saved state.
    pub fn restore(saved: SavedRouter) -> Self {
        let by_key = saved.groups.values().map(|group| (group.of.key.clone(), group.number)).collect();
        let due = saved.groups.values().filter_map(|group| Some((group.due_ms?, group.number))).collect();
        Self { saved, by_key, due, inhibitions: Inhibitions::unknown(), ..Self::default() }
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
        let handover = self.handover_ms.filter(|at| *at < i64::MAX);
        self.due.first().map(|(due, _)| *due).into_iter().chain(handover).min()
    }

    /// Silences changed: groups with alerts that are held, or that somebody wants to know of, are looked at now.
    pub fn silences_changed(&mut self, routes: &Routes, now: Now) {
        let held: BTreeSet<u64> = self
            .saved
            .alerts
            .values()
            .filter(|known| known.is_held() || routes.is_attended(known))
            .flat_map(Known::member_of)
            .filter_map(|at| self.group_at(&at))
            // One that waits for more alerts goes on waiting.
            .filter(|(_, group)| group.begun)
            .map(|(number, _)| number)
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

    /// Whether a group has alerts of rules whose files cannot be read yet: who is to be told of them is not known.
    fn waits_for_files(&self, number: u64, routes: &Routes) -> bool {
        let members = self.saved.groups.get(&number).into_iter().flat_map(|group| &group.members);
        members.into_iter().any(|key| routes.waits_for_file(key))
    }

    /// A group by its key, and its number.
    pub(super) fn group_at(&self, key: &str) -> Option<(u64, &Group)> {
        let number = *self.by_key.get(key)?;
        Some((number, self.saved.groups.get(&number)?))
    }

    /// The group through which a handler is told of an alert: the one through which it was told that it fires, as long as
    /// it was not told that it is over; else the first that leads to it; for one that no route leads to any more, the
    /// first.
    pub(super) fn way_to(&self, known: &Known, handler: &Arc<str>) -> Option<u64> {
        let told = known.told.get(handler).filter(|told| told.firing);
        if let Some((number, _)) = told.and_then(|told| self.group_at(told.group.as_ref()?)) {
            return Some(number);
        }
        let groups = || known.groups.iter().filter_map(|at| self.group_at(at));
        let leads = groups().find(|(_, group)| group.handlers.contains(handler));
        let later = || self.group_at(&known.rung(handler)?.group);
        leads.or_else(later).or_else(|| groups().next()).map(|(number, _)| number)
    }

    /// Whether a route leads an alert to a handler, at once or later.
    fn is_meant(&self, known: &Known, handler: &Arc<str>) -> bool {
        let mut groups = known.groups.iter().filter_map(|at| self.group_at(at));
        groups.any(|(_, group)| group.handlers.contains(handler)) || known.rung(handler).is_some()
    }

    /// The route whose times and reminders hold for an alert at a handler: the one that leads there now, whatever group
    /// it was told through; where none does, that of the group.
    fn through<'a>(&self, known: &Known, handler: &Arc<str>, group: &Group, terms: Terms<'a>) -> Through<'a> {
        let mut groups = known.groups.iter().filter_map(|at| self.group_at(at)).map(|(_, group)| group);
        let leads = groups.find(|group| group.handlers.contains(handler));
        let later = || Some(self.group_at(&known.rung(handler)?.group)?.1);
        terms.routes.of_group(leads.or_else(later).unwrap_or(group))
    }

    fn flush(&mut self, number: u64, terms: Terms<'_>, out: &mut Dispatch) {
        let Some(group) = self.saved.groups.get_mut(&number) else { return };
        group.due_ms = None;
        group.begun = true;
        self.dirty.groups.insert(number);
        let group = group.clone();
        self.begin_steps(&group, terms);
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
        let mut said = Said::default();
        for key in &group.members {
            let Some(alert) = self.saved.alerts.get(key).filter(|alert| self.way_to(alert, name) == Some(group.number))
            else {
                continue;
            };
            let told = alert.told.get(name).cloned().unwrap_or_default();
            // A handler that is no longer meant still hears that what it was told is over, or not so bad any more.
            let better = !alert.firing || alert.transition.alert.severity < told.level;
            let hears = self.is_meant(alert, name) || (told.firing && better);
            if !hears {
                continue;
            }
            let goes_along = alert.firing && told.firing;
            match decide(alert, receiver, &told, self.through(alert, name, group, terms), terms) {
                Decision::News(what) => said.take(key, what),
                Decision::Known => said.known.push(key.clone()),
                Decision::Quieted(hold) => said.quieted.push((key.clone(), hold)),
                Decision::Held(hold) => {
                    out.held.extend(self.hold(key, name, hold, terms));
                    said.quiet.extend(goes_along.then(|| key.clone()));
                }
            }
        }
        self.say((group, receiver), said, terms, out);
    }

    /// Tells a handler what there is to say, what became quiet as the handler wants to hear it.
    fn say(&mut self, (group, receiver): (&Group, &Receiver), mut said: Said, terms: Terms<'_>, out: &mut Dispatch) {
        let quieted = std::mem::take(&mut said.quieted);
        if receiver.on_mute == OnMute::Resolve {
            for (key, hold) in quieted {
                said.note(&hold);
                said.news.push((key, News::Muted(hold.reason)));
            }
            return out.notices.extend(self.notice(group, receiver, said, terms));
        }
        let fires = !said.known.is_empty() || said.news.iter().any(|(_, what)| what.fires());
        // An incident is acknowledged as a whole: once nothing of it is loud any more.
        let mut acked = Said { acks: true, ..Said::default() };
        for (key, hold) in quieted {
            if fires {
                out.held.extend(self.hold(&key, &receiver.name, hold, terms));
                said.quiet.push(key);
            } else {
                acked.note(&hold);
                said.quiet.push(key.clone());
                acked.news.push((key, News::Acked(hold.reason)));
            }
        }
        acked.quiet.extend(said.quiet.iter().filter(|key| acked.news.iter().all(|(of, _)| of != *key)).cloned());
        out.notices.extend(self.notice(group, receiver, said, terms));
        out.notices.extend(self.notice(group, receiver, acked, terms));
    }

    /// Notes that a handler is not told of an alert; what is to be put down, the first time.
    fn hold(&mut self, key: &AlertKey, name: &Arc<str>, hold: Hold, terms: Terms<'_>) -> Option<Held> {
        let alert = self.saved.alerts.get_mut(key)?;
        let before = alert.held.insert(name.clone(), hold.reason);
        // That nothing is left to take back follows from what was put down before.
        let nothing_left = matches!(hold.reason, HeldReason::NeverTold | HeldReason::EndTold);
        let follows = before == Some(HeldReason::SendResolvedOff) && nothing_left;
        let first = before != Some(hold.reason) && !follows;
        if !alert.firing {
            alert.told.entry(name.clone()).and_modify(|told| (told.firing, told.group) = (false, None));
        }
        first.then(|| {
            self.dirty.alerts.insert(key.clone());
            Held {
                handler: Some(name.clone()),
                reason: hold.reason,
                detail: hold.detail,
                by: hold.by,
                until: hold.until,
                transition: terms.routes.shown(&alert.transition),
            }
        })
    }

    /// Makes the notice, if there is news, and notes what the handler knows from now on.
    fn notice(&mut self, group: &Group, receiver: &Receiver, said: Said, terms: Terms<'_>) -> Option<Notice> {
        let Said { news, known, quiet, notes, acks, .. } = said;
        if news.is_empty() {
            return None;
        }
        let mut transitions = Vec::with_capacity(news.len() + known.len() + quiet.len());
        let held = news.iter().filter(|(_, what)| what.goes_on());
        let held_over = held.map(|(key, _)| key.fingerprint).collect();
        let told_now = news.iter().map(|(key, what)| (key, Some(*what)));
        for (key, what) in told_now.chain(known.iter().map(|key| (key, None))) {
            let Some(alert) = self.saved.alerts.get_mut(key) else { continue };
            let told = terms.routes.shown(&told_as(&alert.transition, what, terms.now));
            transitions.push((told, note(alert, (&receiver.name, &group.of.key), what, terms.now)));
            self.dirty.alerts.insert(key.clone());
        }
        let fires = |all: &[(Arc<Transition>, u32)]| !all.iter().all(|(t, _)| t.kind.is_end());
        if !fires(&transitions) {
            // What is quiet goes along only where all would seem to be over: the handler believes that it fires.
            for key in &quiet {
                let Some(alert) = self.saved.alerts.get_mut(key) else { continue };
                transitions.push((
                    terms.routes.shown(&told_as(&alert.transition, None, terms.now)),
                    mentioned(alert, &receiver.name),
                ));
                self.dirty.alerts.insert(key.clone());
            }
        }
        let fires = fires(&transitions);
        let reason = reason(news.iter().map(|(_, what)| *what), known.is_empty());
        let id = notice_id(group, &receiver.name, &transitions);
        Some(Notice {
            id,
            handler: receiver.name.clone(),
            kind: match fires {
                true if acks => NoticeKind::Acknowledged,
                true => NoticeKind::Firing,
                false => NoticeKind::Resolved,
            },
            reason,
            at: terms.now.slot,
            group: group.of.clone(),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            held_over,
            transitions: transitions.into_iter().map(|(transition, _)| transition).collect(),
        })
    }

    /// Takes alerts that are over, and of which nobody has to be told any more through it, out of the group.
    fn release(&mut self, group: &Group, terms: Terms<'_>, held: &mut Vec<Held>) {
        for key in &group.members {
            // Whoever was told of one that fires through this group alone may have been told since that it is over.
            let stays = |known: &&Known| !known.firing || known.may_be_in(&group.of.key);
            let Some(known) = self.saved.alerts.get(key).filter(stays) else {
                self.saved.groups.entry(group.number).and_modify(|group| _ = group.members.remove(key));
                continue;
            };
            if known.firing {
                continue;
            }
            let mut believes = known.told.iter().filter(|(_, told)| told.firing);
            let gone: Vec<Arc<str>> = believes
                .clone()
                // Those who were told through another group are put down there.
                .filter(|(_, told)| told.group.as_ref().is_none_or(|at| *at == group.of.key))
                // One whose files cannot be read may come back.
                .filter(|(name, _)| !terms.routes.stand_in && terms.routes.receiver(name).is_none())
                .map(|(name, _)| name.clone())
                .collect();
            if believes.any(|(name, _)| !gone.contains(name) && self.way_to(known, name) == Some(group.number)) {
                continue;
            }
            let Some(known) = self.saved.alerts.get_mut(key) else { continue };
            for name in gone {
                let gone = Held::because(HeldReason::HandlerGone, terms.routes.shown(&known.transition));
                held.push(Held { handler: Some(name.clone()), ..gone });
                known.told.entry(name).and_modify(|told| (told.firing, told.group) = (false, None));
            }
            known.groups.retain(|at| *at != group.of.key);
            if let Some(group) = self.saved.groups.get_mut(&group.number) {
                group.members.remove(key);
            }
            self.dirty.alerts.insert(key.clone());
            if known.member_of().is_empty() && !known.is_told_firing() && !is_cooling(known, terms) {
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
        let mut next: Option<i64> = None;
        for known in group.members.iter().filter_map(|key| self.saved.alerts.get(key)).filter(|k| k.firing) {
            let begins = begins_at(known, group, terms).map(|at| terms.elapsed_at(at));
            next = next.into_iter().chain(begins).min();
            for receiver in terms.routes.receivers.iter().filter(|r| self.way_to(known, &r.name) == Some(number)) {
                let (told, meant) = (known.told.get(&receiver.name), self.is_meant(known, &receiver.name));
                let told = told.cloned().unwrap_or_default();
                let better = told.firing && known.transition.alert.severity < told.level;
                if !meant && !better {
                    continue;
                }
                let through = self.through(known, &receiver.name, group, terms);
                let at = match decide(known, receiver, &told, through, terms) {
                    Decision::Held(hold) | Decision::Quieted(hold) => hold.until.map(|until| terms.elapsed_at(until)),
                    _ if told.firing && meant => {
                        let repeat = told.at_ms.saturating_add(millis(through.0.repeat_interval));
                        let changes = loud_until(known, receiver, through, terms).map(|at| terms.elapsed_at(at));
                        Some(changes.map_or(repeat, |at| at.min(repeat)))
                    }
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
            let keep = !known.member_of().is_empty() || known.is_told_firing() || is_cooling(known, terms);
            if !keep {
                dirty.insert(key.clone());
            }
            keep
        });
    }
}

fn is_cooling(known: &Known, terms: Terms<'_>) -> bool {
    known.told.values().any(|told| cooling_ms(&known.transition.alert, told, terms).is_some())
}

impl Routes {
    /// Whether the rule of an alert may be in a file that cannot be read yet: who is to be told of it is not known.
    pub(super) fn waits_for_file(&self, key: &AlertKey) -> bool {
        // Alerts that others report are of no rule of ours.
        self.stand_in && *key.rule_uid != *RECEIVED && !self.terms.contains_key(&key.rule_uid)
    }

    /// The labels of an alert as it leaves: those of the installation too; its own win. One that another program
    /// reported has the labels of that program's installation.
    pub fn leaving(&self, alert: &Alert) -> Labels {
        if self.external_labels.is_empty() || alert.is_received() {
            return alert.labels.clone();
        }
        Labels::from_pairs(self.external_labels.iter().chain(alert.labels.iter()))
    }

    /// A transition as it leaves.
    pub fn shown(&self, transition: &Arc<Transition>) -> Arc<Transition> {
        if self.external_labels.is_empty() || transition.alert.is_received() {
            return Arc::clone(transition);
        }
        let mut leaving = Transition::clone(transition);
        leaving.alert.labels = self.leaving(&leaving.alert);
        Arc::new(leaving)
    }
}
