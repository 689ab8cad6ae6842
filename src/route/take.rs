//! Takes what happened to alerts: who is to be told of them, in which group, and when the group is looked at.

use std::sync::Arc;

use super::Routes;
use super::escalate::rungs;
use super::group::Group;
use super::router::Router;
use super::told::{AlertKey, Known, Told};
use crate::model::{Held, HeldReason, Now, Transition, TransitionKind};

impl Router {
    /// Takes one transition; what nobody is told of is put down at once.
    pub(super) fn take(&mut self, transition: Arc<Transition>, (routes, now): (&Routes, Now), held: &mut Vec<Held>) {
        if !transition.kind.is_notable() {
            let reason = HeldReason::NotNotable;
            held.push(Held::because(reason, transition));
            return;
        }
        let key = AlertKey::of(&transition.alert);
        let firing = !transition.kind.is_end();
        match self.saved.alerts.get_mut(&key) {
            Some(known) => {
                // It was over, and its group was not looked at since.
                if firing && !known.firing && !known.member_of().is_empty() {
                    // Where people believe that it fires, so it does again.
                    let reason = if known.is_told_firing() { HeldReason::Overtaken } else { HeldReason::NeverTold };
                    let before = known.transition.clone();
                    held.push(Held::because(reason, before));
                }
                // To people it is another one: nobody had time to look after it yet.
                if firing && !known.firing && !known.is_told_firing() {
                    known.calm();
                }
                known.transition = transition;
                known.firing = firing;
                known.held.clear();
                if !matches!(known.transition.kind, TransitionKind::Lowered { .. }) {
                    known.ack = None;
                }
                if !firing {
                    known.links_used.clear();
                } else if known.transition.kind == TransitionKind::Fired {
                    // Another episode: its messages are others whatever was told of the last.
                    known.told.values_mut().for_each(|told| told.times = 0);
                }
            }
            // A resolve of something nobody was to be told of: it fired before this process knew of it.
            None if !firing => {
                let reason = HeldReason::NeverTold;
                held.push(Held::because(reason, transition));
                return;
            }
            None => {
                self.saved.alerts.insert(key.clone(), Known::new(transition, firing));
            }
        }
        self.dirty.alerts.insert(key.clone());
        self.place(&key, (routes, now));
        self.hurry(&key, routes, now);
    }

    /// Puts a firing alert into the groups that the routes give it; one that is over stays where it was told. It stays
    /// in other groups too for whoever was told there that it fires.
    pub(super) fn place(&mut self, key: &AlertKey, (routes, now): (&Routes, Now)) {
        let Some(known) = self.saved.alerts.get(key) else { return };
        let before = known.member_of();
        let mut believe = known.told.iter().filter(|(_, told)| told.firing);
        let is_in_one = before.iter().any(|at| self.by_key.contains_key(at));
        if !known.firing && is_in_one && believe.all(|(name, _)| self.way_to(known, name).is_some()) {
            return;
        }
        let alert = &known.transition.alert;
        let labels = routes.leaving(alert);
        let mut ways = Vec::new();
        for taken in routes.taken(alert, now.slot) {
            let by = taken.route.group_by.words();
            // Labels may follow the alert's level; its group, which receivers know it by, stays.
            let stays = known.groups.iter().filter_map(|at| self.by_key.get(at)).copied().find(|number| {
                self.saved.groups.get(number).is_some_and(|group| group.route == taken.path && group.by == by)
            });
            let number = stays.unwrap_or_else(|| {
                let of = taken.group_of(&labels);
                *self.by_key.entry(of.key.clone()).or_insert_with(|| {
                    let number = self.saved.groups_begun;
                    self.saved.groups_begun += 1;
                    self.saved.groups.insert(number, Group::new(of, number, (taken.path.clone(), by)));
                    number
                })
            });
            let Some(group) = self.saved.groups.get_mut(&number) else { continue };
            let same = group.handlers == taken.handlers && group.of.route_labels == taken.route.labels;
            if !same || !group.members.contains(key) {
                group.handlers.clone_from(&taken.handlers);
                group.of.route_labels = taken.route.labels.clone();
                group.members.insert(key.clone());
                self.dirty.groups.insert(number);
            }
            ways.push((taken, group.of.key.clone()));
        }
        let Some(known) = self.saved.alerts.get_mut(key) else { return };
        let rungs = rungs(&ways, &known.rungs);
        let groups: Vec<Arc<str>> = ways.into_iter().map(|(_, group)| group).collect();
        if known.groups != groups || known.rungs != rungs {
            (known.groups, known.rungs) = (groups, rungs);
            self.dirty.alerts.insert(key.clone());
        }
        let after = known.member_of();
        for left in before.iter().filter(|at| !after.contains(at)) {
            self.leave(left, key);
        }
    }

    /// Takes an alert out of a group.
    pub(super) fn leave(&mut self, group: &str, key: &AlertKey) {
        let Some(number) = self.by_key.get(group).copied() else { return };
        if let Some(group) = self.saved.groups.get_mut(&number) {
            group.members.remove(key);
            self.dirty.groups.insert(number);
        }
        self.drop_if_empty(number);
    }

    /// Decides when the groups of an alert with news are looked at.
    fn hurry(&mut self, key: &AlertKey, routes: &Routes, now: Now) {
        let Some(known) = self.saved.alerts.get(key) else { return };
        let now_ms = now.elapsed_ms;
        let level = known.transition.alert.severity;
        let mut looks = Vec::new();
        for at in known.member_of() {
            let Some((number, group)) = self.group_at(&at) else { continue };
            // Worse than somebody was told through it: at once, whatever the group's timers say.
            let worse = |told: &Told| told.firing && level > told.level && told.group.as_ref().is_none_or(|g| *g == at);
            // Whom only the new level reaches does not wait either, but for the beginning of a new group.
            let reaches = group.begun && matches!(known.transition.kind, TransitionKind::Raised { .. });
            let raised = known.firing && (reaches || known.told.values().any(worse));
            let route = routes.of_group(group).0;
            looks.push((number, if raised { now_ms } else { group.news_due_ms(route, now_ms) }));
        }
        looks.into_iter().for_each(|(number, due)| self.look_at(number, due));
    }
}
