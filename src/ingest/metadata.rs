//! What a metric family is: its kind, help and unit, as exposition formats declare them.

use serde::Serialize;

/// Longest help text kept; the rest is cut.
pub const HELP_LEN_MAX: usize = 4096;

/// The kind of a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only rises, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket.
    Histogram,
    /// Counts per bucket that may fall.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Facts as labels, value 1.
    Info,
    /// One of several states.
    StateSet,
    /// Not declared.
    #[default]
    Unknown,
}

impl MetricKind {
    /// Reads the word used in `# TYPE` lines of either text format.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "untyped" | "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    /// The word Prometheus's API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// What it measures.
    pub help: String,
    /// The unit, such as `seconds`.
    pub unit: String,
}
