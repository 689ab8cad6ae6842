//! What HTTP asks of the app, and the values it gets.
//!
//! All methods are synchronous and are called on threads that may block, except [`Api::now`],
//! [`Api::shedding`], [`Api::admits`], [`Api::waits`] and [`Api::refused`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::acks::Acks;
use super::alerting::Alerting;
use super::body::ALL_BODIES_BYTES_MAX;
use super::error::ApiError;
use super::records::Records;
use crate::model::{Alert, AlertState, Fingerprint, Labels, Muting, Point, SampleValue, SeriesPoints, Timestamp};

/// What keeps alerts from being told, by the uids of their rules and their fingerprints.
pub type Mutings = BTreeMap<(Arc<str>, Fingerprint), Muting>;

/// The app, seen from HTTP.
pub trait Api: Acks + Records + Alerting {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Whether the process does its work; must not block.
    fn ready(&self) -> Readiness;

    /// Reads rules, handlers and configuration again; the error says what was wrong (then the old ones stay).
    fn reload(&self) -> Result<(), ApiError>;

    /// The process's own metrics: content type and text for an `Accept` header.
    fn metrics(&self, accept: Option<&str>) -> (&'static str, String);

    /// Takes samples from a body.
    fn import(&self, format: ImportFormat, body: &[u8]) -> Result<Imported, ApiError>;

    /// Takes an unpacked message of remote write; an error means that nothing of it was taken.
    fn remote_write(&self, format: WriteFormat, message: &[u8]) -> Result<Written, ApiError>;

    /// Evaluates PromQL at one instant.
    fn query(&self, query: &InstantQuery) -> Result<Answered, ApiError>;

    /// Evaluates PromQL at every step of a range; the answer is a matrix.
    fn query_range(&self, query: &RangeQuery) -> Result<Answered, ApiError>;

    /// A query in its canonical form.
    fn format_query(&self, query: &str) -> Result<String, ApiError>;

    /// The newest sample of each series that one of the selectors matches, labelled for a Prometheus that federates.
    fn federate(&self, selectors: &[String]) -> Result<Vec<(Labels, Point)>, ApiError>;

    /// For each of the label sets, whether one of the selectors matches it.
    fn matches(&self, selectors: &[String], labels: &[Labels]) -> Result<Vec<bool>, ApiError>;

    /// What `/api/v1/status/runtimeinfo`, `…/flags` and `…/config` tell; free of secrets.
    fn about(&self, what: &str) -> Option<serde_json::Value>;

    /// The label sets of series that match one of the selectors, sorted.
    fn series(&self, query: &SeriesQuery) -> Result<Vec<Labels>, ApiError>;

    /// Names of labels of those series.
    fn label_names(&self, query: &SeriesQuery) -> Result<BTreeSet<String>, ApiError> {
        Ok(self.series(query)?.iter().flat_map(|labels| labels.iter()).map(|(name, _)| name.to_owned()).collect())
    }

    /// Values of one label of those series.
    fn label_values(&self, name: &str, query: &SeriesQuery) -> Result<BTreeSet<String>, ApiError> {
        Ok(self.series(query)?.iter().filter_map(|labels| labels.get(name)).map(str::to_owned).collect())
    }

    /// What is known about metrics, by name.
    fn metadata(&self) -> BTreeMap<String, MetricAbout> {
        BTreeMap::new()
    }

    /// A job pings; when that was, or why not.
    fn beat(&self, name: &str) -> Result<Timestamp, ApiError>;

    /// Jobs that ping, and when they did last.
    fn beats(&self) -> Vec<(String, Timestamp)>;

    /// Forgets a job.
    fn forget_beat(&self, name: &str) -> Result<(), ApiError>;

    /// All rules with their alerts, in the order of the files.
    fn groups(&self) -> Vec<GroupView>;

    /// What keeps pending and firing alerts from being told now; those that nothing does are not in it.
    fn mutings(&self) -> Mutings {
        Mutings::new()
    }

    /// Alerts that other programs report, and that fire.
    fn received(&self) -> Vec<Alert> {
        Vec::new()
    }

    /// What `GET /api/v1/status` tells; free of secrets.
    fn status(&self) -> serde_json::Value;

    /// What is turned away for want of memory; must not block.
    fn shedding(&self) -> Shedding {
        Shedding::None
    }

    /// Why this process neither decides nor tells, where another one does; must not block.
    fn waits(&self) -> Option<String> {
        None
    }

    /// Whether there is memory for a request that brings so many bytes of samples, which then count as brought; must
    /// not block.
    fn admits(&self, _bytes: u64) -> bool {
        true
    }

    /// Bytes that the bodies of requests may take together; asked once.
    fn bodies_bytes_max(&self) -> usize {
        ALL_BODIES_BYTES_MAX
    }

    /// Counts a request that was refused, by its class and the reason; must not block.
    fn refused(&self, class: &'static str, reason: &'static str);
}

/// What is turned away for want of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shedding {
    /// Nothing.
    #[default]
    None,
    /// Samples.
    Ingest,
    /// What people ask, too.
    All,
}

/// What a scraped target says about one of its metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricAbout {
    /// `counter`, `gauge`, `histogram`, `summary` or `unknown`.
    pub kind: String,
    /// Help text.
    pub help: String,
    /// Unit; empty where none is given.
    pub unit: String,
}

/// Whether the process does its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether alerts are evaluated and delivered.
    pub ready: bool,
    /// What is wrong, or degraded while it is ready; free of secrets.
    pub reasons: Vec<String>,
}

/// What an imported body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// Prometheus text or OpenMetrics.
    Prometheus {
        /// OpenMetrics, as the content type says.
        open_metrics: bool,
    },
    /// One JSON object per line.
    JsonLines,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples taken.
    pub samples: u64,
    /// Lines or samples refused.
    pub rejected: u64,
    /// Whether all of these may be taken later.
    pub again: bool,
    /// Why, for the first of them.
    pub errors: Vec<String>,
}

/// Which message of remote write a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFormat {
    /// `prometheus.WriteRequest`, of remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`, of remote write 2.0.
    V2,
}

/// What became of a remote write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples taken, those that were there already included.
    pub samples: u64,
    /// Native histograms taken.
    pub histograms: u64,
    /// Exemplars taken.
    pub exemplars: u64,
    /// Samples and histograms that were not taken.
    pub refused: u64,
    /// Whether some of these may be taken if all is sent again.
    pub again: bool,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
}

/// `/api/v1/query`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstantQuery {
    /// PromQL.
    pub query: String,
    /// When.
    pub time: Timestamp,
    /// How long it may take.
    pub timeout: Duration,
    /// Most series of the answer; 0 is no limit.
    pub limit: usize,
    /// How old the newest sample of a series may be; `None`: as rules have it.
    pub lookback: Option<Duration>,
    /// Whether it is told what the query cost.
    pub stats: bool,
}

/// `/api/v1/query_range`; at most [`super::params::POINTS_MAX`] steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// PromQL.
    pub query: String,
    /// First instant.
    pub start: Timestamp,
    /// Last instant at most.
    pub end: Timestamp,
    /// From instant to instant; not zero.
    pub step: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// Most series of the answer; 0 is no limit.
    pub limit: usize,
    /// How old the newest sample of a series may be; `None`: as rules have it.
    pub lookback: Option<Duration>,
    /// Whether it is told what the query cost.
    pub stats: bool,
}

/// `/api/v1/series`, `/labels`, `/label/…/values`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Selectors as written (`match[]`); none stands for all series.
    pub selectors: Vec<String>,
    /// Series with samples from here.
    pub start: Timestamp,
    /// To here.
    pub end: Timestamp,
    /// Most entries of the answer; 0 is no limit.
    pub limit: usize,
}

/// What a query gives, and what is said beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The value.
    pub value: Answer,
    /// What is probably not meant so.
    pub warnings: Vec<String>,
    /// What is worth knowing.
    pub infos: Vec<String>,
    /// What it cost, where that was asked for.
    pub stats: Option<QueryStats>,
}

impl From<Answer> for Answered {
    fn from(value: Answer) -> Self {
        Self { value, warnings: Vec::new(), infos: Vec::new(), stats: None }
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Time of the evaluation.
    pub took: Duration,
    /// Samples read.
    pub samples: usize,
}

/// What a query gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A number without labels.
    Scalar(Point),
    /// A text.
    Text(Timestamp, String),
    /// One sample per series, at the instant.
    Vector(Timestamp, Vec<(Labels, SampleValue)>),
    /// Points per series.
    Matrix(Vec<SeriesPoints>),
}

/// A rule group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Name.
    pub name: Arc<str>,
    /// File.
    pub file: Arc<str>,
    /// Time between evaluations.
    pub interval: Duration,
    /// Most series or alerts of a rule; 0 is no limit.
    pub limit: usize,
    /// When it was last evaluated.
    pub last_evaluation: Option<Timestamp>,
    /// How long that took.
    pub evaluation_time: Duration,
    /// Its rules in order.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// Name.
    pub name: Arc<str>,
    /// Stable identity.
    pub uid: Arc<str>,
    /// Whether it records a series instead of alerting.
    pub recording: bool,
    /// The condition as PromQL or as written.
    pub query: Arc<str>,
    /// `for`
    pub hold: Duration,
    /// `keep_firing_for`
    pub keep_firing_for: Duration,
    /// Labels of the rule.
    pub labels: Labels,
    /// Annotations before expansion.
    pub annotations: Labels,
    /// State: the greatest of its alerts.
    pub state: AlertState,
    /// Why the last evaluation failed.
    pub last_error: Option<String>,
    /// When it was last evaluated; none before the first time.
    pub last_evaluation: Option<Timestamp>,
    /// Whether that was in this process.
    pub evaluated_here: bool,
    /// How long that took.
    pub evaluation_time: Duration,
    /// Its pending and firing alerts.
    pub alerts: Vec<Alert>,
    /// Line of the rule in the group's file.
    pub line: u32,
}
