//! One rule, whatever dialect it was written in.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::detect::AnomalyConfig;
use crate::model::{AlertState, EscalationStep, Labels, Origin, Severity};
use crate::promql::{CompareOp, Expr, Plan};
use crate::schedule::{MuteTimes, Schedule};
use crate::template::Template;

/// A query with the text it was written in and the plan it was compiled to.
#[derive(Clone, Debug)]
pub struct Query {
    /// PromQL; for the `metric` form the PromQL it stands for.
    pub text: Arc<str>,
    /// The compiled form.
    pub plan: Arc<LazyPlan>,
    /// The text as a tree, where whoever loads the rules looks at them as written.
    pub expr: Option<Arc<Expr>>,
}

/// A plan that may be made when it is first asked for: checks look at trees, and most of them at no plan.
pub type LazyPlan = LazyLock<Plan, Box<dyn FnOnce() -> Plan + Send>>;

impl Query {
    /// A query, ready to be evaluated.
    pub fn new(text: Arc<str>, expr: &Expr) -> Self {
        let plan = Plan::new(expr);
        let plan: LazyPlan = LazyLock::new(Box::new(move || plan));
        LazyLock::force(&plan);
        Self { text, plan: Arc::new(plan), expr: None }
    }

    /// A query that keeps its tree; its plan is made when it is asked for.
    pub fn keeping(text: Arc<str>, expr: Expr) -> Self {
        let expr = Arc::new(expr);
        let tree = Arc::clone(&expr);
        Self { text, plan: Arc::new(LazyLock::new(Box::new(move || Plan::new(&tree)))), expr: Some(expr) }
    }

    /// The left side of a final comparison with a constant, with that comparison.
    pub(super) fn split(&self) -> Option<(Self, CompareOp, f64)> {
        let (op, limit) = match &self.expr {
            Some(expr) => expr.comparison().map(|(_, op, limit)| (op, limit))?,
            None => self.plan.split_comparison().map(|(_, op, limit)| (op, limit))?,
        };
        let whole = Arc::clone(&self.plan);
        let side = move || whole.split_comparison().map_or_else(|| Plan::clone(&whole), |(plan, ..)| plan);
        let plan: LazyPlan = LazyLock::new(Box::new(side));
        if self.expr.is_none() {
            LazyLock::force(&plan);
        }
        Some((Self { plan: Arc::new(plan), ..self.clone() }, op, limit))
    }
}

/// A comparison of a signal with constants: `> 80`, `outside 10..90`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// `> x`
    Above(f64),
    /// `>= x`
    AtLeast(f64),
    /// `< x`
    Below(f64),
    /// `<= x`
    AtMost(f64),
    /// `== x`
    Equals(f64),
    /// `!= x`
    Differs(f64),
    /// `outside low..high`: below low or above high
    Outside(f64, f64),
    /// `inside low..high`: both ends included
    Inside(f64, f64),
}

impl Threshold {
    /// Whether a value satisfies the comparison. NaN satisfies only `!=`, as IEEE 754 and PromQL have it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(x) => value > x,
            Self::AtLeast(x) => value >= x,
            Self::Below(x) => value < x,
            Self::AtMost(x) => value <= x,
            Self::Equals(x) => value == x,
            Self::Differs(x) => value != x,
            Self::Outside(low, high) => value < low || value > high,
            Self::Inside(low, high) => value >= low && value <= high,
        }
    }

    /// The limit a value is drawn against: of a range, the end nearer to the value.
    pub fn limit_for(self, value: f64) -> f64 {
        match self {
            Self::Above(x)
            | Self::AtLeast(x)
            | Self::Below(x)
            | Self::AtMost(x)
            | Self::Equals(x)
            | Self::Differs(x) => x,
            Self::Outside(low, high) | Self::Inside(low, high) => {
                if (value - low).abs() <= (value - high).abs() {
                    low
                } else {
                    high
                }
            }
        }
    }

    /// Of two values, the one further into the condition: what "peak" means for this comparison.
    pub fn worse(self, a: f64, b: f64) -> f64 {
        if a.is_nan() {
            return b;
        }
        if b.is_nan() {
            return a;
        }
        match self {
            Self::Above(_) | Self::AtLeast(_) => a.max(b),
            Self::Below(_) | Self::AtMost(_) => a.min(b),
            Self::Equals(_) => a,
            Self::Differs(x) => {
                if (a - x).abs() >= (b - x).abs() {
                    a
                } else {
                    b
                }
            }
            Self::Outside(low, high) => {
                let beyond = |v: f64| (low - v).max(v - high);
                if beyond(a) >= beyond(b) { a } else { b }
            }
            Self::Inside(low, high) => {
                let middle = low + (high - low) / 2.0;
                if (a - middle).abs() <= (b - middle).abs() { a } else { b }
            }
        }
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Above(x) => write!(f, "> {x}"),
            Self::AtLeast(x) => write!(f, ">= {x}"),
            Self::Below(x) => write!(f, "< {x}"),
            Self::AtMost(x) => write!(f, "<= {x}"),
            Self::Equals(x) => write!(f, "== {x}"),
            Self::Differs(x) => write!(f, "!= {x}"),
            Self::Outside(low, high) => write!(f, "outside {low}..{high}"),
            Self::Inside(low, high) => write!(f, "inside {low}..{high}"),
        }
    }
}

/// One level of a threshold rule. A rule with plain `threshold` has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The severity while this level holds.
    pub severity: Severity,
    /// When it holds.
    pub threshold: Threshold,
    /// While at this level, it is left only when this holds; without it, when `threshold` no longer does.
    pub recover: Option<Threshold>,
}

/// An evalexpr expression, compiled once; its variables are the rule's query names.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As written.
    pub text: Arc<str>,
    /// Compiled.
    pub tree: Arc<evalexpr::Node>,
}

/// What makes a rule fire.
#[derive(Clone, Debug)]
pub enum Condition {
    /// A signal compared with constants, at one or several levels (least severe first).
    Threshold {
        /// Gives the value of each series.
        signal: Query,
        /// At least one.
        levels: Vec<Level>,
    },
    /// A boolean expression over named queries, joined on equal label sets.
    Expression {
        /// Name and query, in file order.
        queries: Vec<(Arc<str>, Query)>,
        /// True makes it fire.
        when: Expression,
        /// While firing, it resolves only when this is true.
        recover_when: Option<Expression>,
        /// What `$value` shows; without it the first query.
        value: Option<Expression>,
    },
    /// PromQL alone: every sample of the result is an alert.
    PromQl {
        /// The condition.
        query: Query,
        /// The left side of a final comparison with a constant, where the condition is one: shown in messages, never
        /// used to decide.
        signal: Option<(Query, Threshold)>,
        /// While firing, an alert resolves only when this yields a sample with its labels.
        recover: Option<Query>,
    },
    /// A detector over each series of a signal.
    Anomaly {
        /// Gives the value of each series.
        signal: Query,
        /// The detector and its settings.
        detector: AnomalyConfig,
    },
    /// No alert at all: the result becomes series with the rule's name.
    Record {
        /// What is recorded.
        query: Query,
    },
}

/// What to do when there is no data, or an evaluation fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnMissing {
    /// Hold the state.
    #[default]
    Keep,
    /// Count as the condition holding.
    Fire,
    /// Count as recovered.
    Resolve,
}

/// A group of a Prometheus rule file: its rules are evaluated in order, at one instant. They stand beside one another
/// in what was loaded ([`groups`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name, unique in its file.
    pub name: Arc<str>,
    /// Where its name stands.
    pub origin: Origin,
    /// How often it is evaluated.
    pub interval: Duration,
    /// Whether the file says so; else it is the server's interval.
    pub interval_given: bool,
    /// How far before its slot it reads, and writes what it records.
    pub query_offset: Duration,
    /// Most series of a recording rule and most alerts of an alerting rule; `None`: no limit.
    pub limit: Option<usize>,
}

/// The groups of rules that were loaded, with the places of their rules, in file order. Rules of alertd's own files
/// belong to none.
pub fn groups(rules: &[Rule]) -> Vec<(Arc<Group>, std::ops::Range<usize>)> {
    let mut groups: Vec<(Arc<Group>, std::ops::Range<usize>)> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let Some(group) = &rule.group else { continue };
        match groups.last_mut() {
            Some((last, range)) if Arc::ptr_eq(last, group) && range.end == place => range.end += 1,
            _ => groups.push((Arc::clone(group), place..place + 1)),
        }
    }
    groups
}

/// When an alert flaps: how often it rises or falls, and in which time; and when that is over. It rises when it begins to
/// fire or gets worse, and falls when it gets less bad or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// Changes, at most [`FLAPPING_CHANGES_MAX`].
    pub changes: usize,
    /// In this time.
    pub window: Duration,
    /// It is over when the condition was false for as long as this, and less bad when it was that for as long.
    pub quiet: Duration,
}

/// Most changes that are counted.
pub const FLAPPING_CHANGES_MAX: usize = 100;
/// Longest time in which they are counted, and longest time that it has to be quiet: for so long is an alert kept.
pub const FLAPPING_SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Default for Flapping {
    /// The third time that it fires within half an hour: with the usual waits of a group that is found before a second
    /// message is due.
    fn default() -> Self {
        Self { changes: 5, window: Duration::from_secs(30 * 60), quiet: Duration::from_secs(15 * 60) }
    }
}

/// A rule, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Identity of the rule's state: `uid:` where given, otherwise group and name (and labels, where rules of a group
    /// share a name). The file is no part of it.
    pub uid: Arc<str>,
    /// The uid that it had before, whose state it takes over.
    pub renamed_from: Option<Arc<str>>,
    /// The uid that it had, or will have, when another rule of its group has the same name, or no longer has it.
    pub also_known_as: Option<Arc<str>>,
    /// The rule's name, which is also the label `alertname`; of a recording rule the name of the recorded series.
    pub name: Arc<str>,
    /// Its group, where it stands in a Prometheus rule file.
    pub group: Option<Arc<Group>>,
    /// Whether it belongs to alertd itself: its alerts are not written as series.
    pub internal: bool,
    /// Where its name stands.
    pub origin: Origin,
    /// What the rule watches, in words.
    pub description: Option<Template>,
    /// Severity of its alerts (of a rule with levels: of the least).
    pub severity: Severity,
    /// Whether the severity becomes the label `severity` of its alerts. Where it does not, in a Prometheus rule file,
    /// the severity of an alert follows from its label.
    pub severity_label: bool,
    /// Disabled rules are checked but not evaluated.
    pub enabled: bool,
    /// Name of the remote store that evaluates its queries; `None`: the embedded store is read.
    pub source: Option<Arc<str>>,
    /// When it is evaluated.
    pub schedule: Schedule,
    /// What makes it fire.
    pub condition: Condition,
    /// How long the condition must hold before it fires.
    pub hold: Duration,
    /// How long it goes on firing after the condition stopped.
    pub keep_firing_for: Duration,
    /// The least time between two firing notices of one alert.
    pub cooldown: Duration,
    /// When an alert that comes and goes is told as one; `None`: never.
    pub flapping: Option<Flapping>,
    /// Handlers by name; empty where the routes decide.
    pub notify: Vec<Arc<str>>,
    /// Who else is told where nobody looks after an alert; `None` where the routes decide.
    pub escalate: Option<Arc<[EscalationStep]>>,
    /// Labels added to every alert.
    pub labels: Vec<(Arc<str>, Template)>,
    /// Annotations of every alert.
    pub annotations: Vec<(Arc<str>, Template)>,
    /// What a missing signal means; `None`: not set, which for `PromQl` means as in Prometheus (resolve).
    pub on_no_data: Option<OnMissing>,
    /// How long a missing signal is held before the alert resolves for that reason.
    pub no_data_timeout: Duration,
    /// What a failed evaluation means.
    pub on_error: OnMissing,
    /// Most alerts (pending and firing) of this rule; above it the kept ones stay.
    pub alerts_max: usize,
    /// The time intervals in which it notifies, or does not.
    pub times: MuteTimes,
    /// The rule's own tests.
    pub tests: Vec<RuleTest>,
}

impl Rule {
    /// Whether it records series instead of alerting.
    pub fn is_recording(&self) -> bool {
        matches!(self.condition, Condition::Record { .. })
    }

    /// How far before a slot its queries read.
    pub fn query_offset(&self) -> Duration {
        self.group.as_ref().map_or(Duration::ZERO, |group| group.query_offset)
    }
}

/// A test written beside a rule.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// Distance of the values of `series`.
    pub interval: Duration,
    /// Input: series and its values in promtool notation, parsed (`None` is a gap).
    pub series: Vec<(Labels, Vec<Option<f64>>)>,
    /// The instant of the expectation, since the start of the series.
    pub at: Duration,
    /// What is expected.
    pub expect: Expectation,
}

/// What a test expects at its instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// The state of the rule: the greatest over its alerts.
    State(AlertState),
    /// Alerts that must be active, each matched by subset; no further firing alert may be there.
    Alerts(Vec<ExpectedAlert>),
}

/// One expected alert; what is not given is not compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedAlert {
    /// Labels that must be there.
    pub labels: Labels,
    /// Severity.
    pub severity: Option<Severity>,
    /// Annotations that must be there.
    pub annotations: Labels,
    /// State; firing if not given.
    pub state: Option<AlertState>,
}
