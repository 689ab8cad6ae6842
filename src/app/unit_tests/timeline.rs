//! How an alert came to be as it is: per step its state and, where the rule compares a signal with constants, the signal.
//!
//! Made only for tests that failed: their group is played once more and watched.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::compare::is_named;
use super::world::{Setup, World};
use crate::diag::SourceFile;
use crate::model::alert::float_text;
use crate::model::labels::ALERT_NAME;
use crate::model::{AlertState, Labels, Origin, Timestamp, format_duration};
use crate::notify::sparkline::{BARS_MAX, sparkline};
use crate::promql::{EvalOptions, SlotCache, Value, eval_instant};
use crate::rule::{Condition, Rule, Threshold};

/// Most alerts of one name that are watched.
const COURSES_MAX: usize = 200;
/// Most alerts that are shown.
const SHOWN_MAX: usize = 4;
/// Most changes that are told in words; the newest.
const CHANGES_MAX: usize = 12;

/// One alert over time.
struct Course {
    rule: (Arc<str>, Origin),
    threshold: Option<Threshold>,
    states: VecDeque<AlertState>,
    values: VecDeque<f64>,
    /// State, when it began, value then.
    changes: Vec<(AlertState, Duration, f64)>,
}

/// Watches the alerts of some names.
pub(super) struct Watcher<'a> {
    names: Arc<[&'a str]>,
    options: EvalOptions,
    start: Timestamp,
    steps: usize,
    courses: BTreeMap<(Arc<str>, Labels), Course>,
}

impl<'a> Watcher<'a> {
    /// Watches the rules of these names.
    pub fn new(names: Vec<&'a str>, setup: &Setup<'_>, options: EvalOptions) -> Self {
        Self { names: names.into(), options, start: setup.group.start, steps: 0, courses: BTreeMap::new() }
    }

    /// Notes how things are after a step.
    pub fn note(&mut self, world: &World<'_>, at: Timestamp) {
        let names = Arc::clone(&self.names);
        for part in &world.parts {
            let rules = part.engine.rules();
            for rule in rules.iter().filter(|rule| names.iter().any(|name| is_named(rule, name))) {
                let mut now: BTreeMap<Labels, (AlertState, f64)> = BTreeMap::new();
                for (labels, value) in self.signal(rule, world, at) {
                    now.insert(labels, (AlertState::Inactive, value));
                }
                let active = part.engine.state(&rule.uid).into_iter().flat_map(|state| &state.instances);
                for (labels, instance) in active.filter(|(_, i)| i.is_active()) {
                    now.insert(labels.clone(), (instance.state, instance.value));
                }
                self.take(rule, now, at);
            }
        }
        self.steps += 1;
    }

    fn take(&mut self, rule: &Rule, mut now: BTreeMap<Labels, (AlertState, f64)>, at: Timestamp) {
        let offset = at.since(self.start);
        let known: Vec<Labels> =
            self.courses.keys().filter(|(uid, _)| *uid == rule.uid).map(|(_, labels)| labels.clone()).collect();
        for labels in known {
            now.entry(labels).or_insert((AlertState::Inactive, f64::NAN));
        }
        for (labels, (state, value)) in now {
            let key = (rule.uid.clone(), labels);
            if !self.courses.contains_key(&key) && self.courses.len() >= COURSES_MAX {
                continue;
            }
            let before = self.steps.min(BARS_MAX);
            let course = self.courses.entry(key).or_insert_with(|| Course {
                rule: (rule.name.clone(), rule.origin.clone()),
                threshold: threshold(rule),
                states: std::iter::repeat_n(AlertState::Inactive, before).collect(),
                values: std::iter::repeat_n(f64::NAN, before).collect(),
                changes: Vec::new(),
            });
            course.states.push_back(state);
            course.values.push_back(value);
            if course.states.len() > BARS_MAX {
                course.states.pop_front();
                course.values.pop_front();
            }
            if course.changes.last().is_none_or(|(last, ..)| *last != state) {
                course.changes.push((state, offset, value));
            }
        }
    }

    /// The values of the signal, whether or not they fire.
    fn signal(&self, rule: &Rule, world: &World<'_>, at: Timestamp) -> Vec<(Labels, f64)> {
        let query = match &rule.condition {
            Condition::PromQl { signal: Some((query, _)), .. } | Condition::Threshold { signal: query, .. } => query,
            _ => return Vec::new(),
        };
        let at_ms = at.minus(rule.query_offset()).as_millis();
        match eval_instant(&query.plan, &world.store, at_ms, &self.options, &SlotCache::default()) {
            Ok(Value::Vector(samples)) => samples.into_iter().map(|s| (s.labels.without_name(), s.value)).collect(),
            Ok(Value::Scalar(value)) => vec![(Labels::empty(), value)],
            _ => Vec::new(),
        }
    }

    /// What is known of the alerts of a name, in lines.
    pub fn lines(&self, name: &str, tick: Duration, sources: &[Arc<SourceFile>]) -> Vec<String> {
        let mut courses: Vec<(&Labels, &Course)> =
            self.courses.iter().filter(|(_, course)| *course.rule.0 == *name).map(|((_, l), c)| (l, c)).collect();
        courses.sort_by_key(|(_, course)| course.changes.iter().all(|(state, ..)| *state == AlertState::Inactive));
        let mut out = Vec::new();
        for (labels, course) in courses.iter().take(SHOWN_MAX) {
            let labels = labels.filtered(|name| name != ALERT_NAME);
            out.push(format!("{name} {labels} (rule at {})", place(&course.rule.1, name, sources)));
            out.extend(course.lines(tick));
        }
        if courses.len() > SHOWN_MAX {
            out.push(format!("… and {} more series", courses.len() - SHOWN_MAX));
        }
        out
    }
}

impl Course {
    fn lines(&self, tick: Duration) -> Vec<String> {
        let mut out = Vec::new();
        let values: Vec<f64> = self.values.iter().copied().collect();
        let known = || values.iter().copied().filter(|v| !v.is_nan());
        let worst = match self.threshold {
            Some(threshold) => known().fold(f64::NAN, |a, b| threshold.worse(a, b)),
            None => known().fold(f64::NAN, f64::max),
        };
        let limit = self.threshold.map(|threshold| threshold.limit_for(worst));
        if let Some(line) = sparkline(&values, limit, worst, true) {
            let bars: String = line.bars.iter().map(|bar| bar.glyph).collect();
            let limit = match (line.limit, self.threshold) {
                (Some(bar), Some(threshold)) => format!("  limit {bar} ({threshold})"),
                _ => String::new(),
            };
            out.push(format!("  value {bars}{limit}"));
        }
        let letter = |state: &AlertState| match state {
            AlertState::Inactive => '·',
            AlertState::Pending => 'p',
            AlertState::Firing => 'F',
        };
        let states: String = self.states.iter().map(letter).collect();
        let step = format_duration(tick);
        out.push(format!("  state {states}  (· inactive, p pending, F firing; one per {step})"));
        let skipped = self.changes.len().saturating_sub(CHANGES_MAX);
        let told = self.changes[skipped..].iter().map(|(state, at, value)| {
            let value = if value.is_nan() { String::new() } else { format!(" (value {})", float_text::text(*value)) };
            format!("{} from {}{value}", state.as_str(), format_duration(*at))
        });
        let dots = if skipped > 0 { "… " } else { "" };
        out.push(format!("  {dots}{}", told.collect::<Vec<_>>().join(", ")));
        out
    }
}

/// The comparison of a rule that has one.
fn threshold(rule: &Rule) -> Option<Threshold> {
    match &rule.condition {
        Condition::PromQl { signal: Some((_, threshold)), .. } => Some(*threshold),
        Condition::Threshold { levels, .. } => levels.first().map(|level| level.threshold),
        _ => None,
    }
}

/// `file:line:column` of a rule's name.
pub(super) fn place(origin: &Origin, name: &str, sources: &[Arc<SourceFile>]) -> String {
    let file = sources.iter().find(|source| source.path == origin.file);
    let column = file.and_then(|file| {
        let line = file.line(origin.line);
        line.find(name).map(|at| line[..at].chars().count() + 1)
    });
    match column {
        Some(column) => format!("{origin}:{column}"),
        None => origin.to_string(),
    }
}
