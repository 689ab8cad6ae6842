//! How lanes stand, for whoever asks without waiting for them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// What others see of a lane without asking it.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// Commands given and not yet taken.
    pub coming: AtomicUsize,
    pub depth: AtomicUsize,
    pub in_flight: AtomicUsize,
    pub failing: AtomicBool,
    /// Elapsed clock; `i64::MAX` where nothing waits.
    pub oldest_ms: AtomicI64,
}

/// A lane at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Notices that wait or are being tried.
    pub depth: usize,
    /// Age of the oldest.
    pub oldest: Duration,
    /// Whether the last attempt failed.
    pub failing: bool,
}

impl Status {
    pub(super) fn snapshot(&self, elapsed_ms: i64) -> Snapshot {
        let depth = self.depth.load(Ordering::Relaxed);
        let oldest_ms = match self.oldest_ms.load(Ordering::Relaxed) {
            since_ms if depth > 0 => elapsed_ms.saturating_sub(since_ms),
            _ => 0,
        };
        Snapshot {
            depth,
            oldest: Duration::from_millis(u64::try_from(oldest_ms).unwrap_or(0)),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Whether nothing is under way and nothing will be soon.
    pub(super) fn is_quiet(&self) -> bool {
        let load = |n: &AtomicUsize| n.load(Ordering::Acquire);
        load(&self.coming) == 0
            && load(&self.in_flight) == 0
            && (load(&self.depth) == 0 || self.failing.load(Ordering::Acquire))
    }
}
