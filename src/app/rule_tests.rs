//! Runs the tests written beside rules: the same core, a store filled from promtool notation, a simulated clock.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, EngineOptions, Surroundings};
use crate::ingest::Batch;
use crate::model::labels::ALERT_NAME;
use crate::model::{AlertState, Labels, Now, Severity, Timestamp, Transition, TransitionKind};
use crate::rule::{Expectation, ExpectedAlert, Rule, RuleTest};
use crate::state::{Instance, SEVERITY};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Most evaluations of one test.
const STEPS_MAX: u64 = 1_000_000;

/// The result of one test.
#[derive(Clone, Debug, PartialEq)]
pub struct TestResult {
    /// Name of the rule.
    pub rule: String,
    /// Name of the test.
    pub name: String,
    /// Where it stands: `file:line`.
    pub place: String,
    /// Whether what was expected happened.
    pub ok: bool,
    /// What happened instead; empty if it passed.
    pub message: String,
}

/// Runs all tests of the rules, in file order.
pub fn run_tests(rules: &[Rule], options: &EngineOptions) -> Vec<TestResult> {
    let mut results = Vec::new();
    for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.tests.is_empty()) {
        let group = group_of(rules, place);
        results.extend(rule.tests.iter().map(|test| run_test(rule, group, test, options)));
    }
    results
}

/// The rules of the group in which the rule at a place stands; the rule alone where it stands in none.
pub fn group_of(rules: &[Rule], place: usize) -> &[Rule] {
    let Some(group) = rules.get(place).map(|rule| rule.group.as_ref()) else { return &[] };
    let with = |other: &&Rule| group.zip(other.group.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b));
    let before = rules[..place].iter().rev().take_while(with).count();
    let behind = rules[place + 1..].iter().take_while(with).count();
    &rules[place - before..=place + behind]
}

/// Runs one test: the rule with those of its group, evaluated every `interval` from the start of the series to the last
/// step at or before `at`, as promtool does.
pub fn run_test(rule: &Rule, group: &[Rule], test: &RuleTest, options: &EngineOptions) -> TestResult {
    let message = match play(rule, group, test, options) {
        Ok(played) => judge(&played, &test.expect).err().unwrap_or_default(),
        Err(message) => message,
    };
    TestResult {
        rule: rule.name.to_string(),
        name: test.name.clone(),
        place: test.origin.to_string(),
        ok: message.is_empty(),
        message,
    }
}

/// What is left after the last evaluation, and how it came to it.
pub(super) struct Played {
    alerts: Vec<Seen>,
    /// Every change, in order.
    pub(super) transitions: Vec<Transition>,
}

/// An active alert as expectations see it.
struct Seen {
    state: AlertState,
    severity: Severity,
    labels: Labels,
    annotations: Labels,
}

/// Plays a test of a rule that stands in a group, or alone.
pub(super) fn play(rule: &Rule, group: &[Rule], test: &RuleTest, options: &EngineOptions) -> Result<Played, String> {
    let store = EmbeddedStore::new(StoreOptions::for_files());
    let interval_ms = crate::model::time::millis(test.interval).max(1);
    let mut batch = Batch::default();
    for (labels, values) in &test.series {
        for (i, value) in values.iter().enumerate() {
            let t_ms = i64::try_from(i).unwrap_or(i64::MAX).saturating_mul(interval_ms);
            if let Some(value) = value {
                batch.push(labels.clone(), Some(t_ms), *value);
            }
        }
    }
    store.append(&batch, 0);
    let steps = u64::try_from(test.at.as_millis() / test.interval.as_millis().max(1)).unwrap_or(u64::MAX);
    if steps > STEPS_MAX {
        return Err(format!("`at` is {steps} intervals after the start; at most {STEPS_MAX} are evaluated"));
    }
    let uid = &rule.uid;
    // The test brings its own samples.
    let alone = |other: &Rule| Rule { enabled: other.enabled || other.uid == *uid, source: None, ..other.clone() };
    let rules: Vec<Rule> = group.iter().map(alone).collect();
    let due: Vec<usize> = (0..rules.len()).collect();
    let mut engine = Engine::new(rules, EngineOptions { threads: 1, ..options.clone() });
    let mut transitions = Vec::new();
    for step in 0..=i64::try_from(steps).unwrap_or(i64::MAX) {
        let now = Now::simulated(Timestamp(step.saturating_mul(interval_ms)));
        let mut around = Surroundings {
            source: &store,
            publish: &mut |samples| {
                let batch = Batch::from_iter(samples);
                store.append(&batch, now.slot.0);
            },
            young: false,
            stopwatch: &|| Duration::ZERO,
        };
        let done = engine.step(now, &due, &mut around);
        if let Some(error) = done.reports.iter().find_map(|r| r.error.as_ref()) {
            return Err(format!("evaluation at {} failed: {error}", offset(now.slot)));
        }
        transitions.extend(done.transitions.into_iter().filter(|t| t.alert.rule_uid == *uid));
    }
    let instances = engine.state(uid).into_iter().flat_map(|state| state.instances.values());
    let active = instances.filter(|i| i.is_active());
    Ok(Played { alerts: active.map(|i| seen(rule, i)).collect(), transitions })
}

fn seen(rule: &Rule, instance: &Instance) -> Seen {
    let severity = crate::state::severity_of(rule, instance.level);
    let labels = match instance.labels.get(SEVERITY) {
        Some(_) => instance.labels.clone(),
        None => instance.labels.with(SEVERITY, severity.as_str()),
    };
    Seen { state: instance.state, severity, labels, annotations: instance.annotations.clone() }
}

/// Time since the start of the series, as tests write it.
fn offset(at: Timestamp) -> String {
    crate::model::format_duration(at.since(Timestamp(0)))
}

/// What happened, the last of it.
fn history(transitions: &[Transition]) -> String {
    let notable = |t: &&Transition| !matches!(t.kind, TransitionKind::NoData | TransitionKind::DataBack);
    let all: Vec<String> =
        transitions.iter().filter(notable).map(|t| format!("{} {}", offset(t.at), t.kind.as_str())).collect();
    match all.len() {
        0 => "nothing happened before".to_owned(),
        n if n > 12 => format!("… {}", all[n - 12..].join(", ")),
        _ => all.join(", "),
    }
}

fn judge(played: &Played, expect: &Expectation) -> Result<(), String> {
    let history = || history(&played.transitions);
    match expect {
        Expectation::State(want) => {
            let got = played.alerts.iter().map(|a| a.state).max().unwrap_or_default();
            if got == *want {
                return Ok(());
            }
            Err(format!("expected {}, got {} ({})", want.as_str(), got.as_str(), history()))
        }
        Expectation::Alerts(wanted) => {
            let mut left: Vec<&Seen> = played.alerts.iter().collect();
            for want in wanted {
                match left.iter().position(|seen| fits(seen, want)) {
                    Some(i) => {
                        left.remove(i);
                    }
                    None => return Err(format!("no alert fits {}; {} ({})", shown(want), have(&left), history())),
                }
            }
            match left.iter().find(|seen| seen.state == AlertState::Firing) {
                Some(extra) => Err(format!("an alert fires that was not expected: {} ({})", extra.labels, history())),
                None => Ok(()),
            }
        }
    }
}

fn fits(seen: &Seen, want: &ExpectedAlert) -> bool {
    let within = |part: &Labels, all: &Labels| part.iter().all(|(name, value)| all.get(name) == Some(value));
    seen.state == want.state.unwrap_or(AlertState::Firing)
        && want.severity.is_none_or(|severity| severity == seen.severity)
        && within(&want.labels, &seen.labels)
        && within(&want.annotations, &seen.annotations)
}

fn shown(want: &ExpectedAlert) -> String {
    let mut parts = vec![want.state.unwrap_or(AlertState::Firing).as_str().to_owned()];
    parts.extend(want.severity.map(|s| format!("severity {s}")));
    parts.push(want.labels.to_string());
    if !want.annotations.is_empty() {
        parts.push(format!("annotations {}", want.annotations));
    }
    parts.join(" ")
}

fn have(alerts: &[&Seen]) -> String {
    if alerts.is_empty() {
        return "there is none".to_owned();
    }
    let one = |seen: &&Seen| {
        let labels = seen.labels.filtered(|n| n != ALERT_NAME && n != SEVERITY);
        format!("{} severity {} {labels} annotations {}", seen.state.as_str(), seen.severity, seen.annotations)
    };
    format!("there is {}", alerts.iter().take(5).map(one).collect::<Vec<_>>().join("; "))
}
