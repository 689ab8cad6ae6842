//! Who looks after which alert: kept with what is known of the alert, and gone with it.

use std::sync::Arc;

use serde::Serialize;

use super::router::Router;
use super::told::{AlertKey, Known};
use crate::model::{Ack, Alert, HeldReason, Now, Timestamp};

/// Most links of messages about one episode whose use is remembered; further ones cannot be used.
pub const LINKS_USED_MAX: usize = 256;

/// What changes about who looks after an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AckChange {
    /// Who does from now on; nobody where there is none.
    pub ack: Option<Ack>,
    /// The link of a message by which it was said.
    pub link: Option<u64>,
}

impl AckChange {
    fn of(&self, known: &Known) -> Known {
        let mut known = known.clone();
        known.ack.clone_from(&self.ack);
        known.links_used.extend(self.link);
        let by_step: Vec<Arc<str>> = known.rungs.iter().filter(|rung| !rung.idle).map(|r| r.handler.clone()).collect();
        let held = &mut known.held;
        for (name, told) in known.told.iter_mut().filter(|(_, told)| told.firing) {
            match self.ack {
                Some(_) => {
                    held.entry(name.clone()).or_insert(HeldReason::Acknowledged);
                    told.anew = true;
                }
                None => {
                    held.retain(|held, reason| held != name || *reason != HeldReason::Acknowledged);
                    // Withdrawn, it is told anew by steps alone, in their time.
                    told.anew &= by_step.contains(name);
                }
            }
        }
        if self.ack.is_some() {
            known.calm();
        }
        known
    }
}

impl Router {
    /// The alerts that fire, as far as routing knows.
    pub fn firing(&self) -> impl Iterator<Item = (&AlertKey, &Alert)> {
        let firing = self.saved.alerts.iter().filter(|(_, known)| known.firing);
        firing.map(|(key, known)| (key, &known.transition.alert))
    }

    /// An alert, if it fires.
    pub fn firing_alert(&self, key: &AlertKey) -> Option<&Alert> {
        self.saved.alerts.get(key).filter(|known| known.firing).map(|known| &known.transition.alert)
    }

    /// Who looks after an alert.
    pub fn ack_of(&self, key: &AlertKey, now: Timestamp) -> Option<&Ack> {
        self.saved.alerts.get(key)?.ack.as_ref().filter(|ack| ack.holds(now))
    }

    /// Whether the link of a message was used, or can be used no more.
    pub fn is_link_used(&self, key: &AlertKey, link: u64) -> bool {
        let used = self.saved.alerts.get(key).map(|known| &known.links_used);
        used.is_none_or(|used| used.contains(&link) || used.len() >= LINKS_USED_MAX)
    }

    /// What is known of an alert as it will be with a change, to be saved as a record before it counts.
    pub fn saved_with(&self, key: &AlertKey, change: &AckChange) -> Option<impl Serialize> {
        self.saved.alerts.get(key).map(|known| (key.clone(), change.of(known)))
    }

    /// Takes a change; the groups of the alert are looked at now.
    pub fn acknowledge(&mut self, key: &AlertKey, change: &AckChange, now: Now) {
        let Some(known) = self.saved.alerts.get_mut(key) else { return };
        *known = change.of(known);
        self.dirty.alerts.insert(key.clone());
        let groups = known.member_of();
        let begun = groups.iter().filter_map(|at| self.group_at(at)).filter(|(_, group)| group.begun);
        let begun: Vec<u64> = begun.map(|(number, _)| number).collect();
        begun.into_iter().for_each(|number| self.look_at(number, now.elapsed_ms));
    }
}
