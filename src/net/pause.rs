//! How long to wait before another attempt: full jitter, and what the receiver asks for.

use std::time::Duration;

use crate::model::Timestamp;

/// Upper end of the first pause.
const FIRST_MS: u64 = 500;
/// Upper end of any pause: a receiver that is back is told within this time.
const LONGEST_MS: u64 = 60_000;
/// Longest wait that a receiver can ask for; what it asks beyond is cut.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Most that is added to what a receiver asks for, so that many do not come back at one instant.
const ASKED_JITTER_MS: u64 = 250;

/// A number from 0 to 1 out of random bits.
pub fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The pause after `failures` failures in a row (from 1), for a random number from 0 to 1.
///
/// Full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter): anything up to twice the end before,
/// which spreads those who failed together better than any fixed schedule. A `Retry-After` is kept, capped, and goes
/// before.
pub fn backoff(failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    match asked {
        Some(asked) => {
            let extra_ms = (ASKED_JITTER_MS as f64 * random) as u64;
            asked.min(RETRY_AFTER_MAX) + Duration::from_millis(extra_ms)
        }
        None => {
            let end_ms = FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LONGEST_MS);
            // Not quite nothing: an attempt at once would find what the last one found.
            let least_ms = FIRST_MS / 10;
            Duration::from_millis(least_ms + ((end_ms - least_ms) as f64 * random) as u64)
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110). What is neither is ignored.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let pause = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        let now = Duration::from_millis(u64::try_from(now.0).ok()?);
        at.saturating_sub(now)
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

/// The pause that the headers of an answer ask for.
pub fn asked(headers: &reqwest::header::HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_full_jitter_and_stay_under_a_minute() {
        for (failures, random, ms) in [(1, 0.0, 50), (1, 1.0, 500), (2, 1.0, 1000), (8, 1.0, 60_000), (40, 1.0, 60_000)]
        {
            assert_eq!(backoff(failures, None, random), Duration::from_millis(ms), "after {failures} failures");
        }
        assert_eq!(backoff(1, Some(Duration::from_secs(9)), 0.0), Duration::from_secs(9));
        assert!(
            backoff(1, Some(Duration::from_secs(999_999)), 1.0) <= RETRY_AFTER_MAX + Duration::from_secs(1),
            "capped"
        );
    }

    #[test]
    fn a_pause_is_read_as_seconds_or_as_a_date_and_garbage_is_ignored() {
        let now = Timestamp(1_700_000_000_000);
        let secs = |n| Some(Duration::from_secs(n));
        for (text, want) in [
            ("120", secs(120)),
            (" 0 ", secs(0)),
            ("99999", secs(3600)),
            ("99999999999999999999999999", secs(3600)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", secs(30)),
            ("Tuesday, 14-Nov-23 22:13:50 GMT", secs(30)),
            ("Tue Nov 14 22:13:50 2023", secs(30)),
            ("Tue, 14 Nov 2000 22:13:50 GMT", secs(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", secs(3600)),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
            ("Tue, 99 Nov 2023 22:13:50 GMT", None),
        ] {
            assert_eq!(retry_after(text, now), want, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pause_panics_or_is_long(text in "(\\PC|[0-9]|Tue, |GMT|:){0,20}", now in proptest::num::i64::ANY) {
            let pause = retry_after(&text, Timestamp(now));
            proptest::prop_assert!(pause.is_none_or(|p| p <= RETRY_AFTER_MAX));
        }
    }
}
