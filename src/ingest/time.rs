//! Times as data files and pushes write them. The one place of the seconds-or-milliseconds rule.
//!
//! A number below [`SECONDS_MAX`] in magnitude counts seconds since the epoch (it reaches to the year 5138), any larger
//! one counts milliseconds (from 1973 on). Numbers too large even for that (micro- or nanoseconds) are refused and not
//! guessed. Prometheus text is always milliseconds and OpenMetrics always seconds; they do not come here.

use crate::model::Timestamp;

/// From here a number is milliseconds.
pub const SECONDS_MAX: f64 = 1e11;
/// No time lies beyond it: the year 5138 in milliseconds.
pub const MILLISECONDS_MAX: f64 = 1e14;

/// Milliseconds since the epoch from a number of seconds or milliseconds.
pub fn from_number(number: f64) -> Result<i64, String> {
    let ms = if number.abs() < SECONDS_MAX { number * 1000.0 } else { number };
    if ms.abs() <= MILLISECONDS_MAX {
        Ok(ms.round() as i64)
    } else {
        Err(format!("timestamp {number} is neither Unix seconds nor milliseconds"))
    }
}

/// Milliseconds since the epoch from text: Unix seconds or milliseconds, RFC 3339, or `YYYY-MM-DD HH:MM:SS` (UTC).
pub fn from_text(text: &str) -> Result<i64, String> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => from_number(number),
        Err(_) => Timestamp::parse(text).map(Timestamp::as_millis).ok_or_else(|| {
            format!("{text:?} is no time: Unix seconds or milliseconds, RFC 3339 or YYYY-MM-DD HH:MM:SS is taken")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_dates_are_told_apart() {
        let check = |text: &str, wanted: Option<i64>| assert_eq!(from_text(text).ok(), wanted, "{text}");
        check("1700000000", Some(1_700_000_000_000));
        check("1700000000.25", Some(1_700_000_000_250));
        check("1700000000123", Some(1_700_000_000_123));
        check("1700000000123456", None);
        check("1700000000123456789", None);
        check("0", Some(0));
        check("-60", Some(-60_000));
        check("NaN", None);
        check("inf", None);
        check("2023-11-14T22:13:20Z", Some(1_700_000_000_000));
        check("2023-11-14T23:13:20.5+01:00", Some(1_700_000_000_500));
        check("2023-11-14 22:13:20", Some(1_700_000_000_000));
        check("2023-11-14 22:13:20.250", Some(1_700_000_000_250));
        check("yesterday", None);
        check("", None);
    }
}
