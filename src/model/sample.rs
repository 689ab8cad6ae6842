//! Samples, the marks that end a series, and the mark that stands for a histogram.

use std::sync::Arc;

use super::{Histogram, Labels, SampleValue, Timestamp};

/// One measured value at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; may be NaN, an infinity or one of the marks of this module.
    pub value: f64,
}

/// One histogram at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// What was measured.
    pub histogram: Arc<Histogram>,
}

/// A point of a named series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series, `__name__` included.
    pub labels: Labels,
    /// When it was measured.
    pub at: Timestamp,
    /// A number, a mark or a histogram.
    pub value: SampleValue,
}

/// The points of one series, numbers and histograms apart; no time is in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesPoints {
    /// Its labels.
    pub labels: Labels,
    /// Its numbers, oldest first.
    pub points: Vec<Point>,
    /// Its histograms, oldest first.
    pub histograms: Vec<HistogramPoint>,
}

impl SeriesPoints {
    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.histograms.is_empty()
    }
}

/// Prometheus's staleness mark: the series ended, its target answered without it.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The series fell silent: its target could not be asked. PromQL treats it as [`STALE_NAN`]; an alert rule whose
/// signal is known apart from its condition treats it as "no data", not as recovery.
pub const SILENT_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0003);

/// At this instant the series has a histogram, which is kept beside the floats: so floats stay as small as they are.
pub const HISTOGRAM_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0004);

/// Whether a value stands for a histogram.
#[inline]
pub fn is_histogram_mark(value: f64) -> bool {
    value.to_bits() == HISTOGRAM_NAN.to_bits()
}

/// Whether a value is no number but one of the marks of this module.
#[inline]
pub fn is_mark(value: f64) -> bool {
    matches!(value.to_bits(), 0x7ff0_0000_0000_0002..=0x7ff0_0000_0000_0004)
}

/// Whether a value is one of the two marks after which a series has no value.
pub fn is_stale(value: f64) -> bool {
    matches!(value.to_bits(), 0x7ff0_0000_0000_0002 | 0x7ff0_0000_0000_0003)
}

/// Whether a value says that the series ended.
pub fn is_end_mark(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// Whether a value says that the series fell silent.
pub fn is_silent_mark(value: f64) -> bool {
    value.to_bits() == SILENT_NAN.to_bits()
}
