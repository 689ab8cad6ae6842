//! What HTTP asks of the app about what is kept: silences, the outbox, the history.
//!
//! All methods may block.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ApiError;
use crate::model::{Alert, Fingerprint, Severity, Timestamp};

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

    /// The pending and firing alerts that a silence with these matchers would cover.
    fn covered(&self, matchers: &[String]) -> Result<Vec<Alert>, ApiError>;

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
}

impl Default for SilenceQuery {
    fn default() -> Self {
        Self { filter: Vec::new(), active: true, pending: true, expired: true }
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

/// A silence as it is posted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedSilence {
    /// The one to change; none or empty for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// All of them must fit.
    pub matchers: Vec<Matcher>,
    /// From here.
    pub starts_at: Timestamp,
    /// To here.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
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
    /// All of them must fit.
    pub matchers: Vec<Matcher>,
    /// From here.
    pub starts_at: Timestamp,
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
    /// Why nothing can be stored, while that is so.
    pub trouble: Option<String>,
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
