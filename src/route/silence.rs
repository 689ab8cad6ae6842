//! Silences: matchers for which nothing is told for a time (prometheus/alertmanager:silence/silence.go), or for a time
//! that comes again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Rails;
use crate::model::{LabelMatcher, Labels, Timestamp};
use crate::schedule::{Recurrence, RecurrenceError, Window};

/// Most silences that are kept, expired ones included.
pub const SILENCES_MAX: usize = 10_000;
/// Most matchers of one silence, all its sets together.
pub use crate::model::label_matcher::MATCHERS_MAX;
/// Most sets of matchers of one silence.
pub const SETS_MAX: usize = 32;
/// Most annotations of one silence.
pub const ANNOTATIONS_MAX: usize = 32;
/// Longest author, comment and annotation, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why something is no silence.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SilenceError {
    /// Nothing would be told of anything.
    #[error("a silence needs a matcher that does not match an empty label, such as alertname=\"DiskFull\"")]
    MatchesAll,
    /// The same for one of several sets.
    #[error(
        "set {0} of the silence's matchers needs one that does not match an empty label, such as alertname=\"DiskFull\""
    )]
    SetMatchesAll(usize),
    /// Times that make no span.
    #[error("a silence must end after it starts, and in the future")]
    Span,
    /// Windows that never come.
    #[error("no window of the recurrence begins between the start and the end of the silence; have it end later")]
    NoWindow,
    /// Windows that make no sense.
    #[error("recurrence: {0}")]
    Recurrence(#[from] RecurrenceError),
    /// Nobody says who made it or why.
    #[error("a silence needs {0}")]
    Missing(&'static str),
    /// A limit.
    #[error("{0}")]
    Limit(String),
    /// A guard rail of this server.
    #[error("{why} (silences.{key}); {mend}")]
    Rail {
        /// Its key in `alertd.yaml`.
        key: &'static str,
        /// What is wrong.
        why: String,
        /// How to mend it.
        mend: String,
    },
}

/// A silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Silence {
    /// Identity, a UUID.
    pub id: String,
    /// One of the sets must fit, and of a set all matchers.
    pub sets: Vec<Vec<LabelMatcher>>,
    /// From here.
    pub starts_at: Timestamp,
    /// To here, exclusive.
    pub ends_at: Timestamp,
    /// In these windows alone.
    pub recurrence: Option<Recurrence>,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// When it was made or changed last.
    pub updated_at: Timestamp,
    /// How often it kept a handler from being told of an alert.
    pub held: u64,
}

/// A silence as it is stored: one of a single set is written as ever.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    /// The first set.
    matchers: Vec<LabelMatcher>,
    /// All sets, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    matcher_sets: Vec<Vec<LabelMatcher>>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recurrence: Option<Recurrence>,
    created_by: String,
    comment: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    updated_at: Timestamp,
    #[serde(default)]
    held: u64,
}

impl From<Stored> for Silence {
    fn from(stored: Stored) -> Self {
        let Stored { id, matchers, matcher_sets, starts_at, ends_at, recurrence, created_by, comment, .. } = stored;
        let sets = if matcher_sets.is_empty() { vec![matchers] } else { matcher_sets };
        let Stored { annotations, updated_at, held, .. } = stored;
        Self { id, sets, starts_at, ends_at, recurrence, created_by, comment, annotations, updated_at, held }
    }
}

impl From<Silence> for Stored {
    fn from(silence: Silence) -> Self {
        let Silence { id, sets, starts_at, ends_at, recurrence, created_by, comment, annotations, updated_at, held } =
            silence;
        let matchers = sets.first().cloned().unwrap_or_default();
        let matcher_sets = if sets.len() > 1 { sets } else { Vec::new() };
        Self {
            id,
            matchers,
            matcher_sets,
            starts_at,
            ends_at,
            recurrence,
            created_by,
            comment,
            annotations,
            updated_at,
            held,
        }
    }
}

/// Where a silence stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Yet to begin, or between two windows.
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
    pub fn check(&self, rails: &Rails, now: Timestamp) -> Result<(), SilenceError> {
        let all = |set: &Vec<LabelMatcher>| set.iter().all(LabelMatcher::fits_nothing);
        match self.sets.iter().position(all) {
            _ if self.sets.is_empty() => return Err(SilenceError::MatchesAll),
            Some(_) if self.sets.len() == 1 => return Err(SilenceError::MatchesAll),
            Some(set) => return Err(SilenceError::SetMatchesAll(set + 1)),
            None => {}
        }
        if self.sets.iter().map(Vec::len).sum::<usize>() > MATCHERS_MAX {
            return Err(SilenceError::Limit(format!("a silence has at most {MATCHERS_MAX} matchers")));
        }
        if self.sets.len() > SETS_MAX {
            return Err(SilenceError::Limit(format!("a silence has at most {SETS_MAX} sets of matchers")));
        }
        if self.ends_at <= self.starts_at || self.ends_at <= now {
            return Err(SilenceError::Span);
        }
        if self.recurrence.is_some() && self.window(now.max(self.starts_at)).is_none() {
            return Err(SilenceError::NoWindow);
        }
        for (what, text) in [("an author", &self.created_by), ("a comment", &self.comment)] {
            if text.trim().is_empty() {
                return Err(SilenceError::Missing(what));
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(SilenceError::Limit(format!("{what} has at most {TEXT_BYTES_MAX} bytes")));
            }
        }
        let long = |(name, text): (&String, &String)| name.len() + text.len() > TEXT_BYTES_MAX;
        if self.annotations.len() > ANNOTATIONS_MAX || self.annotations.iter().any(long) {
            let limit = format!("a silence has at most {ANNOTATIONS_MAX} annotations of {TEXT_BYTES_MAX} bytes");
            return Err(SilenceError::Limit(limit));
        }
        rails.check(self)
    }

    /// When it is over for good: with its last window, where they come to an end.
    pub fn over_at(&self) -> Timestamp {
        let last = self.recurrence.as_ref().and_then(Recurrence::over_at);
        last.map_or(self.ends_at, |last| last.min(self.ends_at))
    }

    /// Where it stands.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.over_at() {
            SilenceState::Expired
        } else if now < self.starts_at || self.recurrence.as_ref().is_some_and(|windows| !windows.contains(now)) {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// The time without a break for which it is in force: the one that an instant lies in, else the next; none where
    /// nothing is left.
    pub fn window(&self, now: Timestamp) -> Option<Window> {
        let whole = Window { starts_at: self.starts_at, ends_at: self.over_at() };
        let Some(windows) = &self.recurrence else { return Some(whole).filter(|whole| now < whole.ends_at) };
        let from = now.max(self.starts_at);
        let window = windows.around(from)?;
        let (starts_at, ends_at) = (window.starts_at.max(self.starts_at), window.ends_at.min(self.ends_at));
        Some(Window { starts_at, ends_at }).filter(|window| window.starts_at < window.ends_at && now < window.ends_at)
    }

    /// When it is over for good, where that is the end of the time for which it is in force now.
    pub fn last_end(&self, now: Timestamp) -> Option<Timestamp> {
        let window = self.window(now).filter(|window| window.starts_at <= now)?;
        // Not by `window`: that would put the next one in the place of this one, which routing asks for.
        let before_end = Timestamp(window.ends_at.0 - 1);
        let next = self.recurrence.as_ref().and_then(|windows| windows.next_start(before_end));
        next.is_none_or(|next| next >= self.ends_at).then_some(window.ends_at)
    }

    /// The longest time without a break for which it is in force.
    pub(super) fn longest(&self) -> Option<Duration> {
        let whole = self.ends_at.since(self.starts_at);
        match &self.recurrence {
            None => Some(whole),
            Some(windows) => windows.longest(self.starts_at, self.ends_at).map(|longest| longest.min(whole)),
        }
    }

    /// Whether it covers an alert with these labels.
    pub fn covers(&self, labels: &Labels) -> bool {
        covers(&self.sets, labels)
    }
}

/// Whether one of the sets fits labels.
pub fn covers(sets: &[Vec<LabelMatcher>], labels: &Labels) -> bool {
    sets.iter().any(|set| set.iter().all(|matcher| matcher.matches(labels)))
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

    /// Those in force that cover these labels.
    pub fn all_covering<'a>(&'a self, labels: &Labels, now: Timestamp) -> impl Iterator<Item = &'a Arc<Silence>> {
        // Windows are looked for last: that costs most.
        let open = move |s: &&Arc<Silence>| (s.starts_at..s.ends_at).contains(&now);
        self.by_id
            .values()
            .filter(open)
            .filter(|s| s.covers(labels))
            .filter(move |s| s.state(now) == SilenceState::Active)
    }

    /// The silence that covers these labels now and for the longest from now on, and until when.
    pub fn covering<'a>(&'a self, labels: &Labels, now: Timestamp) -> Option<(&'a Arc<Silence>, Timestamp)> {
        let with_end = |silence: &'a Arc<Silence>| Some((silence, silence.window(now)?.ends_at));
        self.all_covering(labels, now).filter_map(with_end).max_by_key(|(_, ends_at)| *ends_at)
    }

    /// Counts what silences held, by id; those that changed.
    pub fn count_held(&mut self, ids: impl IntoIterator<Item = String>) -> Vec<Arc<Silence>> {
        let mut more: BTreeMap<String, u64> = BTreeMap::new();
        ids.into_iter().for_each(|id| *more.entry(id).or_default() += 1);
        let mut changed = Vec::new();
        for (id, more) in more {
            let Some(silence) = self.by_id.get_mut(&id) else { continue };
            let silence = Arc::make_mut(silence);
            silence.held = silence.held.saturating_add(more);
            changed.push(Arc::new(silence.clone()));
        }
        changed
    }

    /// The clock was set back: of those that were made, changed or ended in the time that comes once more, what had begun
    /// has begun, and what was over is over. Other ends and beginnings go by the clock, which may be right again soon. Those
    /// that changed. `first` is the first instant that is judged from now on.
    pub fn set_back(&mut self, now: Timestamp, first: Timestamp) -> Vec<Arc<Silence>> {
        let mut changed = Vec::new();
        for silence in self.by_id.values_mut().filter(|silence| silence.updated_at > now) {
            let seen = |at: Timestamp| if at <= silence.updated_at { at.min(first) } else { at };
            let (starts_at, ends_at) = (seen(silence.starts_at), seen(silence.ends_at));
            if (starts_at, ends_at) != (silence.starts_at, silence.ends_at) {
                let silence = Arc::make_mut(silence);
                (silence.starts_at, silence.ends_at) = (starts_at, ends_at);
                changed.push(Arc::new(silence.clone()));
            }
        }
        changed
    }

    /// Those that have been over for a time.
    pub fn expired_before(&self, oldest: Timestamp) -> Vec<String> {
        self.by_id.values().filter(|s| s.over_at() < oldest).map(|s| s.id.clone()).collect()
    }
}

#[cfg(test)]
#[path = "silence_tests.rs"]
mod tests;
