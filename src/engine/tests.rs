//! The core as a whole: rules as text, samples in a store, transitions out.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Engine, EngineOptions, SavedState, Surroundings};
use crate::diag::SourceFile;
use crate::ingest::Batch;
use crate::model::labels::METRIC_NAME;
use crate::model::{
    GroupRef, Labels, Notice, NoticeKind, NoticeReason, Now, SILENT_NAN, STALE_NAN, Timestamp, Transition,
};
use crate::rule::{LoadOptions, Rule, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// All forms of rules, over two metrics, evaluated every 15 s.
const RULES: &str = r#"
rules:
  - {name: above, metric: cpu, threshold: "> 80", recover: "< 60", for: 30s, cooldown: 2m}
  - {name: levels, metric: cpu, levels: {warning: "> 50", critical: "> 90"}, keep_firing_for: 30s}
  - {name: p95, metric: cpu, reduce: p95, over: 1m, combine: max, threshold: ">= 75", annotations: {summary: "{{ $value | printf \"%.1f\" }}"}}
  - name: ratio
    queries: {failed: sum by (host) (mem), total: sum by (host) (cpu)}
    when: failed / total > 1.5 && total > 0
    recover_when: failed / total < 1
    value: failed / total
  - {name: plain, expr: cpu > 70 and mem > 10, labels: {team: "{{ $labels.host }}-team"}}
  - {name: follows, expr: cpu > 40, labels: {level: "{{ if gt $value 80.0 }}high{{ else }}low{{ end }}"}, keep_firing_for: 30s}
  - {name: odd, metric: cpu, anomaly: {method: moving_average, window: 10m, sigma: 3, min_samples: 5, refractory: 0s}}
  - {name: reads_detector, expr: 'odd:score > 3'}
  - {name: flaps, metric: cpu, threshold: "> 55", flapping: {changes: 3, window: 3m, quiet: 1m}}
  - {name: silence, metric: mem, threshold: "< -1000", on_no_data: fire, for: 15s}
"#;

/// A group that records, reads what it recorded, and reads alerts.
const GROUPS: &str = r#"
groups:
  - name: g
    rules:
      - {record: "cpu:max", expr: max by (host) (cpu > 20)}
      - {alert: OnRecorded, expr: "cpu:max > 60", for: 15s, keep_firing_for: 15s}
      - {alert: OnAlerts, expr: 'count(ALERTS{alertname="OnRecorded", alertstate="firing"}) > 1'}
      - {record: all, expr: 'count by (__name__) ({__name__=~".+", __name__!="all"})'}
      - {alert: Many, expr: "sum(all) > 9"}
"#;

fn rules(text: &str) -> Vec<Rule> {
    let loaded = load(
        &[("rules.yaml", text), ("groups.yaml", GROUPS)].map(|(name, text)| SourceFile::new(name, text)),
        &LoadOptions::default(),
    );
    assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
    loaded.rules
}

/// One sample of the input, by step of 15 s.
#[derive(Clone, Debug)]
struct Input {
    step: i64,
    metric: &'static str,
    host: &'static str,
    value: f64,
}

fn store_of(inputs: &[Input]) -> EmbeddedStore {
    let store = EmbeddedStore::new(StoreOptions::for_files());
    feed(&store, inputs.iter());
    store
}

fn feed<'a>(store: &EmbeddedStore, inputs: impl Iterator<Item = &'a Input>) {
    let mut batch = Batch::default();
    for input in inputs {
        let labels = Labels::from_pairs([(METRIC_NAME, input.metric), ("host", input.host)]);
        batch.push(labels, Some(input.step * 15_000), input.value);
    }
    store.append(&batch, i64::MAX / 2);
}

fn step(engine: &mut Engine, store: &EmbeddedStore, at_step: i64) -> Vec<Transition> {
    let now = Now::simulated(Timestamp(at_step * 15_000));
    let mut publish = |samples: Vec<crate::model::Sample>| {
        let batch = Batch::from_iter(samples);
        store.append(&batch, i64::MAX / 2);
    };
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut around = Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
    engine.step(now, &due, &mut around).transitions
}

/// What people would be told.
pub(super) fn draw(engine: &Engine, transitions: &mut [Transition], store: &EmbeddedStore, at_step: i64) {
    let mut notices = [Notice {
        id: "n".to_owned(),
        handler: "h".into(),
        kind: NoticeKind::Firing,
        reason: NoticeReason::First,
        at: Timestamp(at_step * 15_000),
        group: GroupRef::default(),
        note: None,
        held_over: Vec::new(),
        transitions: transitions.iter().cloned().map(Arc::new).collect(),
    }];
    assert_eq!(engine.refresh(&mut notices, Now::simulated(Timestamp(at_step * 15_000)), store), 0);
    for (transition, told) in transitions.iter_mut().zip(&notices[0].transitions) {
        transition.clone_from(told);
    }
}

fn bytes(transitions: &[Transition]) -> String {
    transitions.iter().map(|t| serde_json::to_string(t).expect("a transition is serialisable") + "\n").collect()
}

/// The whole input is in the store before the first step, as in a dry run.
fn whole(inputs: &[Input], steps: i64, threads: usize) -> String {
    let store = store_of(inputs);
    let mut engine = Engine::new(rules(RULES), EngineOptions { threads, ..EngineOptions::default() });
    (0..steps).map(|at| bytes(&step(&mut engine, &store, at))).collect()
}

/// Samples arrive as time passes, as in the daemon.
fn live(inputs: &[Input], steps: i64, threads: usize) -> String {
    let store = store_of(&[]);
    let mut engine = Engine::new(rules(RULES), EngineOptions { threads, ..EngineOptions::default() });
    let mut out = String::new();
    for at in 0..steps {
        feed(&store, inputs.iter().filter(|i| i.step == at));
        out.push_str(&bytes(&step(&mut engine, &store, at)));
    }
    out
}

/// As [`live`], but the core is saved as text and restored into a new one before the given steps.
fn restarted(inputs: &[Input], steps: i64, restarts: &[i64]) -> String {
    let store = store_of(&[]);
    let mut engine = Engine::new(rules(RULES), EngineOptions::default());
    let mut out = String::new();
    for at in 0..steps {
        if restarts.contains(&at) {
            let saved = serde_json::to_string(&engine.save()).expect("state is serialisable");
            let saved: SavedState = serde_json::from_str(&saved).expect("state reads back");
            engine = Engine::new(rules(RULES), EngineOptions::default());
            engine.restore(saved);
        }
        feed(&store, inputs.iter().filter(|i| i.step == at));
        out.push_str(&bytes(&step(&mut engine, &store, at)));
    }
    out
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0u32..120).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(STALE_NAN),
        1 => Just(SILENT_NAN),
    ]
}

fn inputs(steps: i64) -> impl Strategy<Value = Vec<Input>> {
    let one = (0..steps, prop_oneof![Just("cpu"), Just("mem")], prop_oneof![Just("a"), Just("b"), Just("c")], value());
    prop::collection::vec(one, 0..150).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        list.into_iter()
            .filter(|(step, metric, host, _)| seen.insert((*step, *metric, *host)))
            .map(|(step, metric, host, value)| Input { step, metric, host, value })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_samples_and_times_give_the_same_bytes_however_the_core_is_driven(inputs in inputs(40)) {
        let reference = whole(&inputs, 40, 1);
        prop_assert_eq!(&live(&inputs, 40, 1), &reference, "samples that arrive as time passes");
        prop_assert_eq!(&live(&inputs, 40, 3), &reference, "three threads");
    }

    #[test]
    fn restored_equals_never_stopped(inputs in inputs(40), cuts in prop::collection::vec(1i64..40, 1..4)) {
        prop_assert_eq!(restarted(&inputs, 40, &cuts), live(&inputs, 40, 1));
    }
}

#[test]
fn a_rule_sees_what_a_detector_published_at_the_same_slot() {
    let mut input: Vec<Input> = (0..20)
        .map(|step| Input { step, metric: "cpu", host: "a", value: if step % 2 == 0 { 50.0 } else { 51.0 } })
        .collect();
    input.push(Input { step: 20, metric: "cpu", host: "a", value: 99.0 });
    let store = store_of(&input);
    let mut engine = Engine::new(rules(RULES), EngineOptions::default());
    (0..20).for_each(|at| drop(step(&mut engine, &store, at)));
    let fired: Vec<String> = step(&mut engine, &store, 20)
        .into_iter()
        .filter(|t| t.kind == crate::model::TransitionKind::Fired)
        .map(|t| t.alert.rule.to_string())
        .collect();
    assert!(fired.contains(&"odd".to_owned()) && fired.contains(&"reads_detector".to_owned()), "{fired:?}");
}

#[test]
fn a_detector_learns_the_history_of_a_series_before_its_first_verdict() {
    let calm = |step| Input { step, metric: "cpu", host: "a", value: f64::from(50 + (step % 3) as i32) };
    let mut input: Vec<Input> = (0..30).map(calm).collect();
    input.push(Input { step: 30, metric: "cpu", host: "a", value: 90.0 });
    let store = store_of(&input);
    let mut engine = Engine::new(rules(RULES), EngineOptions::default());
    let mut first = step(&mut engine, &store, 30);
    assert!(first.iter().all(|t| t.trend.is_empty()), "nobody is told yet");
    draw(&engine, &mut first, &store, 30);
    let odd = first.iter().find(|t| &*t.alert.rule == "odd").expect("the first evaluation judges");
    assert!(odd.trend.len() >= 25, "the message shows the history: {:?}", odd.trend);
}

#[test]
fn a_removed_rule_ends_its_alerts_and_a_moved_one_keeps_them() {
    let store = store_of(&[Input { step: 0, metric: "cpu", host: "a", value: 99.0 }]);
    let mut engine = Engine::new(rules(RULES), EngineOptions::default());
    step(&mut engine, &store, 0);
    step(&mut engine, &store, 1);
    let mut moved = rules(RULES);
    for rule in &mut moved {
        rule.origin.file = "elsewhere.yaml".into();
    }
    let now = Now::simulated(Timestamp(30_000));
    assert_eq!(engine.replace_rules(moved, now), vec![], "another file changes nothing");
    let left: Vec<Rule> = rules(RULES).into_iter().filter(|r| &*r.name != "levels").collect();
    let ended = engine.replace_rules(left, now);
    assert_eq!(ended.len(), 1);
    assert_eq!(&*ended[0].alert.rule, "levels");
    assert!(matches!(ended[0].kind, crate::model::TransitionKind::Resolved { .. }));
}

#[test]
fn a_fault_in_one_rule_is_an_error_of_that_rule_alone() {
    struct Faulty<'a>(&'a EmbeddedStore);
    impl crate::promql::Source for Faulty<'_> {
        fn select(
            &self,
            matchers: &[crate::promql::Matcher],
        ) -> Result<crate::promql::Selection, crate::promql::SourceError> {
            assert!(!matchers.iter().any(|m| m.value == "mem"), "a planted fault");
            self.0.select(matchers)
        }
        fn instant(
            &self,
            selection: &crate::promql::Selection,
            at_ms: i64,
            lookback_ms: i64,
            out: &mut Vec<Option<crate::model::Point>>,
        ) -> Result<(), crate::promql::SourceError> {
            self.0.instant(selection, at_ms, lookback_ms, out)
        }
        fn range(
            &self,
            selection: &crate::promql::Selection,
            from_ms: i64,
            to_ms: i64,
            visit: &mut crate::promql::Visit<'_>,
        ) -> Result<(), crate::promql::SourceError> {
            self.0.range(selection, from_ms, to_ms, visit)
        }
        fn absence(&self, matchers: &[crate::promql::Matcher], at_ms: i64) -> crate::model::AbsenceReason {
            self.0.absence(matchers, at_ms)
        }
    }
    let store = store_of(&[Input { step: 0, metric: "cpu", host: "a", value: 99.0 }]);
    let mut engine = Engine::new(rules(RULES), EngineOptions::default());
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut around =
        Surroundings { source: &Faulty(&store), publish: &mut |_| {}, young: false, stopwatch: &|| Duration::ZERO };
    let done = engine.step(Now::simulated(Timestamp(0)), &due, &mut around);
    let of = |name: &str| done.reports.iter().find(|r| &*r.uid == name).expect("evaluated");
    assert!(of("silence").error.as_ref().is_some_and(|e| e.contains("a planted fault")), "{:?}", of("silence"));
    assert_eq!(of("levels").error, None);
    assert!(done.transitions.iter().any(|t| &*t.alert.rule == "levels"), "the others fire");
}
