//! Rows of the history and questions about them: the same matching for every store.

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use crate::model::{Alert, Fingerprint, LabelMatcher, Labels, MatchOp, Severity, Timestamp};

/// Longest regular expression of a matcher, bytes.
const REGEX_LEN_MAX: usize = 4096;
/// Largest compiled regular expression, bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// What a history row tells of. The names are stored: a new kind is added, none is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HistoryKind {
    /// A step in the life of an alert.
    Transition,
    /// A notice that was not sent, and why.
    Held,
    /// A notice was delivered.
    Sent,
    /// An attempt failed and will be made again.
    Failed,
    /// A notice was given up.
    Dead,
    /// Somebody had a notice tried again.
    Retried,
    /// A notice was removed undelivered.
    Dropped,
    /// A silence was made, changed or ended.
    Silence,
    /// An alert was acknowledged.
    Ack,
    /// How the evaluations of a rule went for a while. Shown where it is asked for alone.
    Evaluated,
    /// Something about alertd itself: start, reload, damage.
    System,
}

impl HistoryKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Transition,
        Self::Held,
        Self::Sent,
        Self::Failed,
        Self::Dead,
        Self::Retried,
        Self::Dropped,
        Self::Silence,
        Self::Ack,
        Self::Evaluated,
        Self::System,
    ];

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transition => "transition",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Retried => "retried",
            Self::Dropped => "dropped",
            Self::Silence => "silence",
            Self::Ack => "ack",
            Self::Evaluated => "evaluated",
            Self::System => "system",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Rows that are looked for apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What happened.
    Events,
    /// How evaluations went: so many that among other rows they would be most of what a search looks at.
    Evaluations,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Events, Self::Evaluations];

    /// Where rows of a kind are.
    pub const fn of(kind: HistoryKind) -> Self {
        match kind {
            HistoryKind::Evaluated => Self::Evaluations,
            _ => Self::Events,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct NewHistory {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: HistoryKind,
    /// Identity of the rule, if it is about one.
    pub rule_uid: String,
    /// Name of the rule.
    pub rule: String,
    /// Identity of the alert.
    pub fingerprint: Option<Fingerprint>,
    /// How bad it was then.
    pub severity: Option<Severity>,
    /// The handler, if one was concerned.
    pub handler: Option<String>,
    /// Why, in one word or a sentence.
    pub reason: Option<String>,
    /// The notice.
    pub notice_id: Option<String>,
    /// Labels of the alert.
    pub labels: Labels,
    /// JSON, the rest.
    pub detail: Option<String>,
}

impl NewHistory {
    /// A row that tells of nothing else yet.
    pub fn new(at: Timestamp, kind: HistoryKind) -> Self {
        Self {
            at,
            kind,
            rule_uid: String::new(),
            rule: String::new(),
            fingerprint: None,
            severity: None,
            handler: None,
            reason: None,
            notice_id: None,
            labels: Labels::empty(),
            detail: None,
        }
    }

    /// A row about an alert.
    pub fn of_alert(alert: &Alert, at: Timestamp, kind: HistoryKind) -> Self {
        Self {
            rule_uid: alert.rule_uid.to_string(),
            rule: alert.rule.to_string(),
            fingerprint: Some(alert.fingerprint),
            severity: Some(alert.severity),
            labels: alert.labels.clone(),
            ..Self::new(at, kind)
        }
    }
}

/// A row of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// Its number; later rows have larger ones.
    pub number: u64,
    /// What happened.
    pub event: NewHistory,
}

impl HistoryRow {
    /// Its place in the order of the history.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.event.at, number: self.number }
    }
}

/// A place in the history: time first, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Time of the row.
    pub at: Timestamp,
    /// Its number.
    pub number: u64,
}

/// A limit on severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeverityFilter {
    /// This or worse.
    AtLeast(Severity),
    /// Just this.
    Is(Severity),
}

/// Why a matcher cannot be used.
#[derive(Debug, Error)]
pub enum MatchError {
    /// The expression is wrong or too large.
    #[error("the regular expression for label {label:?}: {source}")]
    Regex {
        /// The label.
        label: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// The expression is too long.
    #[error("the regular expression for label {label:?} has {len} bytes, at most {REGEX_LEN_MAX} are allowed")]
    Long {
        /// The label.
        label: String,
        /// Its length.
        len: usize,
    },
}

/// A condition on one label; a label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct LabelMatch {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl LabelMatch {
    /// Compiles the condition.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatchError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches if value.len() > REGEX_LEN_MAX => {
                return Err(MatchError::Long { label: name.to_owned(), len: value.len() });
            }
            MatchOp::Matches | MatchOp::NotMatches => {
                let regex = RegexBuilder::new(&format!("^(?s:{value})$")).size_limit(REGEX_SIZE_MAX).build();
                Some(regex.map_err(|e| MatchError::Regex { label: name.to_owned(), source: Box::new(e) })?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// The condition of a matcher.
    pub fn of(matcher: &LabelMatcher) -> Result<Self, MatchError> {
        Self::new(&matcher.name, matcher.op, &matcher.value)
    }

    fn holds(&self, labels: &Labels) -> bool {
        let found = labels.get(&self.name).unwrap_or("");
        let same = self.regex.as_ref().map_or_else(|| found == self.value, |regex| regex.is_match(found));
        same == matches!(self.op, MatchOp::Equal | MatchOp::Matches)
    }
}

/// What to look for in the history; the default is everything.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Uid or name of the rule.
    pub rule: Option<String>,
    /// How bad.
    pub severity: Option<SeverityFilter>,
    /// Conditions on labels, all of which must hold.
    pub matchers: Vec<LabelMatch>,
    /// Of one handler.
    pub handler: Option<String>,
    /// Any of these; none for all but [`HistoryKind::Evaluated`], of which there are many.
    pub kinds: Vec<HistoryKind>,
    /// Of one alert.
    pub fingerprint: Option<Fingerprint>,
    /// Rows of the page, at most [`super::PAGE_ROWS_MAX`]; 0 asks for that.
    pub limit: usize,
    /// Only rows older than this place: the next page.
    pub before: Option<Cursor>,
    /// Only rows newer than this place, those next to it: the page before.
    pub after: Option<Cursor>,
}

impl HistoryQuery {
    /// Rows of a page.
    pub(super) fn rows(&self) -> usize {
        if self.limit == 0 { super::PAGE_ROWS_MAX } else { self.limit.min(super::PAGE_ROWS_MAX) }
    }

    /// Whether the page is filled from its old end.
    pub(super) fn upward(&self) -> bool {
        self.after.is_some() && self.before.is_none()
    }

    /// Where rows that are asked for may be.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let asked = |part: &Part| match self.kinds.is_empty() {
            true => *part == Part::Events,
            false => self.kinds.iter().any(|kind| Part::of(*kind) == *part),
        };
        Part::ALL.into_iter().filter(asked)
    }

    /// Whether a row of a kind is in one of these parts.
    pub(super) fn looks_at(&self, kind: HistoryKind) -> bool {
        self.parts().any(|part| part == Part::of(kind))
    }

    /// Whether a place is inside the times and cursors.
    pub(super) fn spans(&self, at: Cursor) -> bool {
        self.from.is_none_or(|from| at.at >= from)
            && self.to.is_none_or(|to| at.at < to)
            && self.before.is_none_or(|before| at < before)
            && self.after.is_none_or(|after| at > after)
    }

    /// Whether a row is asked for, apart from its place.
    pub(super) fn wants(&self, event: &NewHistory) -> bool {
        self.looks_at(event.kind)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.rule.as_ref().is_none_or(|rule| *rule == event.rule_uid || *rule == event.rule)
            && match self.severity {
                None => true,
                Some(SeverityFilter::AtLeast(least)) => event.severity.is_some_and(|severity| severity >= least),
                Some(SeverityFilter::Is(this)) => event.severity == Some(this),
            }
            && (self.handler.is_none() || self.handler == event.handler)
            && (self.fingerprint.is_none() || self.fingerprint == event.fingerprint)
            && self.matchers.iter().all(|matcher| matcher.holds(&event.labels))
    }
}

/// One page of the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryPage {
    /// Newest first.
    pub rows: Vec<HistoryRow>,
    /// Where to go on in the same direction, as `before` (or as `after` if that was given); none at the end.
    pub next: Option<Cursor>,
    /// Rows looked at.
    pub scanned: u64,
    /// Whether the search ended early because [`super::SCANNED_ROWS_MAX`] rows were looked at.
    pub cut: bool,
    /// Rows that could not be used because they are damaged.
    pub damaged: u64,
}
