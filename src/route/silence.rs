//! Silences: matchers for which nothing is told for a time (prometheus/alertmanager:silence/silence.go).

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Labels, Timestamp};

/// Most silences that are kept, expired ones included.
pub const SILENCES_MAX: usize = 10_000;
/// Most matchers of one silence.
pub const MATCHERS_MAX: usize = 64;
/// Longest pattern of a matcher, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// Longest author and comment, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why something is no silence.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SilenceError {
    /// A matcher that is none.
    #[error("`{text}` is no matcher: {reason}")]
    Matcher {
        /// As written.
        text: String,
        /// Why.
        reason: String,
    },
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

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchOp {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `=~`, anchored
    #[serde(rename = "=~")]
    Matches,
    /// `!~`, anchored
    #[serde(rename = "!~")]
    NotMatches,
}

impl MatchOp {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// A comparison of one label; a missing label is empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawMatcher", into = "RawMatcher")]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    /// How.
    pub op: MatchOp,
    /// With what.
    pub value: String,
    regex: Option<Regex>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RawMatcher {
    name: String,
    op: MatchOp,
    value: String,
}

impl TryFrom<RawMatcher> for LabelMatcher {
    type Error = SilenceError;

    fn try_from(raw: RawMatcher) -> Result<Self, SilenceError> {
        Self::new(&raw.name, raw.op, &raw.value)
    }
}

impl From<LabelMatcher> for RawMatcher {
    fn from(matcher: LabelMatcher) -> Self {
        Self { name: matcher.name, op: matcher.op, value: matcher.value }
    }
}

impl PartialEq for LabelMatcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl std::fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl LabelMatcher {
    /// From its parts; patterns are anchored and of linear time.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, SilenceError> {
        let bad = |reason: String| SilenceError::Matcher { text: format!("{name}{}{value:?}", op.as_str()), reason };
        if name.is_empty() {
            return Err(bad("it names no label".to_owned()));
        }
        if name.len() > PATTERN_BYTES_MAX || value.len() > PATTERN_BYTES_MAX {
            return Err(bad(format!("longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches => {
                let anchored = format!("^(?s:{value})$");
                let built = regex::RegexBuilder::new(&anchored).size_limit(1 << 20).build();
                Some(built.map_err(|_| bad("its pattern is no regular expression".to_owned()))?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// Reads `name="value"`, `name=value`, `name=~"pattern"`, `name!=…`, `name!~…` as people type them.
    pub fn parse(text: &str) -> Result<Self, SilenceError> {
        let bad = |reason: &str| SilenceError::Matcher { text: text.to_owned(), reason: reason.to_owned() };
        let at = text.find(['=', '!']).ok_or_else(|| bad("write it as name=\"value\""))?;
        let (name, rest) = text.split_at(at);
        let found =
            [("=~", MatchOp::Matches), ("!~", MatchOp::NotMatches), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
                .into_iter()
                .find_map(|(word, op)| Some((op, rest.strip_prefix(word)?)));
        let (op, value) = found.ok_or_else(|| bad("write it as name=\"value\""))?;
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            None => value.to_owned(),
            Some(_) => serde_json::from_str(value).map_err(|_| bad("its quotes are not right"))?,
        };
        let name = name.trim();
        let name = match name.strip_prefix('"') {
            None => name.to_owned(),
            Some(_) => serde_json::from_str(name).map_err(|_| bad("its quotes are not right"))?,
        };
        Self::new(&name, op, &value)
    }

    /// Whether a value fits.
    fn fits(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Matches, Some(regex)) => regex.is_match(value),
            (MatchOp::NotMatches, Some(regex)) => !regex.is_match(value),
            // A pattern is always there: `new` is the only way to make one.
            (MatchOp::Matches | MatchOp::NotMatches, None) => false,
        }
    }

    /// Whether a label set fits.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.fits(labels.get(&self.name).unwrap_or(""))
    }
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
        if self.matchers.iter().all(|m| m.fits("")) {
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

    /// The silence in force that covers these labels for the longest.
    pub fn covering(&self, labels: &Labels, now: Timestamp) -> Option<&Arc<Silence>> {
        let active = self.by_id.values().filter(|s| s.state(now) == SilenceState::Active && s.covers(labels));
        active.max_by_key(|s| s.ends_at)
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
    fn matchers_are_read_as_people_type_them() {
        let labels = Labels::from_pairs([("alertname", "DiskFull"), ("host.name", "a \"b\"")]);
        for (text, fits) in [
            ("alertname=DiskFull", true),
            ("alertname=\"DiskFull\"", true),
            ("alertname =~ \"Disk.*\"", true),
            ("alertname=~isk", false),
            ("alertname!~Disk", true),
            ("alertname!=DiskFull", false),
            ("\"host.name\"=\"a \\\"b\\\"\"", true),
            ("missing=", true),
            ("missing!=x", true),
        ] {
            assert_eq!(LabelMatcher::parse(text).unwrap().matches(&labels), fits, "{text}");
        }
        for text in ["", "alertname", "=x", "a=~(", "a=\"x", "a!x"] {
            assert!(LabelMatcher::parse(text).is_err(), "{text}");
        }
    }

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
