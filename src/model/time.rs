//! Points in time as the core sees them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC; serialised as RFC 3339.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, as PromQL's `time()` gives them.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Later by a duration; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Earlier by a duration; saturates.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time since an earlier instant; zero if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The instant as a calendar date, if it is one (years −262143 to 262142).
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// Reads RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC), or Unix seconds (with fraction) as users type them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(secs) = text.parse::<f64>() {
            let ms = secs * 1000.0;
            return (ms.is_finite() && ms.abs() < 9e15).then(|| Self(ms.round() as i64));
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(at.timestamp_millis()));
        }
        for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
            if let Ok(at) = chrono::NaiveDateTime::parse_from_str(text, format) {
                return Some(Self(at.and_utc().timestamp_millis()));
            }
        }
        None
    }
}

/// A duration in whole milliseconds; saturates.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339, which has the years 0 to 9999; milliseconds outside them, so that what is saved reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc().filter(|at| (0..=9999).contains(&at.year())) {
            Some(at) if self.0 % 1000 == 0 => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(ms) = text.strip_suffix("ms").and_then(|t| t.parse().ok()) {
            return Ok(Self(ms));
        }
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not a time: {text:?}")))
    }
}

/// The instant of one evaluation.
///
/// Three readings, because they answer different questions. In a simulation, a dry run and a rule test they are equal;
/// in the daemon they part when the clock is set, the machine sleeps or the process is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The slot on the wall clock: at which samples are read, and what people are told.
    pub slot: Timestamp,
    /// Milliseconds under watch. Stands still while the process is down or the machine sleeps and does not follow a
    /// clock that is set: `for` counts on it, so neither downtime nor a clock jump can make an alert fire early.
    pub watched_ms: i64,
    /// Milliseconds elapsed, downtime included, never backwards: `keep_firing_for`, `cooldown`, `no_data_timeout`.
    pub elapsed_ms: i64,
}

impl Now {
    /// The instant of a simulated clock: all three readings agree.
    pub fn simulated(slot: Timestamp) -> Self {
        Self { slot, watched_ms: slot.0, elapsed_ms: slot.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_is_saved_so_that_it_reads_back() {
        let ten_thousand = 253_402_300_800_000;
        for ms in
            [0, 1, -1, ten_thousand - 1, ten_thousand, -62_167_219_200_000, -62_167_219_200_001, i64::MIN, i64::MAX]
        {
            let text = serde_json::to_string(&Timestamp(ms)).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), Timestamp(ms), "{text}");
        }
    }
}
