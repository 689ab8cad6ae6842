//! Silences: matchers for which nothing is told for a time (prometheus/alertmanager:silence/silence.go).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{LabelMatcher, Labels, Timestamp};

/// Most silences that are kept, expired ones included.
pub const SILENCES_MAX: usize = 10_000;
/// Most matchers of one silence.
pub const MATCHERS_MAX: usize = 64;
/// Longest author and comment, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why something is no silence.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SilenceError {
    /// Nothing would be told of anything.
    #[error("a silence needs a matcher that does not match an empty label, such as alertname=\"DiskFull\"")]
    MatchesAll,
    /// Times that make no span.
    #[error("a silence must end after it starts, and in the future")]
    Span,
    /// Nobody says who made it or why.
    #[error("a silence needs {0}")]
    Missing(&'static str),
    /// A limit.
    #[error("{0}")]
    Limit(String),
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Identity, a UUID.
    pub id: String,
    /// All of them must fit.
    pub matchers: Vec<LabelMatcher>,
    /// From here.
    pub starts_at: Timestamp,
    /// To here, exclusive.
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// When it was made or changed last.
    pub updated_at: Timestamp,
}

/// Where a silence stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Yet to begin.
    Pending,
    /// In force.
    Active,
    /// Over.
    Expired,
}

impl SilenceState {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Checks everything but its identity.
    pub fn check(&self, now: Timestamp) -> Result<(), SilenceError> {
        if self.matchers.iter().all(LabelMatcher::fits_nothing) {
            return Err(SilenceError::MatchesAll);
        }
        if self.matchers.len() > MATCHERS_MAX {
            return Err(SilenceError::Limit(format!("a silence has at most {MATCHERS_MAX} matchers")));
        }
        if self.ends_at <= self.starts_at || self.ends_at <= now {
            return Err(SilenceError::Span);
        }
        for (what, text) in [("an author", &self.created_by), ("a comment", &self.comment)] {
            if text.trim().is_empty() {
                return Err(SilenceError::Missing(what));
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(SilenceError::Limit(format!("{what} has at most {TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(())
    }

    /// Where it stands.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Whether it covers an alert with these labels.
    pub fn covers(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches(labels))
    }
}

/// All silences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Silences {
    by_id: BTreeMap<String, Arc<Silence>>,
}

impl Silences {
    /// From what was saved.
    pub fn new(silences: impl IntoIterator<Item = Silence>) -> Self {
        Self { by_id: silences.into_iter().map(|s| (s.id.clone(), Arc::new(s))).collect() }
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.by_id.values()
    }

    /// One.
    pub fn get(&self, id: &str) -> Option<&Arc<Silence>> {
        self.by_id.get(id)
    }

    /// Adds or replaces one that was checked.
    pub fn put(&mut self, silence: Silence) -> Result<(), SilenceError> {
        if self.by_id.len() >= SILENCES_MAX && !self.by_id.contains_key(&silence.id) {
            return Err(SilenceError::Limit(format!("there are {SILENCES_MAX} silences already; expire some")));
        }
        self.by_id.insert(silence.id.clone(), Arc::new(silence));
        Ok(())
    }

    /// Forgets one.
    pub fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    /// Those in force.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Silence>> {
        self.by_id.values().filter(move |silence| silence.state(now) == SilenceState::Active)
    }

    /// The silence in force that covers these labels for the longest.
    pub fn covering(&self, labels: &Labels, now: Timestamp) -> Option<&Arc<Silence>> {
        self.in_force(now).filter(|s| s.covers(labels)).max_by_key(|s| s.ends_at)
    }

    /// Those that have been over for a time.
    pub fn expired_before(&self, oldest: Timestamp) -> Vec<String> {
        self.by_id.values().filter(|s| s.ends_at < oldest).map(|s| s.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_that_would_hold_everything_is_refused() {
        let silence = |matcher: &str| Silence {
            id: "1".into(),
            matchers: vec![LabelMatcher::parse(matcher).unwrap()],
            starts_at: Timestamp(0),
            ends_at: Timestamp(10),
            created_by: "a".into(),
            comment: "b".into(),
            updated_at: Timestamp(0),
        };
        assert_eq!(silence("a=~.*").check(Timestamp(0)), Err(SilenceError::MatchesAll));
        assert_eq!(silence("a=x").check(Timestamp(0)), Ok(()));
        assert_eq!(silence("a=x").check(Timestamp(10)), Err(SilenceError::Span));
        assert_eq!(silence("a=x").state(Timestamp(9)), SilenceState::Active);
        assert_eq!(silence("a=x").state(Timestamp(10)), SilenceState::Expired);
        let unsigned = Silence { created_by: " ".into(), ..silence("a=x") };
        assert_eq!(unsigned.check(Timestamp(0)), Err(SilenceError::Missing("an author")));
    }
}
