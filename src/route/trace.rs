//! Where an alert would go: the routes it takes, their timers, and what would keep it quiet. For those who ask; decides
//! nothing.

use std::sync::Arc;
use std::time::Duration;

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
        self.taken(alert, now.slot).iter().map(|taken| self.hop(taken, (alert, &labels), terms)).collect()
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
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            quiet: hushed(alert, (route, true), terms).map(|hold| (hold.reason, hold.detail, hold.until)).or_else(
                || terms.inhibitions.of_labels(labels).map(|by| (HeldReason::Inhibited, by.to_string(), None)),
            ),
        }
    }
}
