//! What HTTP asks of the app about what is kept: silences, the outbox, the history.
//!
//! All methods may block.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::ApiError;
use crate::model::{Alert, Fingerprint, LabelMatcher, Severity, Timestamp};

/// Silences, outbox and history, seen from HTTP.
pub trait Records: Send + Sync + 'static {
    /// Silences, those in force first.
    fn silences(&self, query: &SilenceQuery) -> Result<Vec<SilenceView>, ApiError>;

    /// One silence.
    fn silence(&self, id: &str) -> Result<SilenceView, ApiError>;

    /// Makes or changes a silence; its id. It is on the disk when this returns.
    fn put_silence(&self, posted: PostedSilence) -> Result<String, ApiError>;

    /// Ends a silence; one that is over stays as it is.
    fn expire_silence(&self, id: &str) -> Result<(), ApiError>;

    /// The silence that would be made, or why it would not; nothing is changed.
    fn try_silence(&self, posted: PostedSilence) -> Result<SilenceView, ApiError>;

    /// What a silence with these sets of matchers would hide, and would have hidden in the last seven days.
    fn preview(&self, sets: &[Vec<LabelMatcher>]) -> Result<Preview, ApiError>;

    /// For each of the alerts the ids of the silences that hide it now.
    fn hidden(&self, alerts: &[&Alert]) -> Vec<Vec<String>>;

    /// Notices in the outbox: `{"notices":[…],"next":…}`.
    fn outbox(&self, query: &OutboxQuery) -> Result<Value, ApiError>;

    /// Makes dead notices wait again: `{"retried":[ids]}`.
    fn retry_notices(&self, chosen: &Chosen) -> Result<Value, ApiError>;

    /// Removes notices undelivered: `{"dropped":[ids],"under_way":[ids]}`.
    fn drop_notices(&self, chosen: &Chosen) -> Result<Value, ApiError>;

    /// One page of the history, newest first.
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ApiError>;

    /// Why an alert was told or not at an instant: `HighCPU{host="a"}`.
    fn why(&self, alert: &str, at: Timestamp) -> Result<Value, ApiError>;

    /// Where an alert with these labels would go: `{severity="critical"}`.
    fn route(&self, labels: &str, at: Option<Timestamp>) -> Result<Value, ApiError>;

    /// Who is on duty at an instant in every rotation, and who comes next: `{"at":…,"rotations":[…]}`.
    fn rotations(&self, at: Timestamp) -> Value;

    /// How what is kept stands, for the page.
    fn standing(&self) -> Standing;
}

/// `GET /api/v2/silences`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceQuery {
    /// Matchers as typed: the silence's own matchers must fit them.
    pub filter: Vec<String>,
    /// Those in force.
    pub active: bool,
    /// Those yet to begin.
    pub pending: bool,
    /// Those that are over.
    pub expired: bool,
    /// Those of these people alone; none for all.
    pub creators: Vec<String>,
    /// Whether it is told how many alerts each hides now.
    pub hiding: bool,
}

impl Default for SilenceQuery {
    fn default() -> Self {
        Self { filter: Vec::new(), active: true, pending: true, expired: true, creators: Vec::new(), hiding: false }
    }
}

/// A matcher as Alertmanager writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// The value or pattern.
    pub value: String,
    /// Whether the value is a regular expression.
    #[serde(default)]
    pub is_regex: bool,
    /// Whether it must fit, and not must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

const fn yes() -> bool {
    true
}

/// A set of matchers: `{"matchers":[…]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatcherSet {
    /// All of them must fit.
    pub matchers: Vec<Matcher>,
}

/// Windows that come again, as people write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// When they begin, by cron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// When they begin, by a rule of RFC 5545.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrule: Option<String>,
    /// The local time at which the rule begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtstart: Option<String>,
    /// How long each of them lasts.
    pub duration: String,
    /// In whose local time; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// A silence as it is posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedSilence {
    /// The one to change; none or empty for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// All of them must fit.
    #[serde(default)]
    pub matchers: Vec<Matcher>,
    /// Sets of which one must fit; `matchers` is empty then, or the first of them.
    #[serde(default)]
    pub matcher_sets: Option<Vec<MatcherSet>>,
    /// From here.
    pub starts_at: Timestamp,
    /// To here.
    pub ends_at: Timestamp,
    /// In these windows alone. Where it is not there, a silence that is changed keeps its own; `null` takes them away.
    #[serde(default, deserialize_with = "given")]
    pub recurrence: Option<Option<Recurring>>,
    /// What else is said of it; a silence that is changed keeps its own where this is not there.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// What is there, `null` included, apart from what is not.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Recurring>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A silence as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceView {
    /// Identity.
    pub id: String,
    /// Where it stands in time.
    pub status: SilenceStatus,
    /// When it was made or changed last.
    pub updated_at: Timestamp,
    /// Why.
    pub comment: String,
    /// Who made it.
    pub created_by: String,
    /// To here.
    pub ends_at: Timestamp,
    /// All of them must fit; the first set where there are several.
    pub matchers: Vec<Matcher>,
    /// From here.
    pub starts_at: Timestamp,
    /// What else is said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The sets of which one must fit, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matcher_sets: Vec<MatcherSet>,
    /// In these windows alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurring>,
    /// Of a recurring one: the window of now, else the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<SilenceWindow>,
    /// How often it kept a handler from being told of an alert.
    pub held: u64,
    /// How many pending and firing alerts it hides now, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hides: Option<usize>,
    /// Its matchers as people type them, or its sets.
    #[serde(skip)]
    pub shown: Vec<String>,
}

impl SilenceView {
    /// One of which nothing is known.
    pub(super) fn empty(now: Timestamp) -> Self {
        Self {
            id: String::new(),
            status: SilenceStatus { state: "pending" },
            updated_at: now,
            comment: String::new(),
            created_by: String::new(),
            ends_at: now,
            matchers: Vec::new(),
            starts_at: now,
            annotations: BTreeMap::new(),
            matcher_sets: Vec::new(),
            recurrence: None,
            window: None,
            held: 0,
            hides: None,
            shown: Vec::new(),
        }
    }
}

/// A time without a break for which a recurring silence is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceWindow {
    /// From here.
    pub starts_at: Timestamp,
    /// To here.
    pub ends_at: Timestamp,
}

/// What a silence would hide.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The pending and firing alerts of now.
    pub alerts: Vec<Alert>,
    /// What it would have hidden.
    pub past: Past,
}

/// What a silence would have hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Past {
    /// Since then.
    pub from: Timestamp,
    /// Alerts that fired.
    pub alerts: u64,
    /// How often they fired.
    pub episodes: u64,
    /// Messages about them that were sent.
    pub notices: u64,
    /// Whether `from` is seven days ago; otherwise there was too much to look at.
    pub complete: bool,
    /// The rules that fired most often.
    pub rules: Vec<PastRule>,
}

/// How often a rule fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRule {
    /// Its name.
    pub name: String,
    /// How often.
    pub episodes: u64,
}

/// `{"state":"active"}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SilenceStatus {
    /// `pending`, `active` or `expired`.
    pub state: &'static str,
}

/// `GET /api/v1/outbox`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxQuery {
    /// Of one handler.
    pub handler: Option<String>,
    /// `pending` or `dead`.
    pub state: Option<String>,
    /// Most rows.
    pub limit: usize,
    /// Behind this position.
    pub after: Option<u64>,
}

/// Which notices: these, or all of one handler in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// By id.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Of one handler.
    #[serde(default)]
    pub handler: Option<String>,
    /// With `handler`: `dead`, which is the default, or `pending`.
    #[serde(default)]
    pub state: Option<String>,
}

/// `GET /api/v1/history`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Name or uid of the rule.
    pub rule: Option<String>,
    /// This severity, and whether worse ones are meant too.
    pub severity: Option<(Severity, bool)>,
    /// The handler.
    pub handler: Option<String>,
    /// Kinds by name; none for all.
    pub kinds: Vec<String>,
    /// Matchers of labels, as typed.
    pub matchers: Vec<String>,
    /// The alert.
    pub fingerprint: Option<Fingerprint>,
    /// Most rows.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One page of the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryPage {
    /// Rows as JSON objects, newest first.
    pub events: Vec<Value>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
    /// Whether the search stopped early because so many rows were looked at; `next` goes on.
    pub cut: bool,
}

/// How what is kept stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Silences in force.
    pub silences: usize,
    /// Every handler.
    pub handlers: Vec<HandlerStanding>,
    /// Who is on duty, in the order of the files.
    pub on_duty: Vec<OnDuty>,
    /// Why nothing can be stored, while that is so.
    pub trouble: Option<String>,
    /// Where the state is and by which name this process goes there, where several share it.
    pub replica: Option<String>,
}

/// Who is on duty in a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDuty {
    /// Its name.
    pub rotation: String,
    /// The handler.
    pub handler: String,
    /// Until when; `None`: for good.
    pub until: Option<Timestamp>,
    /// Who then.
    pub next: Option<String>,
}

/// A handler's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlerStanding {
    /// Its name.
    pub name: String,
    /// Notices that wait.
    pub waiting: usize,
    /// Age of the oldest.
    pub oldest: std::time::Duration,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// Notices that were given up and are kept.
    pub dead: u64,
}
