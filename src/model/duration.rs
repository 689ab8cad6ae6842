//! Prometheus durations: `30s`, `1h30m`, `7d`, units `y w d h m s ms` in that order, each at most once.

use std::time::Duration;

use thiserror::Error;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is no duration.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration")]
    Empty,
    /// A number without a unit.
    #[error("missing unit in duration {0:?}")]
    MissingUnit(String),
    /// Not of the form at all, or units out of order.
    #[error("not a duration: {0:?}")]
    Malformed(String),
    /// More than about 292 million years of milliseconds.
    #[error("duration {0:?} is too long")]
    TooLong(String),
}

/// Reads a Prometheus duration (prometheus/common:model/time.go). `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total_ms, mut next_unit) = (text, 0u64, 0);
    let malformed = || DurationError::Malformed(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(malformed());
        }
        let number: u64 = rest[..digits].parse().map_err(|_| too_long())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if letters == 0 {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let position = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters]).ok_or_else(malformed)?;
        if position < next_unit {
            return Err(malformed());
        }
        next_unit = position + 1;
        rest = &rest[letters..];
        let part = number.checked_mul(UNITS[position].1).ok_or_else(too_long)?;
        total_ms = total_ms.checked_add(part).filter(|ms| *ms <= i64::MAX as u64).ok_or_else(too_long)?;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration as Prometheus does: the fewest units, `0s` for nothing; parts below a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, size) in UNITS {
        // As in Prometheus, years and weeks are used only where nothing remains below them.
        let exact_only = matches!(unit, "y" | "w");
        if ms >= size && (!exact_only || ms % size == 0) {
            out.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want_ms: Option<u64>) {
        assert_eq!(parse_duration(text).ok(), want_ms.map(Duration::from_millis), "{text:?}");
    }

    #[test]
    fn durations_read_as_prometheus_reads_them() {
        check("30s", Some(30_000));
        check("1h30m", Some(5_400_000));
        check("7d", Some(604_800_000));
        check("1y2w3d4h5m6s7ms", Some(31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007));
        check("0", Some(0));
        check("0s", Some(0));
        for bad in ["", "1", "s", "1m1h", "1m1m", "-1m", "1.5h", "1 m", "1x", "99999999999999999999s", "999999999999y"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn a_written_duration_reads_back_the_same() {
        for ms in [1, 999, 1000, 61_000, 3_600_000, 86_400_000, 90_061_001, 604_800_000, 31_536_000_000, 694_861_001] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(format_duration(Duration::from_secs(604_800)), "1w");
        assert_eq!(format_duration(Duration::from_secs(90_000)), "1d1h");
    }
}
