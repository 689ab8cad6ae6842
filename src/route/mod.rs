//! Which alert is told to which handler, when, in which group, and why not where it is not.
//!
//! Place in the flow: takes the transitions of a slot from `state`, gives [`Notice`](crate::model::Notice)s for the outbox and, for the rest,
//! the reason. Pure: `now` is an argument, nothing is delivered here. What each handler knows of each alert is kept per
//! alert and handler (`told`), so that groups, silences, cooldowns and reloads can hold a notice and nothing is lost:
//! what was told as firing is always told as over.

mod group;
mod hold;
mod identity;
mod matcher;
mod reroute;
mod router;
mod saved;
pub mod silence;
mod take;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use group::GroupBy;
pub use identity::derived_id;
pub use matcher::{LabelMatcher, MatchOp, MatcherError};
pub use router::{Dispatch, Router};
pub use saved::{Dirty, SavedRouter};
pub use silence::{Silence, SilenceError, Silences};
pub use told::AlertKey;

use crate::model::{Labels, Severity, Timestamp};
use crate::schedule::MuteTimes;

/// What routing needs to know of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Name by which rules and notices refer to it.
    pub name: Arc<str>,
    /// Alerts below this severity are not for it.
    pub min_severity: Severity,
    /// Whether it is told that an alert resolved.
    pub send_resolved: bool,
    /// Whether it is told only of alerts whose rule names it.
    pub by_name_only: bool,
}

/// The root route: groups, their timers, and who is told where a rule names nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What makes a group.
    pub group_by: GroupBy,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// Least time between two notices about news of a group; a raise does not wait for it.
    pub group_interval: Duration,
    /// What still fires is told again after this time.
    pub repeat_interval: Duration,
    /// Who is told; everybody where it is empty.
    pub handlers: Vec<Arc<str>>,
}

impl Default for Route {
    /// Without a written route every alert is told at once, on its own, and again after four hours.
    fn default() -> Self {
        Self {
            group_by: GroupBy::All,
            group_wait: Duration::ZERO,
            group_interval: Duration::ZERO,
            repeat_interval: Duration::from_secs(4 * 3600),
            handlers: Vec::new(),
        }
    }
}

/// What a rule says about telling its alerts.
#[derive(Clone, Debug, Default)]
pub struct RuleTerms {
    /// The least time between two firing notices of one alert.
    pub cooldown: Duration,
    /// Handlers by name; empty where the route decides.
    pub notify: Vec<Arc<str>>,
    /// When its alerts are told at all.
    pub times: MuteTimes,
}

/// Everything that routing reads besides its state.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The handlers, in file order.
    pub receivers: Vec<Receiver>,
    /// The root route.
    pub root: Route,
    /// Terms by rule uid.
    pub terms: BTreeMap<Arc<str>, RuleTerms>,
    /// Labels of the installation, added to every alert that leaves.
    pub external_labels: Labels,
}

impl Routes {
    /// The handlers that the rule of an alert names. A rule that is gone is asked through its alert.
    fn named<'a>(&'a self, alert: &'a crate::model::Alert) -> &'a [Arc<str>] {
        self.terms.get(&alert.rule_uid).map_or(&alert.notify, |terms| &terms.notify)
    }

    fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|r| *r.name == *name)
    }
}

/// What holds a notice back for a time.
#[derive(Clone, Debug, PartialEq)]
struct Hold {
    reason: crate::model::HeldReason,
    /// In words.
    detail: String,
    /// Until when, on the wall clock; `None` where nobody knows.
    until: Option<Timestamp>,
}
