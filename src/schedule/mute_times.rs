//! When a rule tells nobody: the time intervals in its `mute`, and all time outside those in its `active`.
//!
//! Place in the flow: the reader of rules fills it, routing asks it for every message. It judges instants and changes
//! nothing: an alert fires and resolves in a muted rule as in any other.

use std::fmt;
use std::sync::Arc;

use super::time_interval::{CHANGE_DAYS_MAX, TimeInterval};
use crate::model::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// The time intervals of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MuteTimes {
    /// In these it tells nobody.
    pub mute: Vec<Arc<TimeInterval>>,
    /// If there are any, it tells people in these alone.
    pub active: Vec<Arc<TimeInterval>>,
}

/// Why a rule tells nobody at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Muted {
    /// The first interval of `mute` that contains the instant; where none does, the one of `active` that begins next
    /// (the first one if none begins).
    pub interval: Arc<str>,
    /// Whether the instant lies outside of all `active` intervals, and not inside one of `mute`.
    pub outside: bool,
    /// The first instant at which the rule tells people again; `None` if that is not in sight
    /// ([`CHANGE_DAYS_MAX`] days).
    pub until: Option<Timestamp>,
}

impl fmt::Display for Muted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.outside { "outside the time interval" } else { "in the time interval" };
        write!(f, "{how} `{}`", self.interval)?;
        self.until.map_or(Ok(()), |until| write!(f, " until {until}"))
    }
}

/// What mutes at an instant, and when that may have changed.
struct Cause<'a> {
    interval: &'a Arc<TimeInterval>,
    outside: bool,
    ends: Option<Timestamp>,
}

impl MuteTimes {
    /// Whether the rule names no interval, so that nothing ever mutes it.
    pub fn is_empty(&self) -> bool {
        self.mute.is_empty() && self.active.is_empty()
    }

    /// Whether the rule tells nobody at an instant, and why.
    pub fn muted(&self, at: Timestamp) -> Option<Muted> {
        let cause = self.cause(at)?;
        let limit = Timestamp(at.0.saturating_add(CHANGE_DAYS_MAX * DAY_MS));
        // Where one interval ends another may have begun.
        let mut until = cause.ends;
        while let Some(end) = until.filter(|end| *end <= limit) {
            match self.cause(end) {
                Some(next) => until = next.ends,
                None => break,
            }
        }
        let until = until.filter(|end| *end <= limit);
        Some(Muted { interval: Arc::clone(&cause.interval.name), outside: cause.outside, until })
    }

    /// The next instant at which one of the intervals begins or ends.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        self.mute.iter().chain(&self.active).filter_map(|interval| interval.next_change(at)).min()
    }

    fn cause(&self, at: Timestamp) -> Option<Cause<'_>> {
        if let Some(interval) = self.mute.iter().find(|interval| interval.contains(at)) {
            return Some(Cause { interval, outside: false, ends: interval.next_change(at) });
        }
        if self.active.iter().any(|interval| interval.contains(at)) {
            return None;
        }
        let changes = self.active.iter().map(|interval| (interval, interval.next_change(at)));
        // The first of those that begin at the same time, in the order in which they are written.
        let next = changes.min_by_key(|(_, change)| change.map_or(i64::MAX, |change| change.0));
        next.map(|(interval, ends)| Cause { interval, outside: true, ends })
    }
}
