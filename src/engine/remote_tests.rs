//! Rules on a remote store against the same rules on the embedded one: with a store that answers they do the same, with
//! one that does not nothing ends.

use std::sync::Arc;
use std::time::Duration;

use super::{Answered, Engine, EngineOptions, Surroundings};
use crate::diag::SourceFile;
use crate::ingest::Batch;
use crate::model::labels::METRIC_NAME;
use crate::model::{Labels, Now, Timestamp, Transition, TransitionKind};
use crate::promql::{
    Answer, Answers, EvalOptions, ParseOptions, Plan, Question, SlotCache, Value, When, eval_instant, eval_range, parse,
};
use crate::rule::{LoadOptions, Rule, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

const RULES: &str = r#"
defaults: {source: there}
rules:
  - {name: above, metric: cpu, threshold: "> 80", recover: "< 60", for: 30s}
  - {name: levels, metric: cpu, levels: {warning: "> 50", critical: "> 90"}, keep_firing_for: 30s}
  - {name: p95, metric: sys.load, reduce: p95, over: 1m, combine: max, threshold: ">= 75"}
  - name: ratio
    queries: {failed: sum by (host) (mem), total: sum by (host) (cpu)}
    when: failed / total > 1.5 && total > 0
    value: failed / total
  - name: plain
    expr: cpu > 70 and mem > 10
    recover_expr: cpu < 30
    annotations: {summary: "{{ with query (print \"max(cpu{host='\" $labels.host \"'})\") }}{{ . | first | value }}{{ end }}"}
  - {name: odd, metric: cpu, anomaly: {method: moving_average, window: 10m, sigma: 3, min_samples: 5, refractory: 0s}}
"#;

fn rules(source: bool) -> Vec<Rule> {
    let loaded = load(&[SourceFile::new("rules.yaml", RULES)], &LoadOptions::default());
    assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
    let mut rules = loaded.rules;
    assert!(rules.iter().all(|rule| rule.source.as_deref() == Some("there")));
    if !source {
        rules.iter_mut().for_each(|rule| rule.source = None);
    }
    rules
}

/// Two hosts with two metrics each, from the beginning to a step.
fn store(steps: i64) -> EmbeddedStore {
    let store = EmbeddedStore::new(StoreOptions::for_files());
    let mut batch = Batch::default();
    for step in 0..=steps {
        for (i, metric) in ["cpu", "mem", "sys.load"].into_iter().enumerate() {
            for (j, host) in ["a", "b"].into_iter().enumerate() {
                let value = (step * 37 * (i as i64 + 2) + step / 7 * 53 + j as i64 * 19) % 120;
                let labels = Labels::from_pairs([(METRIC_NAME, metric), ("host", host)]);
                batch.push(labels, Some(step * 15_000), value as f64);
            }
        }
    }
    store.append(&batch, i64::MAX / 2);
    store
}

type Said = Result<Arc<Answer>, Arc<str>>;

/// What a Prometheus would say.
fn said(store: &EmbeddedStore, question: &Question) -> Said {
    let plan = Plan::new(&parse(&question.text, &ParseOptions::default()).expect("what is sent is plain PromQL"));
    let options = EvalOptions::default();
    let value = match question.when {
        When::At(at) => eval_instant(&plan, store, at, &options, &SlotCache::default()),
        When::Range { start_ms, end_ms, step_ms } => {
            eval_range(&plan, store, start_ms, end_ms, step_ms, &options).map(Value::Matrix)
        }
    };
    value.map(|value| Arc::new(Answer { value, partial: None })).map_err(|error| error.to_string().into())
}

fn answers(engine: &Engine, now: Now, say: &dyn Fn(&Question) -> Said) -> Answered {
    let mut answered = Answered::new();
    for (index, rule) in engine.rules().iter().enumerate() {
        let mut known = Answers::default();
        let mut rounds = 0;
        loop {
            let questions = engine.questions(index, now, &known);
            if questions.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds <= 3, "{}: asks on and on", rule.name);
            for question in questions {
                let said = say(&question);
                known.insert(question, said);
            }
        }
        answered.insert(rule.uid.clone(), known);
    }
    answered
}

fn step(engine: &mut Engine, store: &EmbeddedStore, at: i64, answered: &Answered) -> Vec<Transition> {
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut around = Surroundings { source: store, publish: &mut |_| {}, young: false, stopwatch: &|| Duration::ZERO };
    engine.step_with(Now::simulated(Timestamp(at * 15_000)), &due, answered, &mut around).transitions
}

/// Everything but the course of signals that a query with a filter does not give.
fn told(mut transitions: Vec<Transition>) -> Vec<String> {
    for transition in &mut transitions {
        if matches!(&*transition.alert.rule, "plain" | "odd") {
            transition.trend.clear();
        }
    }
    transitions.iter().map(|t| serde_json::to_string(t).expect("a transition is serialisable")).collect()
}

#[test]
fn rules_do_on_a_remote_store_what_they_do_on_the_one_inside() {
    let nothing = EmbeddedStore::new(StoreOptions::for_files());
    let mut here = Engine::new(rules(false), EngineOptions::default());
    let mut there = Engine::new(rules(true), EngineOptions::default());
    let mut seen = 0;
    for at in 40..160 {
        let store = store(at);
        let now = Now::simulated(Timestamp(at * 15_000));
        let mut want = step(&mut here, &store, at, &Answered::new());
        super::tests::draw(&here, &mut want, &store, at);
        let want = told(want);
        let answered = answers(&there, now, &|question| said(&store, question));
        let got = told(step(&mut there, &nothing, at, &answered));
        assert_eq!(got, want, "at step {at}");
        seen += got.len();
    }
    assert!(seen > 60, "only {seen} transitions were compared");
    assert!(there.state("odd").is_some_and(|state| state.detectors.len() == 2), "detectors follow the signal");
}

#[test]
fn a_store_that_answers_nothing_or_in_part_ends_nothing() {
    let nothing = EmbeddedStore::new(StoreOptions::for_files());
    let mut engine = Engine::new(rules(true), EngineOptions::default());
    let at = (40..160).find(|at| {
        let store = store(*at);
        let now = Now::simulated(Timestamp(at * 15_000));
        let answered = answers(&engine, now, &|question| said(&store, question));
        let transitions = step(&mut engine, &nothing, *at, &answered);
        transitions.iter().filter(|t| t.kind == TransitionKind::Fired).count() > 2
    });
    let at = at.expect("something fires");
    let firing = |engine: &Engine| {
        let instances = engine.states().flat_map(|(_, state)| state.instances.values());
        instances.filter(|i| i.state == crate::model::AlertState::Firing).count()
    };
    let before = firing(&engine);
    let empty =
        |partial: Option<&str>| Answer { value: Value::Vector(Vec::new()), partial: partial.map(str::to_owned) };
    for (later, say) in [(1, Err(Arc::<str>::from("HTTP 500"))), (2, Ok(Arc::new(empty(Some("a replica is away")))))] {
        let now = Now::simulated(Timestamp((at + later) * 15_000));
        let answered = answers(&engine, now, &|_| say.clone());
        let transitions = step(&mut engine, &nothing, at + later, &answered);
        let ended = transitions.iter().filter(|t| t.kind.is_end()).count();
        assert_eq!((ended, firing(&engine)), (0, before), "{say:?}");
    }
    // Nobody asked at all: the same.
    step(&mut engine, &nothing, at + 3, &Answered::new());
    assert_eq!(firing(&engine), before);
}
