//! The monitor: records, answers, and ends cleanly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::builder::MonitorBuilder;
use super::heart::Heart;
use super::rules::{Diagnostics, RuleSources};
use crate::app::threads::Stopper;
use crate::app::views;
use crate::ingest::Batch;
use crate::model::labels::METRIC_NAME;
use crate::model::{Alert, Labels, Sample, Timestamp};
use crate::promql::{self, EvalOptions, QueryError, Value};
use crate::route::Routes;
use crate::state::Health;
use crate::store::embedded::AppendStats;
use crate::telemetry::{Counter, Gauge, Histogram, MetricsRecorder, Registry};

/// How long the end waits for notices that are on their way.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why the macros of the `metrics` crate do not record here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecorderError {
    /// The facade has one recorder per process.
    #[error("another recorder of the `metrics` facade is installed already")]
    Taken,
}

/// A rule whose last evaluation failed; its alerts stay as they were.
#[derive(Clone, Debug, PartialEq)]
pub struct FailingRule {
    /// Its name.
    pub rule: Arc<str>,
    /// What went wrong.
    pub message: String,
    /// Since when every evaluation fails.
    pub since: Timestamp,
}

/// Watches the program it is part of. All methods may be called from any thread; share it as `Arc<Monitor>`.
///
/// ```no_run
/// use alertd::embed::{ConsoleFormat, Monitor};
///
/// let monitor = Monitor::builder().rules_path("rules/").console(ConsoleFormat::Text).start()?;
/// let requests = monitor.counter("http.requests_total", &[("route", "/pay")]);
/// let seconds = monitor.histogram("http.request_seconds", &[("route", "/pay")]);
/// // … where a request was served:
/// requests.inc();
/// seconds.observe(0.042);
/// # Ok::<(), alertd::embed::BuildError>(())
/// ```
///
/// Dropping it ends its threads, saves its state (if it has a directory), and waits at most five seconds until receivers
/// have taken what was to be told.
pub struct Monitor {
    pub(super) heart: Arc<Heart>,
    pub(super) threads: Vec<Stopper>,
    pub(super) routes: Routes,
    pub(super) every: Duration,
    pub(super) found: Mutex<Diagnostics>,
    /// Whether its state outlives it.
    pub(super) keeps: bool,
}

impl Monitor {
    /// A builder with the defaults: no rules, no receivers, an interval of 15 seconds.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }

    /// The counter of that name and those labels, made if it is not there. Keep the handle: recording into it is one
    /// atomic operation, finding it is not. The name may be dotted.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        self.registry().counter(name, labels)
    }

    /// The gauge of that name and those labels, made if it is not there.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        self.registry().gauge(name, labels)
    }

    /// The histogram of that name and those labels, made if it is not there. Rules see it as in Prometheus: the series
    /// `<name>_bucket`, `<name>_sum` and `<name>_count`. [`Registry::set_buckets`] sets other bounds.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        self.registry().histogram(name, labels)
    }

    /// The registry behind the handles: for help texts, buckets, and a `/metrics` page of the program. The monitor's
    /// own metrics are in it too; their names begin with `alertd_`.
    pub fn registry(&self) -> &Registry {
        self.heart.hub.metrics.registry()
    }

    /// A recorder that takes what the macros of the `metrics` crate record, for programs that install it themselves.
    pub fn recorder(&self) -> MetricsRecorder {
        MetricsRecorder::new(self.registry().clone())
    }

    /// Makes the macros of the `metrics` crate (`metrics::counter!` and its like) record here, in the whole process.
    pub fn install_recorder(&self) -> Result<(), RecorderError> {
        metrics::set_global_recorder(self.recorder()).map_err(|_| RecorderError::Taken)
    }

    /// Takes one sample of now, as it is. For values that are measured once in a while or come from elsewhere; what
    /// the program counts itself is better kept in a handle.
    ///
    /// A second sample of one series in the same millisecond is refused if its value differs, as in Prometheus.
    pub fn push(&self, name: &str, labels: &[(&str, &str)], value: f64) -> AppendStats {
        let labels = Labels::from_pairs(labels.iter().copied()).with(METRIC_NAME, name);
        self.push_samples([Sample { labels, at: self.now(), value: value.into() }])
    }

    /// Takes samples of any time within the retention (history, for a detector to learn from) and at most ten minutes
    /// ahead. The name of the metric is the label `__name__`. What is refused is counted by reason.
    pub fn push_samples(&self, samples: impl IntoIterator<Item = Sample>) -> AppendStats {
        let batch = Batch::from_iter(samples);
        let hub = &self.heart.hub;
        let stats = hub.store.append(&batch, self.now().0);
        hub.metrics.ingested("push", stats.appended, stats.refused());
        stats
    }

    /// The time by the monitor's clock.
    pub fn now(&self) -> Timestamp {
        self.heart.hub.clock.now()
    }

    /// Every pending and firing alert, in rule order, then in label order.
    pub fn alerts(&self) -> Vec<Alert> {
        views::active(&self.heart.hub.core())
    }

    /// The value of a PromQL query now. Dotted metric names may stand unquoted.
    ///
    /// ```
    /// # use alertd::embed::{Monitor, Timestamp, Value};
    /// # let monitor = Monitor::builder().stepped(Timestamp::from_secs(60))?;
    /// monitor.push("queue.depth", &[("queue", "mail")], 3.0);
    /// monitor.push("queue.depth", &[("queue", "sms")], 4.0);
    /// let Value::Vector(samples) = monitor.query("sum(queue.depth)")? else { unreachable!() };
    /// assert_eq!(samples[0].value, 7.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&self, promql: &str) -> Result<Value, QueryError> {
        self.query_at(promql, self.now())
    }

    /// The value of a PromQL query at another time.
    pub fn query_at(&self, promql: &str, at: Timestamp) -> Result<Value, QueryError> {
        promql::query(promql, &*self.heart.hub.store, at.0, &EvalOptions::default())
    }

    /// The rules that cannot be evaluated at present, in rule order.
    pub fn failing_rules(&self) -> Vec<FailingRule> {
        let core = self.heart.hub.core();
        let failing = |rule: &crate::rule::Rule| match &core.engine.state(&rule.uid)?.health {
            Health::Err { message, since } => {
                Some(FailingRule { rule: rule.name.clone(), message: message.clone(), since: *since })
            }
            _ => None,
        };
        core.engine.rules().iter().filter_map(failing).collect()
    }

    /// Warnings and notes about the rules in use; rules with errors are never in use.
    pub fn diagnostics(&self) -> Diagnostics {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other rules, whole; if they have an error, the rules before stay and the findings come back.
    ///
    /// Rules that keep their name (or `uid`) keep their alerts. Alerts of rules that are gone are resolved, and whoever
    /// was told of them is told that.
    pub fn replace_rules(&self, rules: &RuleSources) -> Result<(), Diagnostics> {
        let names: Vec<String> = self.routes.receivers.iter().map(|receiver| receiver.name.to_string()).collect();
        let (rules, found) = rules.rules(self.every, &names)?;
        self.heart.hub.replace(rules, self.routes.clone());
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.threads.clear();
        if self.keeps {
            self.heart.hub.save();
        }
        self.heart.hub.outbox.close(CLOSE_GRACE);
    }
}
