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

/// Who was asked for the names of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Files of samples, which speak of all rules.
    #[default]
    Data,
    /// A store by its name, which speaks of the rules that read it.
    Store(String),
    /// A store by its address (without what is secret), which speaks of the rules that name none.
    Address(String),
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Whether `metrics` are all there are, so that one that is missing does not exist.
    pub complete: bool,
    /// Who says so.
    pub asked: Asked,
    /// The time between two samples of a series; `None`: assumed.
    pub interval: Option<Interval>,
}

/// The time between samples where nobody says it: the scrape interval of alertd, the shortest in common use.
pub const INTERVAL_ASSUMED: Duration = Duration::from_secs(15);

impl Knowledge {
    /// Whether all metrics of a rule are known: of one with a `source` of its own, or one that is the default.
    pub fn is_complete_for(&self, named: bool, source: Option<&str>) -> bool {
        self.complete
            && match &self.asked {
                Asked::Data => true,
                Asked::Store(name) => source == Some(name),
                Asked::Address(_) => !named,
            }
    }

    /// Where metrics were looked for, in words.
    pub fn place(&self) -> String {
        match &self.asked {
            Asked::Data => "the data".to_owned(),
            Asked::Store(name) => format!("the store `{name}`"),
            Asked::Address(address) => format!("the store at {address}"),
        }
    }

    /// The kind of a metric, where it is declared.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.metrics.get(name).and_then(|metric| metric.kind)
    }

    /// The time between two samples, and where that was learned.
    pub fn interval(&self) -> (Duration, &str) {
        match &self.interval {
            Some(interval) => (interval.time, &interval.from),
            None => (INTERVAL_ASSUMED, "assumed: no configuration says how often is scraped"),
        }
    }
}
