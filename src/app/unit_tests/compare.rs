//! Compares what was expected with what came, as promtool does and where alertd's own keys say more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::assign::assign;
use super::world::World;
use crate::model::alert::float_text;
use crate::model::labels::{METRIC_NAME, quote};
use crate::model::{Alert, AlertState, Labels, Timestamp, format_duration};
use crate::promql::VectorSample;
use crate::rule::Rule;
use crate::rule::unit_test::{AlertTest, ExpectedSample, ExpectedState};
use crate::state::shown;

/// An alert as tests see it. Annotations may be empty texts, which [`Labels`] do not keep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub state: AlertState,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub value: f64,
    pub active_at: Duration,
    pub resolved_at: Option<Duration>,
    /// Where the rule stands.
    pub rule: (std::sync::Arc<str>, u32),
}

/// What does not fit.
#[derive(Debug, Default)]
pub(super) struct Mismatch {
    /// Expected and not there.
    pub missing: Vec<ExpectedState>,
    /// There and not expected.
    pub extra: Vec<Seen>,
}

/// The alerts that a test looks at.
pub(super) fn seen(world: &World<'_>, test: &AlertTest, start: Timestamp) -> Vec<Seen> {
    let mut out = Vec::new();
    for part in &world.parts {
        let group = part.group.as_ref().map(|group| &*group.name);
        if test.group.as_deref().is_some_and(|wanted| group != Some(wanted)) {
            continue;
        }
        for rule in part.engine.rules().iter().filter(|rule| is_named(rule, &test.alert)) {
            let state = part.engine.state(&rule.uid);
            let active = state.into_iter().flat_map(|state| state.instances.values()).filter(|i| i.is_active());
            out.extend(active.map(|instance| one(rule, &shown(rule, instance), start)));
            let resolved = world.resolved.iter().filter(|((uid, _), _)| *uid == rule.uid);
            out.extend(resolved.map(|(_, alert)| Seen { state: AlertState::Inactive, ..one(rule, alert, start) }));
        }
    }
    out
}

/// Whether a rule is an alerting rule of this name.
pub(super) fn is_named(rule: &Rule, name: &str) -> bool {
    !rule.is_recording() && *rule.name == *name
}

fn one(rule: &Rule, alert: &Alert, start: Timestamp) -> Seen {
    let pairs = |labels: &Labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>();
    let mut annotations = pairs(&alert.annotations);
    for (name, _) in &rule.annotations {
        annotations.entry(name.to_string()).or_default();
    }
    Seen {
        state: alert.state,
        labels: pairs(&alert.labels),
        annotations,
        value: alert.value,
        active_at: alert.active_at.since(start),
        resolved_at: alert.resolved_at.map(|at| at.since(start)),
        rule: (alert.origin.file.clone(), alert.origin.line),
    }
}

/// Which of the expected are missing, and which that fire were not expected. Pending and resolved alerts may be there
/// without being expected, as in promtool.
pub(super) fn compare(test: &AlertTest, seen: &[Seen]) -> Mismatch {
    let mut wanted: Vec<&ExpectedState> = test.expected.iter().collect();
    // Of those that fit the same alert the one that says most gets it.
    wanted.sort_by_key(|want| std::cmp::Reverse(want.labels.len() + want.annotations.len()));
    let got = assign(wanted.len(), seen.len(), |want, at| fits(wanted[want], &seen[at], test.subset));
    let taken: BTreeSet<usize> = got.iter().flatten().copied().collect();
    let missing = wanted.iter().zip(&got).filter(|(_, got)| got.is_none());
    let mut missing: Vec<ExpectedState> = missing.map(|(want, _)| (*want).clone()).collect();
    missing.sort_by_key(|want| want.span.start);
    let left = seen.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(|(_, seen)| seen);
    let extra = left.filter(|seen| seen.state == AlertState::Firing).cloned().collect();
    Mismatch { missing, extra }
}

fn fits(want: &ExpectedState, seen: &Seen, subset: bool) -> bool {
    let same = |want: &BTreeMap<String, String>, have: &BTreeMap<String, String>| match subset {
        true => want.iter().all(|(name, value)| have.get(name).map_or(value.is_empty(), |v| v == value)),
        false => want == have,
    };
    want.state == seen.state
        && same(&want.labels, &seen.labels)
        && same(&want.annotations, &seen.annotations)
        && want.value.is_none_or(|value| equal(value, seen.value))
        && want.active_at.is_none_or(|at| at == seen.active_at)
        && want.resolved_at.is_none_or(|at| Some(at) == seen.resolved_at)
}

/// Equal, or both no number.
fn equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// Equal but for the last bit.
fn nearly(a: f64, b: f64) -> bool {
    equal(a, b) || a.next_up() == b || a.next_down() == b
}

/// Whether a result is the expected one, in any order.
pub(super) fn same_samples(expected: &[ExpectedSample], got: &[VectorSample], fuzzy: bool) -> bool {
    let same = |want: &ExpectedSample, have: &VectorSample| {
        want.labels == have.labels
            && match (&want.histogram, &have.histogram) {
                (Some(a), Some(b)) => a.notation() == b.notation(),
                (None, None) if fuzzy => nearly(want.value, have.value),
                (None, None) => equal(want.value, have.value),
                _ => false,
            }
    };
    let all = || assign(expected.len(), got.len(), |want, at| same(&expected[want], &got[at]));
    expected.len() == got.len() && all().iter().all(Option::is_some)
}

fn braces(pairs: &BTreeMap<String, String>) -> String {
    let one = |(name, value): (&String, &String)| format!("{name}={}", quote(value));
    format!("{{{}}}", pairs.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn word(state: AlertState) -> &'static str {
    if state == AlertState::Inactive { "resolved" } else { state.as_str() }
}

/// An expected alert, in lines.
pub(super) fn expected_lines(want: &ExpectedState) -> Vec<String> {
    let mut head = word(want.state).to_owned();
    head.extend(want.value.map(|value| format!(", value {}", float_text::text(value))));
    head.extend(want.active_at.map(|at| format!(", active since {}", format_duration(at))));
    head.extend(want.resolved_at.map(|at| format!(", resolved at {}", format_duration(at))));
    vec![head, format!("  labels {}", braces(&want.labels)), format!("  annotations {}", braces(&want.annotations))]
}

/// An alert that is there, in lines that say as much as those of `like`.
pub(super) fn seen_lines(seen: &Seen, like: &[ExpectedState]) -> Vec<String> {
    let mut head = word(seen.state).to_owned();
    let says = |of: fn(&ExpectedState) -> bool| like.iter().any(of);
    if says(|want| want.value.is_some()) {
        head.push_str(&format!(", value {}", float_text::text(seen.value)));
    }
    if says(|want| want.active_at.is_some()) {
        head.push_str(&format!(", active since {}", format_duration(seen.active_at)));
    }
    if let (true, Some(at)) = (says(|want| want.resolved_at.is_some()), seen.resolved_at) {
        head.push_str(&format!(", resolved at {}", format_duration(at)));
    }
    vec![head, format!("  labels {}", braces(&seen.labels)), format!("  annotations {}", braces(&seen.annotations))]
}

/// The same with a label or annotation per line, for differences.
pub(super) fn apart(
    head: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut out = vec![head.to_owned()];
    out.extend(labels.iter().map(|(name, value)| format!("  {name}={}", quote(value))));
    if !annotations.is_empty() {
        out.push("  annotations".to_owned());
        out.extend(annotations.iter().map(|(name, value)| format!("    {name}={}", quote(value))));
    }
    out
}

/// A sample, in a line.
pub(super) fn sample_line(labels: &Labels, value: f64, histogram: Option<&crate::model::Histogram>) -> String {
    let name =
        if labels.get(METRIC_NAME).is_none() && labels.is_empty() { "{}".to_owned() } else { labels.to_string() };
    match histogram {
        Some(histogram) => format!("{name} {}", histogram.notation()),
        None => format!("{name} {}", float_text::text(value)),
    }
}
