//! A time zone, and what the clocks of its people show.
//!
//! Place in the flow: rule files name it, detectors that follow a season ask it for the local time of a point.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An IANA time zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone of an IANA name.
    pub fn from_name(name: &str) -> Option<Self> {
        Tz::from_str(name).ok().map(Self)
    }

    /// Its IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a clock on the wall shows at an instant, as milliseconds since the first of January 1970 on that wall.
    /// Instants beyond the calendar are taken as those of UTC.
    pub fn wall_ms(self, t_ms: i64) -> i64 {
        if self.0 == Tz::UTC {
            return t_ms;
        }
        let ahead_secs = DateTime::from_timestamp_millis(t_ms)
            .map_or(0, |at| self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc());
        t_ms.saturating_add(i64::from(ahead_secs) * 1000)
    }
}

/// What a clock on the wall shows at an instant (seconds since the epoch); `None` where the calendar ends.
pub(super) fn local_of(zone: Tz, secs: i64) -> Option<NaiveDateTime> {
    let utc = DateTime::from_timestamp(secs, 0)?.naive_utc();
    utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix())
}

/// The instant of a local time: the first of two, and the end of the gap for one that does not exist.
pub(super) fn instant_of(zone: Tz, local: NaiveDateTime) -> Option<i64> {
    match zone.from_local_datetime(&local).earliest() {
        Some(instant) => Some(instant.timestamp()),
        None => Some(GapInfo::new(&local, &zone)?.end?.timestamp()),
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown time zone `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_of_berlin_jumps_in_spring_and_repeats_an_hour_in_autumn() {
        let berlin = Zone::from_name("Europe/Berlin").unwrap_or_default();
        // 2024-03-31 01:00 UTC: 02:00 becomes 03:00. 2024-10-27 01:00 UTC: 03:00 becomes 02:00.
        let hour = 3_600_000;
        for (t_secs, before, after) in [(1_711_846_800, 1, 2), (1_729_990_800, 2, 1)] {
            let t_ms = t_secs * 1000;
            assert_eq!(berlin.wall_ms(t_ms - 1), t_ms - 1 + before * hour);
            assert_eq!(berlin.wall_ms(t_ms), t_ms + after * hour);
        }
        assert_eq!(berlin.wall_ms(i64::MAX), i64::MAX);
        assert_eq!(Zone::UTC.wall_ms(7), 7);
        assert_eq!(Zone::from_name("Europe/Berln"), None);
    }
}
