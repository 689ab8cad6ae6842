//! Options of the embedded store, with their defaults.

use std::time::Duration;

use crate::model::time::millis;

/// Limits and windows of a store. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How long samples are kept; older ones are refused when they come in.
    pub retention_ms: i64,
    /// A series may be evicted for a new one only when nothing was written to it for this long: the look-back within
    /// which rules still see it.
    pub lookback_ms: i64,
    /// How far behind the newest sample of its series a sample may be.
    pub out_of_order_ms: i64,
    /// How far after `now` a sample may be stamped (ten minutes, as in Prometheus).
    pub future_ms: i64,
    /// Series held at once.
    pub series_max: usize,
    /// Metric families whose kind and help are kept.
    pub families_max: usize,
    /// Whether selecting is an error until the first sample came in: an empty store just after a restart knows nothing,
    /// which is not the same as "no series".
    pub needs_samples: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let hours = |n: u64| millis(Duration::from_secs(n * 3600));
        Self {
            retention_ms: hours(24),
            lookback_ms: millis(Duration::from_secs(300)),
            // A clock that is set back must not lose samples until it has caught up.
            out_of_order_ms: hours(24),
            future_ms: millis(Duration::from_secs(600)),
            series_max: 1_000_000,
            families_max: 50_000,
            needs_samples: false,
        }
    }
}

impl StoreOptions {
    /// For samples that were read whole from files: any time is good.
    pub fn for_files() -> Self {
        let any = i64::MAX;
        Self { retention_ms: any, out_of_order_ms: any, future_ms: any, ..Self::default() }
    }
}
