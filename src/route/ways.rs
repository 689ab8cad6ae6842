//! Where an alert goes, for those who look: its groups, the handlers of each, and the time intervals that mute them.
//!
//! Computed from the routes alone, as they are now. What was told, the router knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Routes;
use crate::model::{Alert, GroupRef, Timestamp};

/// A group that an alert is told in.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Key and labels.
    pub group: GroupRef,
    /// Who is told, by the names under which they are shown.
    pub receivers: BTreeSet<Arc<str>>,
    /// The time interval by which its route tells nobody now.
    pub muted: Option<Arc<str>>,
}

impl Routes {
    /// The name under which Alertmanager's API shows a handler.
    pub fn shown_name<'a>(&'a self, handler: &'a Arc<str>) -> &'a Arc<str> {
        self.shown_as.get(handler).unwrap_or(handler)
    }

    /// The groups of an alert, in the order of the tree.
    pub fn ways(&self, alert: &Alert, at: Timestamp) -> Vec<Way> {
        let labels = self.leaving(alert);
        let way = |taken: super::tree::Taken<'_>| Way {
            group: taken.group_of(&labels),
            muted: taken.route.times.muted(at).map(|muted| muted.interval),
            receivers: taken.handlers.iter().map(|name| self.shown_name(name).clone()).collect(),
        };
        self.taken(alert, at).into_iter().map(way).collect()
    }

    /// The time interval by which an alert's rule tells nobody now.
    pub fn muted_by_rule(&self, alert: &Alert, at: Timestamp) -> Option<Arc<str>> {
        let muted = self.terms.get(&alert.rule_uid)?.times.muted(at)?;
        Some(muted.interval)
    }
}
