//! What is known of the metrics that rules read. Filled from data files; a store that can be asked fills it the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Anything else.
    Other,
}

/// One metric.
#[derive(Clone, Debug, Default)]
pub struct Metric {
    /// Its kind, where it is declared.
    pub kind: Option<Kind>,
    /// The labels that its series have; empty: not known.
    pub labels: BTreeSet<String>,
}

/// Where the time between two samples was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The time.
    pub time: Duration,
    /// In words: "`scrape_interval` of `alertd.yaml`".
    pub from: String,
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Whether `metrics` are all there are, so that one that is missing does not exist.
    pub complete: bool,
    /// The time between two samples of a series; `None`: assumed.
    pub interval: Option<Interval>,
}

/// The time between samples where nobody says it: the scrape interval of alertd, the shortest in common use.
pub const INTERVAL_ASSUMED: Duration = Duration::from_secs(15);

impl Knowledge {
    /// The kind of a metric, where it is declared.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.metrics.get(name).and_then(|metric| metric.kind)
    }

    /// The time between two samples, and where that was learned.
    pub fn interval(&self) -> (Duration, String) {
        match &self.interval {
            Some(interval) => (interval.time, interval.from.clone()),
            None => (INTERVAL_ASSUMED, "assumed: no configuration says how often is scraped".to_owned()),
        }
    }
}
