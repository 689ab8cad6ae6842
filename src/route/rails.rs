//! Guard rails: what a silence must be like so that it hides no more, and for no longer, than somebody meant.
//!
//! Place in the flow: `alertd.yaml` sets them, [`super::Silence::check`] asks them whenever a silence is made or changed.
//! Silences that were made before stay in force and can always be ended. A refusal names the key and how to mend it.

use std::time::Duration;

use regex::Regex;

use super::silence::{Silence, SilenceError};
use crate::model::{LabelMatcher, MatchOp, format_duration};

/// Patterns that leave out no value that is there.
const ANYTHING: [&str; 4] = [".*", ".+", "(.*)", "(.+)"];

/// The guard rails; the default has none but those of Alertmanager.
#[derive(Clone, Debug, Default)]
pub struct Rails {
    /// Fewest matchers of each set that leave something out.
    pub min_matchers: usize,
    /// The longest time for which a silence may hide anything without a break.
    pub max_duration: Option<Duration>,
    /// The longest time from the beginning of a recurring silence to its end.
    pub max_recurring_duration: Option<Duration>,
    /// What a comment must match somewhere.
    pub comment_pattern: Option<Regex>,
}

impl Rails {
    /// Whether a silence keeps within them.
    pub(super) fn check(&self, silence: &Silence) -> Result<(), SilenceError> {
        let refuse = |key: &'static str, why: String, mend: String| Err(SilenceError::Rail { key, why, mend });
        let fewest = silence.sets.iter().map(|set| set.iter().filter(|m| narrows(m)).count()).min().unwrap_or(0);
        if fewest < self.min_matchers {
            let least = self.min_matchers;
            let why = format!("a silence needs {least} matchers that leave something out, this one has {fewest}");
            return refuse(
                "min_matchers",
                why,
                "add matchers, such as alertname=\"DiskFull\" and host=\"db1\"".to_owned(),
            );
        }
        if let Some(max) = self.max_duration
            && let Some(longest) = silence.longest().filter(|longest| *longest > max)
        {
            let (max, longest) = (format_duration(max), whole(longest));
            let why = format!("a silence may last {max} without a break, this one lasts {longest}");
            return refuse("max_duration", why, format!("end it within {max}; it can be made anew"));
        }
        let all = silence.ends_at.since(silence.starts_at);
        if let Some(max) = self.max_recurring_duration.filter(|max| silence.recurrence.is_some() && all > *max) {
            let (max, all) = (format_duration(max), whole(all));
            let why = format!("a recurring silence may come again for {max}, this one does for {all}");
            return refuse("max_recurring_duration", why, format!("end it within {max}; it can be made anew"));
        }
        if let Some(pattern) = self.comment_pattern.as_ref().filter(|pattern| !pattern.is_match(&silence.comment)) {
            let why = format!("the comment does not match {}", pattern.as_str());
            return refuse("comment_pattern", why, "write what it asks for, such as the number of a ticket".to_owned());
        }
        Ok(())
    }
}

/// A duration in whole seconds, as people measure silences.
fn whole(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_millis().div_ceil(1000) as u64))
}

/// Whether a matcher leaves anything out that has the label.
fn narrows(matcher: &LabelMatcher) -> bool {
    match matcher.op {
        MatchOp::Equal => true,
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Matches => !ANYTHING.contains(&matcher.value.as_str()),
        MatchOp::NotMatches => !matcher.value.is_empty(),
    }
}
