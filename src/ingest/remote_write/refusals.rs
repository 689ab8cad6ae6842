//! What of a request is refused, and why: a count, and the first of each reason in words.

use std::collections::BTreeMap;

/// Reasons told in words; the rest is counted.
pub const REASONS_MAX: usize = 10;
/// Longest reason.
const REASON_LEN_MAX: usize = 300;

/// Refused samples by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    total: u64,
    reasons: BTreeMap<String, u64>,
}

impl Refusals {
    /// Counts samples that are refused.
    pub fn add(&mut self, count: u64, reason: impl Into<String>) {
        self.total += count;
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_LEN_MAX));
        if let Some(known) = self.reasons.get_mut(&reason) {
            *known += count;
        } else if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(reason, count);
        }
    }

    /// How many samples.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The reasons in words, with their counts where they are more than one.
    pub fn reasons(&self) -> Vec<String> {
        let told = |(reason, count): (&String, &u64)| match count {
            0 | 1 => reason.clone(),
            count => format!("{reason} ({count} samples)"),
        };
        self.reasons.iter().map(told).collect()
    }
}
