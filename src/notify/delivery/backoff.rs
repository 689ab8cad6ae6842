//! How long to wait before another attempt: full jitter, and what the receiver asks for.

use std::time::Duration;

/// Upper end of the first pause.
const FIRST_MS: u64 = 500;
/// Upper end of any pause: a receiver that is back is told within this time.
const LONGEST_MS: u64 = 60_000;
/// Longest wait that a receiver can ask for; what it asks beyond is cut.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Most that is added to what a receiver asks for, so that many do not come back at one instant.
const ASKED_JITTER_MS: u64 = 250;

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
