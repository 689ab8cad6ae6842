//! One test group being played: a store that is filled as time goes on, and the core, group by group.
//!
//! Place in the flow: `run` steps it and looks at it where tests do. As in promtool a store knows what was given up to
//! the instant of the last evaluation and no more, every group is evaluated at every step, and groups follow one another
//! in one order. What happens in a step is the core's alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::feed::Feed;
use crate::engine::{Engine, EngineOptions, Surroundings};
use crate::ingest::{Batch, Row};
use crate::model::labels::ALERT_NAME;
use crate::model::time::millis;
use crate::model::{Alert, Histogram, HistogramPoint, Labels, Now, Origin, Sample, Timestamp, TransitionKind, is_mark};
use crate::rule::unit_test::{TestGroup, UnitTestFile};
use crate::rule::{Group, Rule};
use crate::schedule::Schedule;
use crate::state::Externals;
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Most evaluations of one test group.
pub const STEPS_MAX: i64 = 1_000_000;

/// What is played.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    /// The file.
    pub file: &'a UnitTestFile,
    /// The test group.
    pub group: &'a TestGroup,
    /// The rules of the file.
    pub rules: &'a [Rule],
    /// Samples from data files, in the order of their times.
    pub data: &'a Batch,
}

impl Setup<'_> {
    /// Milliseconds between evaluations.
    pub fn tick_ms(&self) -> i64 {
        millis(self.file.evaluation_interval).max(1)
    }

    /// How many evaluations there are.
    pub fn steps(&self) -> i64 {
        millis(self.group.end()) / self.tick_ms() + 1
    }

    /// Settings of the core.
    pub fn options(&self, base: &EngineOptions) -> EngineOptions {
        let mut options = base.clone();
        options.threads = 1;
        options.query.subquery_step_ms = self.tick_ms();
        options.externals =
            Externals { labels: self.group.external_labels.clone(), url: self.group.external_url.clone() };
        options
    }
}

/// A rule that could not be evaluated.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    /// Its name.
    pub rule: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
    /// Why.
    pub error: String,
}

/// A group and its core.
pub(super) struct Part {
    /// Its rules and their state.
    pub engine: Engine,
    /// The group; rules of alertd's own files are one without a name.
    pub group: Option<Arc<Group>>,
}

/// The rules that are evaluated together.
struct Found<'a> {
    group: Option<Arc<Group>>,
    file: &'a str,
    rules: Vec<Rule>,
}

/// Alerts that resolved and did not begin again, by rule and labels.
type Resolved = BTreeMap<(Arc<str>, Labels), Alert>;

/// The world of a test group.
pub(super) struct World<'a> {
    setup: Setup<'a>,
    /// What rules and queries read.
    pub store: EmbeddedStore,
    /// The groups in the order of evaluation.
    pub parts: Vec<Part>,
    /// Alerts that resolved.
    pub resolved: Resolved,
    feed: Feed<'a>,
}

impl<'a> World<'a> {
    /// The world before the first evaluation.
    pub fn new(setup: Setup<'a>, base: &EngineOptions) -> Self {
        let options = setup.options(base);
        let mut parts: Vec<Found<'_>> = Vec::new();
        for rule in setup.rules {
            let fits = |found: &&mut Found<'_>| match (&found.group, &rule.group) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => *found.file == *rule.origin.file,
                _ => false,
            };
            match parts.iter_mut().find(fits) {
                Some(found) => found.rules.push(given_here(rule)),
                None => parts.push(Found {
                    group: rule.group.clone(),
                    file: &rule.origin.file,
                    rules: vec![given_here(rule)],
                }),
            }
        }
        let place = |group: &Option<Arc<Group>>| {
            let order = &setup.file.group_eval_order;
            // Those that are not named are as the first one, as in promtool.
            group.as_ref().and_then(|g| order.iter().position(|name| **name == *g.name)).map_or(0, |place| place + 1)
        };
        parts.sort_by_key(|found| place(&found.group));
        let part = |found: Found<'_>| Part { engine: Engine::new(found.rules, options.clone()), group: found.group };
        Self {
            store: EmbeddedStore::new(StoreOptions::for_files()),
            parts: parts.into_iter().map(part).collect(),
            resolved: Resolved::new(),
            feed: Feed::new(setup.group, setup.data),
            setup,
        }
    }

    /// The instant of an evaluation.
    pub fn instant(&self, step: i64) -> Timestamp {
        Timestamp(self.setup.group.start.0.saturating_add(step.saturating_mul(self.setup.tick_ms())))
    }

    /// Gives the samples up to an instant and evaluates every group.
    pub fn step(&mut self, step: i64) -> Vec<Broken> {
        let at = self.instant(step);
        self.feed.give(&self.store, at);
        let (store, setup) = (&self.store, self.setup);
        let mut broken = Vec::new();
        for part in &mut self.parts {
            let rules = Arc::clone(part.engine.rules());
            let due: Vec<usize> =
                (0..rules.len()).filter(|i| rules.get(*i).is_some_and(|r| is_due(r, setup, at))).collect();
            let mut clashes: Vec<Labels> = Vec::new();
            let mut publish = |samples: Vec<Sample>| {
                let batch = Batch::from_iter(samples);
                if store.append(&batch, at.0).conflicts > 0 {
                    clashes.extend(batch.rows.iter().filter(|row| is_other(store, row)).map(|row| row.labels.clone()));
                    let others = batch.histograms.iter().filter(|(labels, point)| differs(store, labels, point));
                    clashes.extend(others.map(|(labels, _)| labels.clone()));
                }
            };
            let mut around =
                Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
            let done = part.engine.step(Now::simulated(at), &due, &mut around);
            for report in done.reports {
                let (Some(error), Some(rule)) = (report.error, rules.iter().find(|r| r.uid == report.uid)) else {
                    continue;
                };
                broken.push(Broken { rule: rule.name.clone(), origin: rule.origin.clone(), error });
            }
            broken.extend(clashes.iter().filter_map(|labels| clash(&rules, labels)));
            for transition in done.transitions {
                let key = (transition.alert.rule_uid.clone(), transition.alert.labels.clone());
                match transition.kind {
                    TransitionKind::Resolved { .. } => drop(self.resolved.insert(key, transition.alert)),
                    TransitionKind::Pending | TransitionKind::Fired => drop(self.resolved.remove(&key)),
                    _ => {}
                }
            }
        }
        broken
    }
}

/// A rule that reads what the test gives it, whichever store it reads otherwise.
pub(super) fn given_here(rule: &Rule) -> Rule {
    Rule { source: None, ..rule.clone() }
}

/// Whether the store has another value at the time of a row. Marks are no values: what ends here may go on elsewhere.
fn is_other(store: &EmbeddedStore, row: &Row) -> bool {
    let (Ok(series), Some(t_ms)) = (store.series_ref(&row.labels, row.t_ms.unwrap_or_default()), row.t_ms) else {
        return false;
    };
    let mut points = Vec::new();
    store.points(series, t_ms.saturating_sub(1), t_ms, &mut points);
    !is_mark(row.value) && points.last().is_some_and(|point| point.value.to_bits() != row.value.to_bits())
}

/// Whether the store has something else than the histogram at its time.
fn differs(store: &EmbeddedStore, labels: &Labels, point: &HistogramPoint) -> bool {
    let Ok(series) = store.series_ref(labels, point.t_ms) else { return false };
    let mut points = Vec::new();
    store.histogram_points(series, point.t_ms.saturating_sub(1), point.t_ms, &mut points);
    // What is known of resets comes with the storing.
    let same =
        |stored: &Histogram| *stored == Histogram { reset_hint: stored.reset_hint, ..(*point.histogram).clone() };
    points.last().is_none_or(|stored| !same(&stored.histogram))
}

/// The rule that wanted to write a series at a time at which it has another value: an error of the rule, as in promtool.
fn clash(rules: &[Rule], labels: &Labels) -> Option<Broken> {
    let writes = |rule: &&Rule| match rule.is_recording() {
        true => labels.metric_name() == Some(&*rule.name),
        false => labels.get(ALERT_NAME) == Some(&*rule.name),
    };
    let rule = rules.iter().find(writes)?;
    let error = format!("the series {labels} has another value at this time, given under `input_series`");
    Some(Broken { rule: rule.name.clone(), origin: rule.origin.clone(), error })
}

/// Whether a rule is evaluated at an instant.
fn is_due(rule: &Rule, setup: Setup<'_>, at: Timestamp) -> bool {
    if !setup.file.respect_intervals {
        return true;
    }
    let since = at.0.saturating_sub(setup.group.start.0);
    match &rule.schedule {
        Schedule::Every(interval) => since % millis(*interval).max(1) < setup.tick_ms(),
        Schedule::Cron(_) => {
            rule.schedule.latest_at_or_before(at).is_some_and(|slot| slot.0 > at.0.saturating_sub(setup.tick_ms()))
        }
    }
}
