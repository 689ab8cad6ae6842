//! Delivery by hand: the lanes of an outbox, run by whoever holds them, in any time.
//!
//! Place in the flow: a simulation moves its clock and calls [`Lanes::turn`]; it answers for the receivers. What is tried,
//! merged, given up and put down is decided by the same code as in the daemon. Starts no thread and never waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lane::Lane;
use super::{Outbox, lock};
use crate::model::Notice;
use crate::notify::Outcome;
use crate::notify::delivery::Entry;

/// The lanes of an outbox made with [`Outbox::by_hand`].
#[derive(Default)]
pub struct Lanes(BTreeMap<Arc<str>, Lane>);

/// What a turn gave.
#[derive(Debug, Default)]
pub struct Turn {
    /// Notices that came, in their order for each handler.
    pub came: Vec<Arc<Notice>>,
    /// Attempts that are begun now: each is to be answered.
    pub attempts: Vec<Entry>,
    /// How long until there is something to do again, if nothing comes before.
    pub wait: Duration,
}

impl Lanes {
    /// Takes what came and begins what may be begun, handler by handler.
    pub fn turn(&mut self, outbox: &Outbox) -> Turn {
        for lane in std::mem::take(&mut *lock(&outbox.shared.begun)) {
            self.0.insert(Arc::clone(lane.name()), lane);
        }
        let mut turn = Turn { wait: Duration::MAX, ..Turn::default() };
        for lane in self.0.values_mut() {
            let of_lane = lane.turn();
            turn.came.extend(of_lane.came);
            turn.attempts.extend(of_lane.starting.into_iter().map(|entry| *entry));
            turn.wait = turn.wait.min(of_lane.wait);
        }
        turn
    }

    /// Tells what became of an attempt.
    pub fn answer(&mut self, handler: &str, id: &str, outcome: Outcome) {
        if let Some(lane) = self.0.get_mut(handler) {
            lane.settle(id, outcome);
        }
    }
}
