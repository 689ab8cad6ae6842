//! Which alert is told to which handler, when, in which group, and why not where it is not.
//!
//! Place in the flow: takes the transitions of a slot from `state`, gives [`Notice`](crate::model::Notice)s for the outbox and, for the rest,
//! the reason. Pure: `now` is an argument, nothing is delivered here. What each handler knows of each alert is kept per
//! alert and handler (`told`), so that groups, silences, cooldowns and reloads can hold a notice and nothing is lost:
//! what was told as firing is always told as over.

mod acks;
mod escalate;
mod group;
mod hold;
mod identity;
mod inhibit;
mod late;
mod mutes;
mod news;
mod rails;
mod reroute;
mod router;
mod saved;
pub mod silence;
mod take;
#[cfg(test)]
mod tests;
mod told;
mod told_through;
mod trace;
mod tree;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use acks::{AckChange, LINKS_USED_MAX};
pub use group::GroupBy;
pub use identity::derived_id;
pub use late::{FormerUids, Late};
pub use rails::Rails;
pub use router::{Dispatch, Router};
pub use saved::{Dirty, SavedRouter};
pub use silence::{Silence, SilenceError, Silences};
pub use told::AlertKey;
pub use told_through::ToldThrough;
pub use trace::Hop;
pub use tree::Route;
pub use ways::Way;

use crate::model::{EscalationStep, Fingerprint, InhibitRule, Labels, OnMute, Severity, Timestamp};
use crate::schedule::{MuteTimes, Rotation};

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
    /// What it is told when an alert that it was told of becomes muted.
    pub on_mute: OnMute,
}

impl Receiver {
    /// One that is told everything.
    pub fn new(name: &str) -> Self {
        let on_mute = OnMute::default();
        Self { name: Arc::from(name), min_severity: Severity::Info, send_resolved: true, by_name_only: false, on_mute }
    }
}

/// What a rule says about telling its alerts.
#[derive(Clone, Debug, Default)]
pub struct RuleTerms {
    /// The least time between two firing notices of one alert.
    pub cooldown: Duration,
    /// Handlers by name; empty where the route decides.
    pub notify: Vec<Arc<str>>,
    /// Who else is told where nobody looks after its alerts; `None` where the route decides.
    pub escalate: Option<Arc<[EscalationStep]>>,
    /// When its alerts are told at all.
    pub times: MuteTimes,
}

/// Everything that routing reads besides its state.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The handlers, in file order.
    pub receivers: Vec<Receiver>,
    /// Names that stand for whoever of several receivers is on duty.
    pub rotations: Arc<[Rotation]>,
    /// The tree of routes, by its root.
    pub root: Route,
    /// Whether they stand in for those of files that cannot be read yet: who is told of other rules is not known.
    pub stand_in: bool,
    /// Which alerts keep which others from being told.
    pub inhibit: Arc<[InhibitRule]>,
    /// Terms by rule uid.
    pub terms: BTreeMap<Arc<str>, RuleTerms>,
    /// Labels of the installation, added to every alert that leaves.
    pub external_labels: Labels,
    /// Handlers that Alertmanager's API shows under another name: that of the receiver that they are of.
    pub shown_as: BTreeMap<Arc<str>, Arc<str>>,
}

impl Routes {
    /// Who is told under this name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|r| *r.name == *name)
    }
}

/// What holds a notice back for a time.
#[derive(Clone, Debug, PartialEq)]
struct Hold {
    reason: crate::model::HeldReason,
    /// In words.
    detail: String,
    /// The alerts that inhibit it.
    by: Vec<Fingerprint>,
    /// Until when, on the wall clock; `None` where nobody knows.
    until: Option<Timestamp>,
}
