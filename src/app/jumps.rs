//! A clock that was set, and a machine that slept: what was planned on the other clock is planned anew.
//!
//! Place in the flow: whoever acts on the time under the core's lock takes the jumps first, so that nothing is over by a
//! jump alone. It decides nothing about alerts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::warn;

use super::agenda::Agenda;
use super::hub::{Core, Hub};
use crate::clock::JUMP_MIN;
use crate::model::{Now, Timestamp};

/// Readings of the clock until it stands; one that is set at each of them is taken as it is.
const READINGS_MAX: usize = 8;

impl Hub {
    /// The time, all jumps before it taken into account.
    pub(super) fn now(&self, core: &mut Core) -> Now {
        let now = self.now_after_jumps(core);
        self.clock.at_slot(now)
    }

    /// The same on the wall clock alone.
    pub(super) fn now_after_jumps(&self, core: &mut Core) -> Timestamp {
        let (mut now, mut jumps) = (self.clock.now(), Vec::new());
        for _ in 0..READINGS_MAX {
            let more = self.clock.take_jumps();
            if more.is_empty() {
                break;
            }
            // Others read the clock as well: one of these may have come after our reading.
            jumps.extend(more);
            now = self.clock.now();
        }
        if !jumps.is_empty() {
            self.jumped(core, &jumps, now);
        }
        now
    }

    /// Where an earlier process was at work at a time that is still to come, its last samples would be seen once more, as
    /// if what they tell were so now, and mix with the new ones.
    pub(super) fn set_back_while_down(&self, core: &mut Core, alive: Timestamp, now: Timestamp) {
        // Rules wait for their next slot after a start.
        self.silences_set_back(&mut core.silences, (now, now));
        let back = alive.since(now);
        if back > JUMP_MIN {
            self.store.rewind(now.0);
            warn!(seconds = back.as_secs_f64(), "The clock was set back while the process was down");
        }
    }

    fn jumped(&self, core: &mut Core, jumps: &[i64], now: Timestamp) {
        let ahead_ms: i64 = jumps.iter().sum();
        if ahead_ms < 0 {
            // The time to come was lived through once already; its samples must not mix with the new ones.
            self.store.rewind(now.0);
            self.young_since_ms.store(self.clock.at_slot(now).elapsed_ms, Ordering::Relaxed);
        }
        for jump_ms in jumps {
            self.metrics.registry().counter("alertd_clock_jumps_total", &[]).inc();
            warn!(jump_seconds = *jump_ms as f64 / 1000.0, "The clock was set or the machine slept");
        }
        let rules = Arc::clone(core.engine.rules());
        core.agenda = Agenda::catching_up(&rules, now);
        if ahead_ms < 0 {
            let first = core.agenda.next().map_or(now, |slot| slot.min(now));
            self.silences_set_back(&mut core.silences, (now, first));
        }
        // The ends of silences and mute times, and handovers, are moments of the wall clock; they were planned on the other one.
        let Core { router, routes, received, .. } = core;
        router.silences_changed(routes, self.clock.at_slot(now));
        router.clock_set(routes, self.clock.at_slot(now));
        received.spare(Some(Timestamp(now.0.saturating_sub(ahead_ms))), now);
    }
}
