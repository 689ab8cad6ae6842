//! Takes other routes and names of rules, after a reload, a restart or a handover: alerts move to the groups and handlers that the
//! routes give them, and what is known of them follows.

use std::sync::Arc;

use super::Routes;
use super::router::Router;
use super::told::{AlertKey, Known};
use crate::model::labels::ALERT_NAME;
use crate::model::{Now, Renamed};

impl Router {
    /// Takes other routes: alerts that fire move to the groups and handlers that these give them.
    pub fn reroute(&mut self, routes: &Routes, now: Now) {
        self.inhibitions.follow(routes, &self.saved.alerts);
        self.move_on((routes, now), false);
    }

    /// Where somebody else is on duty than when it was last looked, has alerts that fire move on to them.
    pub(super) fn hand_over(&mut self, routes: &Routes, now: Now) {
        let is_near = self.handover_ms.is_none_or(|at| at <= now.elapsed_ms);
        if is_near && !routes.rotations.is_empty() {
            self.move_on((routes, now), true);
        }
    }

    /// The wall clock was set: handovers may be at other times of the elapsed one.
    pub fn clock_set(&mut self, routes: &Routes, now: Now) {
        if !routes.rotations.is_empty() {
            self.handover_ms = Some(now.elapsed_ms);
        }
    }

    /// Has every alert that fires lead to whom it is meant for at this instant; looked at are all groups, or those alone
    /// whose handlers are others than before.
    fn move_on(&mut self, (routes, now): (&Routes, Now), others_alone: bool) {
        let next = routes.next_handover(now.slot).map(|at| (at.0 - now.slot.0).max(1));
        self.handover_ms = Some(next.map_or(i64::MAX, |pause| now.elapsed_ms.saturating_add(pause)));
        // One that is over and not yet told so may have lost its group.
        let matters = |known: &Known| known.firing || known.is_told_firing();
        let all = self.saved.alerts.iter().filter(|(key, known)| matters(known) && !routes.waits_for_file(key));
        let keys: Vec<AlertKey> = all.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let before = self.ways_of(&key, now);
            self.place(&key, (routes, now));
            let Some(known) = self.saved.alerts.get(&key) else { continue };
            let after = self.ways_of(&key, now);
            if others_alone && before == after {
                continue;
            }
            let mut looks = Vec::new();
            for Leads { number, handlers, later } in after {
                let Some(group) = self.saved.groups.get(&number) else { continue };
                let stays = before.iter().find(|before| before.number == number);
                let untold = |name: &&Arc<str>| !known.told.get(*name).is_some_and(|told| told.firing);
                // Whoever is meant only now need not wait for the group's next news.
                let is_new = |name: &Arc<str>| stays.is_some_and(|before| !before.handlers.contains(name));
                if group.begun && handlers.iter().filter(untold).any(is_new) {
                    looks.push((number, now.elapsed_ms));
                } else {
                    // Times and waits may be others, or a handler may be meant again.
                    looks.push((number, group.news_due_ms(routes.of_group(group).0, now.elapsed_ms)));
                }
                // Nor does a step whose time comes before that.
                let is_new = |step: &(_, _)| stays.is_some_and(|before| !before.later.contains(step));
                looks.extend(later.iter().filter(|step| is_new(step)).map(|(_, due_ms)| (number, *due_ms)));
            }
            looks.into_iter().for_each(|(number, due_ms)| self.look_at(number, due_ms));
        }
    }

    /// Keeps what is known of a rule's alerts under their new names. They stay in their groups, by which receivers know
    /// them.
    pub fn rename(&mut self, renamed: &Renamed) {
        let of_rule = |key: &&AlertKey| key.rule_uid == renamed.from;
        let keys: Vec<AlertKey> = self.saved.alerts.keys().filter(of_rule).cloned().collect();
        for key in keys {
            let Some(mut known) = self.saved.alerts.remove(&key) else { continue };
            let alert = &mut Arc::make_mut(&mut known.transition).alert;
            alert.labels = alert.labels.with(ALERT_NAME, &renamed.name);
            // One that is over may be known here alone.
            let new = renamed.alerts.get(&key.fingerprint).copied().unwrap_or_else(|| alert.labels.fingerprint());
            (alert.rule_uid, alert.rule, alert.fingerprint) = (renamed.to.clone(), renamed.name.clone(), new);
            let new = AlertKey::of(alert);
            for number in known.member_of().iter().filter_map(|at| self.by_key.get(at)).copied() {
                let Some(group) = self.saved.groups.get_mut(&number) else { continue };
                group.members.remove(&key);
                group.members.insert(new.clone());
                self.dirty.groups.insert(number);
            }
            self.saved.alerts.insert(new.clone(), known);
            self.inhibitions.forget();
            self.dirty.alerts.extend([key, new]);
        }
    }

    /// The groups of an alert, and who is told through each.
    fn ways_of(&self, key: &AlertKey, now: Now) -> Vec<Leads> {
        let Some(known) = self.saved.alerts.get(key) else { return Vec::new() };
        let way = |at: Arc<str>| {
            let (number, group) = self.group_at(&at)?;
            let due = known.rungs_of(&at).filter(|rung| rung.waits(now).is_none()).map(|rung| &rung.handler);
            let handlers = group.handlers.iter().chain(due).cloned().collect();
            let later = known.rungs_of(&at).filter(|rung| rung.waits(now).is_some());
            let later = later.filter_map(|rung| Some((rung.handler.clone(), rung.due_ms()?))).collect();
            Some(Leads { number, handlers, later })
        };
        known.member_of().into_iter().filter_map(way).collect()
    }
}

/// Who is told of an alert through one of its groups.
#[derive(PartialEq)]
struct Leads {
    number: u64,
    /// Who is by now.
    handlers: Vec<Arc<str>>,
    /// Whom steps tell later, and when (elapsed clock).
    later: Vec<(Arc<str>, i64)>,
}
