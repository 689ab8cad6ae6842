//! What beats inside a monitor: at every moment, first the registry is written into the store, then what is due is
//! evaluated, so that a rule always sees the values of its own slot.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::collect::{UPKEEP_INTERVAL, keep_tidy, record_registry};
use crate::app::hub::Hub;
use crate::model::time::millis;
use crate::model::{Timestamp, Transition};
use crate::schedule::Schedule;

pub(super) struct Heart {
    pub hub: Arc<Hub>,
    /// When the registry is recorded even if no rule is due.
    recording: Schedule,
    /// Held for a whole beat, so that two threads that step by hand do not cross.
    last: Mutex<Last>,
}

#[derive(Clone, Copy)]
struct Last {
    recorded: Timestamp,
    kept_tidy: Timestamp,
}

impl Heart {
    pub fn new(hub: Arc<Hub>, interval: Duration) -> Self {
        let started = hub.started();
        let last = Mutex::new(Last { recorded: started, kept_tidy: started });
        Self { hub, recording: Schedule::Every(interval), last }
    }

    /// The next moment at which there is something to do.
    pub fn next(&self) -> Option<Timestamp> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // After a clock was set back nothing waits until it has caught up.
        let since = last.recorded.min(self.hub.clock.now());
        self.recording.next_after(since).into_iter().chain(self.hub.next_moment()).min()
    }

    /// Records and evaluates what is due by now; what changed.
    pub fn beat(&self) -> Vec<Arc<Transition>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.hub.clock.now();
        if last.recorded > now {
            *last = Last { recorded: Timestamp(i64::MIN), kept_tidy: now };
        }
        // At the latest moment of recording, or at the slot to be evaluated if that is later.
        let moment = self.recording.latest_at_or_before(now).max(self.hub.next_slot().filter(|slot| *slot <= now));
        if let Some(moment) = moment.filter(|moment| *moment > last.recorded) {
            let stats = record_registry(&self.hub, moment, Some);
            self.hub.metrics.ingested("registry", stats.appended, stats.refused());
            last.recorded = moment;
        }
        if now.0.saturating_sub(last.kept_tidy.0) >= millis(UPKEEP_INTERVAL) {
            keep_tidy(&self.hub, now);
            last.kept_tidy = now;
        }
        self.hub.run_due()
    }
}
