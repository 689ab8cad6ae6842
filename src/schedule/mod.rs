//! When a rule is evaluated (every interval, or by cron in a time zone), and when it tells people (time intervals),
//! and who of them (rotations).
//!
//! Place in the flow: the engine asks for the next slot, waits for it on its own clock, and hands the slot to `eval`;
//! routing asks the time intervals of a rule.
//! Everything here is arithmetic on instants: nothing sleeps and nothing reads a clock.

mod calendar;
mod cron;
mod holidays;
pub mod interval_fields;
#[cfg(test)]
mod interval_tests;
mod mute_times;
pub mod rotation;
mod rrule;
mod time_interval;
mod windows;
mod zone;

use std::time::Duration;

use crate::model::Timestamp;
use crate::model::time::millis;

pub use cron::{CRON_LEN_MAX, CronError, CronSchedule};
pub use holidays::Holidays;
pub use interval_fields::{Field, FieldError, FieldRange};
pub use mute_times::{MuteTimes, Muted};
pub use rotation::{Override, Rotation, Turns};
pub use rrule::{Rrule, RruleError};
pub use time_interval::{CHANGE_DAYS_MAX, IntervalFields, TimeInterval};
pub use windows::{Recurrence, RecurrenceError, RecurrenceText, Window};
pub use zone::Zone;

/// Most missed slots that are counted one by one for a cron schedule; above it the count stays here.
pub const MISSED_MAX: u64 = 1000;

/// When a rule is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Every interval, at multiples of it since the epoch, so that rules of equal interval share their slots. Less
    /// than a millisecond counts as one.
    Every(Duration),
    /// At the calendar times of a cron expression in a time zone.
    Cron(CronSchedule),
}

impl Schedule {
    /// The first slot later than `t`; `None` if there is none left.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => {
                let step_ms = step_ms(*interval);
                (t.0.div_euclid(step_ms) + 1).checked_mul(step_ms).map(Timestamp)
            }
            Self::Cron(cron) => cron.next_after(t),
        }
    }

    /// The last slot that is not later than `t`: the one that is evaluated where some were missed. After a clock was set
    /// or the machine slept, intervals catch up with it, calendars do not.
    pub fn latest_at_or_before(&self, t: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => {
                let step_ms = step_ms(*interval);
                t.0.div_euclid(step_ms).checked_mul(step_ms).map(Timestamp)
            }
            Self::Cron(cron) => cron.latest_at_or_before(t),
        }
    }

    /// How many slots went by unevaluated, if the slot `last` was evaluated before and the newest slot at or before
    /// `now` is evaluated next: the slots in `(last, now]` but for that newest one. Of a cron schedule at most
    /// [`MISSED_MAX`]; zero where `now` is not later than `last`, so a clock set back misses nothing.
    pub fn missed_between(&self, last: Timestamp, now: Timestamp) -> u64 {
        if now <= last {
            return 0;
        }
        match self {
            Self::Every(interval) => {
                let step_ms = step_ms(*interval);
                let due = now.0.div_euclid(step_ms).abs_diff(last.0.div_euclid(step_ms));
                due.saturating_sub(1)
            }
            Self::Cron(cron) => {
                let (mut due, mut at) = (0, last);
                while let Some(next) = cron.next_after(at).filter(|next| *next <= now && due <= MISSED_MAX) {
                    (due, at) = (due + 1, next);
                }
                due.saturating_sub(1)
            }
        }
    }

    /// The usual distance of two slots: the interval, or the median distance of a cron schedule's slots.
    pub fn every_hint(&self) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::Cron(cron) => cron.every_hint(),
        }
    }
}

fn step_ms(interval: Duration) -> i64 {
    millis(interval).max(1)
}

#[cfg(test)]
mod tests;
