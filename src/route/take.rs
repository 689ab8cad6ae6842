//! Takes what happened to alerts: who is to be told of them, in which group, and when the group is looked at.

use std::sync::Arc;

use super::group::{Group, group_of};
use super::hold::Terms;
use super::router::Router;
use super::told::{AlertKey, Known};
use crate::model::{Held, HeldReason, Transition, TransitionKind};

impl Router {
    /// Takes one transition; what nobody is told of is put down at once.
    pub(super) fn take(&mut self, transition: Arc<Transition>, terms: Terms<'_>, held: &mut Vec<Held>) {
        if !transition.kind.is_notable() {
            let reason = HeldReason::NotNotable;
            held.push(Held { handler: None, reason, detail: String::new(), until: None, transition });
            return;
        }
        let key = AlertKey::of(&transition.alert);
        let firing = !matches!(transition.kind, TransitionKind::Resolved { .. });
        match self.saved.alerts.get_mut(&key) {
            Some(known) => {
                // It was over, and its group was not looked at since.
                if firing && !known.firing && known.group.is_some() {
                    // Where people believe that it fires, so it does again.
                    let reason = if known.is_told_firing() { HeldReason::Overtaken } else { HeldReason::NeverTold };
                    let before = known.transition.clone();
                    held.push(Held { handler: None, reason, detail: String::new(), until: None, transition: before });
                }
                known.transition = transition;
                known.firing = firing;
                known.held.clear();
            }
            // A resolve of something nobody was to be told of: it fired before this process knew of it.
            None if !firing => {
                let reason = HeldReason::NeverTold;
                held.push(Held { handler: None, reason, detail: String::new(), until: None, transition });
                return;
            }
            None => {
                let known =
                    Known { transition, firing, group: None, told: Default::default(), held: Default::default() };
                self.saved.alerts.insert(key.clone(), known);
            }
        }
        self.dirty.alerts.insert(key.clone());
        self.place(&key, terms);
        self.hurry(&key, terms);
    }

    /// Puts a firing alert into the group that the routes give it; one that is over stays where it was told.
    pub(super) fn place(&mut self, key: &AlertKey, terms: Terms<'_>) {
        let Some(known) = self.saved.alerts.get_mut(key) else { return };
        let stays = known.group.as_ref().is_some_and(|at| self.by_key.contains_key(at));
        if stays && !known.firing {
            return;
        }
        let (alert, root) = (&known.transition.alert, &terms.routes.root);
        let named = terms.routes.named(alert);
        let wanted = if named.is_empty() { &root.handlers } else { named };
        let meant = terms
            .routes
            .receivers
            .iter()
            .filter(|r| if wanted.is_empty() { !r.by_name_only } else { wanted.contains(&r.name) });
        let handlers: Vec<Arc<str>> = meant.map(|r| r.name.clone()).collect();
        let by = root.group_by.words();
        // Labels may follow the alert's level; its group, which receivers know it by, stays.
        if let Some(at) = known.group.as_ref().and_then(|at| self.by_key.get(at))
            && self.saved.groups.get(at).is_some_and(|group| group.by == by && group.handlers == handlers)
        {
            return;
        }
        let of = group_of(alert, named, &root.group_by);
        let before = known.group.replace(of.key.clone());
        let number = match self.by_key.get(&of.key) {
            Some(number) => *number,
            None => {
                let number = self.saved.groups_begun;
                self.saved.groups_begun += 1;
                self.by_key.insert(of.key.clone(), number);
                self.saved.groups.insert(number, Group::new(of.clone(), number, by));
                number
            }
        };
        if let Some(group) = self.saved.groups.get_mut(&number) {
            group.handlers = handlers;
            group.members.insert(key.clone());
            self.dirty.groups.insert(number);
        }
        if let Some(before) = before.filter(|before| *before != of.key)
            && let Some(number) = self.by_key.get(&before).copied()
        {
            if let Some(group) = self.saved.groups.get_mut(&number) {
                group.members.remove(key);
            }
            self.drop_if_empty(number);
        }
        self.dirty.alerts.insert(key.clone());
    }

    /// Decides when the group of an alert with news is looked at.
    fn hurry(&mut self, key: &AlertKey, terms: Terms<'_>) {
        let Some(known) = self.saved.alerts.get(key) else { return };
        let Some(number) = known.group.as_ref().and_then(|at| self.by_key.get(at)).copied() else { return };
        let now_ms = terms.now.elapsed_ms;
        let level = known.transition.alert.severity;
        // Worse than somebody was told: at once, whatever the group's timers say.
        let raised = known.firing && known.told.values().any(|told| told.firing && level > told.level);
        let Some(group) = self.saved.groups.get(&number) else { return };
        let due = if raised { now_ms } else { group.news_due_ms(&terms.routes.root, now_ms) };
        self.look_at(number, due);
    }
}
