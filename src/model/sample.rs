//! Samples and the marks that end a series.

use serde::{Deserialize, Serialize};

use super::{Labels, Timestamp};

/// One measured value at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; may be NaN, an infinity or one of the marks of this module.
    pub value: f64,
}

/// A point of a named series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The series, `__name__` included.
    pub labels: Labels,
    /// When it was measured.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// Prometheus's staleness mark: the series ended, its target answered without it.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The series fell silent: its target could not be asked. PromQL treats it as [`STALE_NAN`]; an alert rule whose
/// signal is known apart from its condition treats it as "no data", not as recovery.
pub const SILENT_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0003);

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
