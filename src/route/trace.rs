//! Where an alert would go: the routes it takes, their timers, and what would keep it quiet. For those who ask; decides
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use super::escalate::{Rung, rungs, telling};
use super::hold::{Terms, hushed};
use super::tree::Taken;
use super::{Receiver, Router, Routes, Silences};
use crate::model::{Alert, GroupRef, HeldReason, Labels, Now, Timestamp};

/// A route that an alert takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// The path of the route.
    pub path: Arc<str>,
    /// The group that the alert would be in.
    pub group: GroupRef,
    /// Who would be told, and why not where something of the handler itself stands against it.
    pub handlers: Vec<(Arc<str>, Option<HeldReason>)>,
    /// Who is told later, where nobody looks after it by then: after what time, and the handler.
    pub later: Vec<(Duration, Arc<str>)>,
    /// Of these names the ones of rotations, with whoever is on duty.
    pub duties: Vec<(Arc<str>, Arc<str>)>,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// Least time between two notices about news of a group.
    pub group_interval: Duration,
    /// What still fires is told again after this time.
    pub repeat_interval: Duration,
    /// What keeps it quiet now: why, by what, until when.
    pub quiet: Option<(HeldReason, String, Option<Timestamp>)>,
}

impl Routes {
    /// The routes that an alert would take, in the order of the tree.
    pub fn trace(&self, alert: &Alert, silences: &Silences, router: &Router, now: Now) -> Vec<Hop> {
        let terms = Terms { routes: self, silences, inhibitions: &router.inhibitions, now };
        let labels = self.leaving(alert);
        let taken = self.taken(alert, now.slot).into_iter();
        let ways: Vec<_> = taken
            .map(|taken| {
                let key = taken.group_of(&labels).key;
                (taken, key)
            })
            .collect();
        let mut rungs = rungs(&ways, &[]);
        for (taken, group) in &ways {
            // The time of a step counts where nothing keeps its route quiet.
            if hushed(alert, (taken.route, true), terms).is_none() {
                let of_group = rungs.iter_mut().filter(|rung| rung.group == *group);
                of_group.for_each(|rung| rung.since_ms = Some(now.elapsed_ms));
            }
        }
        let hop = |(taken, group): &(Taken<'_>, Arc<str>)| {
            let hears = |rung: &&Rung| self.receiver(&rung.handler).is_some_and(|r| alert.severity >= r.min_severity);
            let own: Vec<&Rung> = telling(&rungs, group).filter(hears).collect();
            let names = self.named(taken, alert).iter().chain(own.iter().map(|rung| &rung.name));
            let duties = names.map(|name| (name.clone(), self.on_duty(name, now.slot)));
            Hop {
                later: own.iter().map(|rung| (rung.after(), rung.handler.clone())).collect(),
                duties: duties.filter(|(name, handler)| name != handler).collect(),
                ..self.hop(taken, (alert, &labels), terms)
            }
        };
        ways.iter().map(hop).collect()
    }

    /// The names by which a route, or the rule in its stead, tells at once.
    fn named<'a>(&'a self, taken: &Taken<'a>, alert: &'a Alert) -> &'a [Arc<str>] {
        if taken.path == taken.route.path {
            return &taken.route.handlers;
        }
        self.terms.get(&alert.rule_uid).map_or(&alert.notify, |terms| &terms.notify)
    }

    fn hop(&self, taken: &Taken<'_>, (alert, labels): (&Alert, &Labels), terms: Terms<'_>) -> Hop {
        let route = taken.route;
        let against =
            |receiver: &Receiver| (alert.severity < receiver.min_severity).then_some(HeldReason::BelowMinSeverity);
        let handler = |name: &Arc<str>| (name.clone(), self.receiver(name).and_then(against));
        Hop {
            path: taken.path.clone(),
            group: taken.group_of(labels),
            handlers: taken.handlers.iter().map(handler).collect(),
            later: Vec::new(),
            duties: Vec::new(),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            quiet: hushed(alert, (route, true), terms).map(|hold| (hold.reason, hold.detail, hold.until)).or_else(
                || terms.inhibitions.of_labels(labels).map(|by| (HeldReason::Inhibited, by.to_string(), None)),
            ),
        }
    }
}
