//! `--dry-run`: the rules' tests, one evaluation, and what would be sent. Writes nothing, opens no connection and reads
//! no secret but that of the store it is told to ask (`--source`): whatever else it looks at is handed in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::remote::source::AskedStore;
use super::rule_tests::{TestResult, run_tests};
use crate::engine::{Answered, Engine, EngineOptions, Step, Surroundings};
use crate::ingest::Batch;
use crate::model::alert::float_text;
use crate::model::{Alert, AlertState, Held, Notice, Now, Timestamp, Transition};
use crate::notify::Handler;
use crate::route::{Router, Routes};
use crate::rule::Rule;
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::store::remote::RemoteError;

/// What one evaluation would do.
pub struct DryRun {
    /// The instant of the evaluation.
    pub at: Timestamp,
    /// How many rules there are.
    pub rules: usize,
    /// The rules' own tests.
    pub tests: Vec<TestResult>,
    /// Pending and firing alerts with the reason for their state, in rule order.
    pub alerts: Vec<(Alert, String)>,
    /// How many series recording rules would record.
    pub recorded: usize,
    /// Rules that could not be evaluated.
    pub errors: Vec<(Arc<str>, String)>,
    /// Every change of an alert.
    pub transitions: Vec<Transition>,
    /// What would be sent.
    pub notices: Vec<Notice>,
    /// What would not, and why.
    pub held: Vec<Held>,
}

impl DryRun {
    /// Whether a test failed or a rule could not be evaluated.
    pub fn failed(&self) -> bool {
        !self.errors.is_empty() || self.tests.iter().any(|t| !t.ok)
    }

    /// Whether an alert fires.
    pub fn fires(&self) -> bool {
        self.alerts.iter().any(|(alert, _)| alert.state == AlertState::Firing)
    }
}

/// Runs the tests and evaluates every enabled rule once at `at` on the samples that are here, also those of rules whose
/// metrics are in a remote store.
pub fn dry_run(
    mut rules: Vec<Rule>,
    routes: &Routes,
    store: &EmbeddedStore,
    at: Timestamp,
    options: &EngineOptions,
) -> DryRun {
    let tests = run_tests(&rules, options);
    rules.iter_mut().for_each(|rule| rule.source = None);
    let mut engine = Engine::new(rules, options.clone());
    let step = step(&mut engine, &Answered::new(), store, at);
    shown(&engine, tests, step, (routes, at, store))
}

/// As [`dry_run`], with every rule asked of a remote store.
pub fn dry_run_asking(
    mut rules: Vec<Rule>,
    routes: &Routes,
    source: &AskedStore,
    at: Timestamp,
    options: &EngineOptions,
) -> Result<DryRun, RemoteError> {
    let tests = run_tests(&rules, options);
    let name: Arc<str> = "--source".into();
    rules.iter_mut().for_each(|rule| rule.source = Some(Arc::clone(&name)));
    let mut engine = Engine::new(rules, options.clone());
    let answered = source.answers(&engine, Now::simulated(at))?;
    let store = EmbeddedStore::new(StoreOptions::for_files());
    let step = step(&mut engine, &answered, &store, at);
    Ok(shown(&engine, tests, step, (routes, at, &store)))
}

/// What came of the one step.
fn shown(
    engine: &Engine,
    tests: Vec<TestResult>,
    step: Step,
    (routes, at, store): (&Routes, Timestamp, &EmbeddedStore),
) -> DryRun {
    let mut alerts = Vec::new();
    for rule in engine.rules().iter() {
        let Some(state) = engine.state(&rule.uid) else { continue };
        for instance in state.instances.values().filter(|i| i.is_active()) {
            let alert = crate::state::shown(rule, instance);
            let reason = reason(rule, &alert, &step);
            alerts.push((alert, reason));
        }
    }
    let rules = Arc::clone(engine.rules());
    let records: BTreeSet<&Arc<str>> = rules.iter().filter(|r| r.is_recording()).map(|r| &r.uid).collect();
    let recorded =
        step.reports.iter().filter(|r| records.contains(&r.uid) && r.error.is_none()).map(|r| r.series).sum();
    let errors = step.reports.iter().filter_map(|r| Some((r.uid.clone(), r.error.clone()?))).collect();
    let happened = step.transitions.iter().cloned().map(Arc::new);
    let now = Now::simulated(at);
    let mut done = Router::default().step_without_waits(happened, routes, now);
    engine.refresh(&mut done.notices, now, store);
    DryRun {
        at,
        rules: engine.rules().len(),
        tests,
        alerts,
        recorded,
        errors,
        transitions: step.transitions,
        notices: done.notices,
        held: done.held,
    }
}

fn step(engine: &mut Engine, answered: &Answered, store: &EmbeddedStore, at: Timestamp) -> Step {
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut publish = |samples: Vec<crate::model::Sample>| {
        let batch = Batch::from_iter(samples);
        store.append(&batch, at.0);
    };
    let mut around = Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
    engine.step_with(Now::simulated(at), &due, answered, &mut around)
}

/// Why the alert is in its state, in words.
fn reason(rule: &Rule, alert: &Alert, step: &Step) -> String {
    let mut out = format!("{} {}", float_text::text(alert.value), alert.condition);
    if let Some(judged) = step.judged.iter().flat_map(|(_, points)| points).find(|p| {
        p.value.to_bits() == alert.value.to_bits() && p.labels.iter().all(|(n, v)| alert.labels.get(n) == Some(v))
    }) {
        let j = &judged.judgement;
        out = format!(
            "{} is {} the expected {:.6} ({:.6} to {:.6}), score {:.1}",
            float_text::text(alert.value),
            j.reason.as_str(),
            j.expected,
            j.lower,
            j.upper,
            j.score
        );
    }
    if alert.state == AlertState::Pending {
        out.push_str(&format!("; fires after {}", crate::model::format_duration(rule.hold)));
    }
    out
}

/// The alerts of `--output json`.
pub fn alerts_json(run: &DryRun) -> Vec<Json> {
    run.alerts
        .iter()
        .map(|(alert, reason)| {
            json!({
                "rule": alert.rule,
                "state": alert.state.as_str(),
                "severity": alert.severity,
                "labels": alert.labels,
                "annotations": alert.annotations,
                "value": number(alert.value),
                "active_at": alert.active_at,
                "reason": reason,
                "fingerprint": alert.fingerprint,
                "file": alert.origin.file,
                "line": alert.origin.line,
            })
        })
        .collect()
}

/// A float as a JSON number, or as text where JSON has no number for it.
pub fn number(value: f64) -> Json {
    if value.is_finite() { json!(value) } else { json!(float_text::text(value)) }
}

/// What would not be told to handlers, of `--output json`.
pub fn held_json(run: &DryRun) -> Vec<Json> {
    let held = run.held.iter().filter_map(|held| Some((held, held.handler.as_ref()?)));
    held.map(|(held, handler)| {
        let mut value = json!({
            "handler": handler, "alert": held.transition.alert.fingerprint, "rule": held.transition.alert.rule,
            "reason": held.reason.as_str(), "by": held.detail,
        });
        if !held.by.is_empty() {
            value["inhibited_by"] = json!(held.by);
        }
        if let Some(until) = held.until {
            value["until"] = json!(until);
        }
        value
    })
    .collect()
}

/// The notices of `--output json`.
pub fn notices_json(run: &DryRun, handlers: &[Arc<dyn Handler>]) -> Vec<Json> {
    run.notices
        .iter()
        .map(|notice| {
            let handler = handlers.iter().find(|h| *h.name() == *notice.handler);
            let preview = handler.map(|h| h.preview(notice)).unwrap_or_default();
            let payload = serde_json::from_str::<Json>(&preview.payload)
                .unwrap_or_else(|_| Json::String(preview.payload.clone()));
            json!({
                "handler": notice.handler,
                "type": handler.map_or("console", |h| h.kind()),
                "status": notice.kind.as_str(),
                "reason": notice.reason.as_str(),
                "alerts": notice.transitions.iter().map(|t| t.alert.fingerprint).collect::<Vec<_>>(),
                "method": preview.method,
                "url": preview.url,
                "payload": payload,
            })
        })
        .collect()
}
