//! Unit-test files as promtool has them: read into a model, with the place of everything that can be wrong.
//!
//! Place in the flow: `app::unit_tests` finds and runs them. Nothing here reads a file or evaluates. A unit-test file is
//! known by its top keys; a rule file whose rules have `tests` is none.

pub mod keys;
pub mod mutants;
mod notice_keys;
mod notices;
mod read;
mod silences;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Query;
use crate::diag::SourceFile;
use crate::model::{AlertState, Histogram, Labels, SampleValue, Timestamp};
use crate::yaml::Node;

pub use notices::{Given, NoticeAlert, NoticeTest, NoticeTests, TestAck};
pub use read::{ReadOptions, read};
pub use silences::TestSilence;

/// Most values of all series of a test group.
pub const VALUES_MAX: usize = 2_000_000;

/// A unit-test file.
#[derive(Clone, Debug)]
pub struct UnitTestFile {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Rule files and patterns as written, and where.
    pub rule_files: Vec<(String, Range<usize>)>,
    /// How often rules are evaluated.
    pub evaluation_interval: Duration,
    /// Whether values may differ in their last bit.
    pub fuzzy_compare: bool,
    /// Groups by the place in the order of evaluation.
    pub group_eval_order: Vec<String>,
    /// Whether groups are evaluated at their own interval.
    pub respect_intervals: bool,
    /// The test groups.
    pub tests: Vec<TestGroup>,
}

/// Input series and what is to come of them.
#[derive(Clone, Debug)]
pub struct TestGroup {
    /// Its name, or `test N`.
    pub name: String,
    /// Whether the name was given.
    pub named: bool,
    /// Where it stands.
    pub span: Range<usize>,
    /// Distance of the values.
    pub interval: Duration,
    /// When the series begin.
    pub start: Timestamp,
    /// Whether that was given.
    pub start_given: bool,
    /// The series, each once.
    pub series: Vec<InputSeries>,
    /// Tests of alerts.
    pub alerts: Vec<AlertTest>,
    /// Tests of queries.
    pub queries: Vec<QueryTest>,
    /// What people are to be told.
    pub notices: NoticeTests,
    /// `external_labels`
    pub external_labels: Labels,
    /// `external_url`
    pub external_url: String,
}

/// A series and its values; `None` is a gap.
#[derive(Clone, Debug)]
pub struct InputSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its values.
    pub values: Vec<Option<SampleValue>>,
}

/// The alerts of one name at one instant.
#[derive(Clone, Debug)]
pub struct AlertTest {
    /// Where it stands.
    pub span: Range<usize>,
    /// The instant, since the start.
    pub at: Duration,
    /// The name of the rule.
    pub alert: String,
    /// Where the name stands.
    pub alert_span: Range<usize>,
    /// The only group that is looked at.
    pub group: Option<String>,
    /// Whether labels and annotations that are not given are not compared.
    pub subset: bool,
    /// All alerts that are to be there.
    pub expected: Vec<ExpectedState>,
}

/// An alert that is to be there.
#[derive(Clone, Debug)]
pub struct ExpectedState {
    /// Where it stands.
    pub span: Range<usize>,
    /// Its labels, `alertname` included.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its state; inactive is resolved.
    pub state: AlertState,
    /// Its value.
    pub value: Option<f64>,
    /// When its condition began to hold, since the start.
    pub active_at: Option<Duration>,
    /// When it resolved, since the start.
    pub resolved_at: Option<Duration>,
}

/// A query and its result.
#[derive(Clone, Debug)]
pub struct QueryTest {
    /// Where it stands.
    pub span: Range<usize>,
    /// The query.
    pub query: Query,
    /// The instant, since the start.
    pub at: Duration,
    /// The whole result.
    pub expected: Vec<ExpectedSample>,
}

/// One series of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedSample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its histogram.
    pub histogram: Option<Arc<Histogram>>,
}

impl TestGroup {
    /// The last instant at which a test looks at alerts or asks a query, since the start.
    pub fn end(&self) -> Duration {
        let alerts = self.alerts.iter().map(|t| t.at);
        alerts.chain(self.queries.iter().map(|t| t.at)).max().unwrap_or_default()
    }
}

/// Whether a tree is that of a unit-test file: it has `tests`, or the order of groups, and no rules of its own.
pub fn is_unit_test(root: &Node) -> bool {
    let has = |key| root.entry(key).is_some();
    !has("rules") && !has("groups") && (has("tests") || has("group_eval_order") || has("fuzzy_compare"))
}

/// Whether a tree that was named as a test can be one: what is set up for tests and has none counts too.
pub fn may_be_unit_test(root: &Node) -> bool {
    let has = |key| root.entry(key).is_some();
    is_unit_test(root) || (!has("rules") && !has("groups") && has("rule_files"))
}
