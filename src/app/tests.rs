//! The wiring: one core in daemon, dry run and rule tests; clocks that jump; the agenda.

pub(super) mod bench;
mod taking;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::agenda::Agenda;
use super::dry_run::dry_run;
use super::hub::{Hub, Parts};
use super::keeper::Keeper;
use super::load::{self as loading, Sources};
use super::outbox::{MemoryLedger, Outbox, Target};
use super::own_metrics::OwnMetrics;
use super::rule_tests::play;
use crate::clock::{Clock, Discipline};
use crate::diag::SourceFile;
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::model::{Now, Timestamp, Transition};
use crate::received::Report;
use crate::route::Routes;
use crate::rule::{Expectation, LoadOptions, Rule, RuleTest, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::telemetry::Registry;

/// A machine whose wall clock can be set: seconds on the wall and on the monotonic clock.
struct Machine(Mutex<(i64, i64, Discipline)>);

impl Machine {
    fn new(wall_secs: i64) -> Arc<Self> {
        Arc::new(Self(Mutex::new((wall_secs, 0, Discipline::new(wall_secs * 1000, 0)))))
    }

    /// Lets real time pass.
    fn pass(&self, secs: i64) {
        let mut inner = self.0.lock().unwrap();
        (inner.0, inner.1) = (inner.0 + secs, inner.1 + secs);
    }

    /// Sets the wall clock.
    fn set_by(&self, secs: i64) {
        self.0.lock().unwrap().0 += secs;
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let mut inner = self.0.lock().unwrap();
        let (wall, mono) = (inner.0, inner.1);
        inner.2.observe(wall * 1000, mono * 1000);
        Timestamp::from_secs(wall)
    }

    fn at_slot(&self, slot: Timestamp) -> Now {
        self.now();
        self.0.lock().unwrap().2.at_slot(slot)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.lock().unwrap().1).unwrap())
    }

    fn take_jumps(&self) -> Vec<i64> {
        self.0.lock().unwrap().2.take_jumps()
    }
}

fn rules(text: &str) -> Vec<Rule> {
    let loaded = load(&[SourceFile::new("rules.yaml", text)], &LoadOptions::default());
    assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
    loaded.rules
}

fn hub(clock: Arc<dyn Clock>, rules: Vec<Rule>) -> Hub {
    let registry = Arc::new(Registry::new());
    let metrics = OwnMetrics::new(registry);
    let keeper = Keeper::in_memory(metrics.clone());
    let store = Arc::new(EmbeddedStore::new(StoreOptions::default()));
    let hub = Hub::new(Parts { clock, store, metrics, keeper }, EngineOptions::default()).unwrap();
    hub.replace(rules, Routes::default());
    hub
}

/// Seconds of the simulated daemon: a sample of `value(step)` and an evaluation every 15 s.
struct Daemon {
    machine: Arc<Machine>,
    hub: Hub,
}

impl Daemon {
    fn new(start_secs: i64, text: &str) -> Self {
        let machine = Machine::new(start_secs);
        Self { hub: hub(machine.clone(), rules(text)), machine }
    }

    /// One sample of `m` now, then an evaluation.
    fn tick(&self, value: f64) -> Vec<Arc<Transition>> {
        let mut batch = Batch::default();
        let labels = crate::model::Labels::from_pairs([("__name__", "m"), ("host", "a")]);
        let now = self.machine.now().0;
        batch.push(labels, Some(now), value);
        self.hub.store.append(&batch, now);
        let changes = self.hub.run_due();
        self.machine.pass(15);
        changes
    }

    /// The wall clock is set; the evaluator, which wakes twice a second, notices before new samples come in.
    fn jump(&self, secs: i64) -> Vec<Arc<Transition>> {
        self.machine.set_by(secs);
        self.hub.run_due()
    }
}

fn kinds(changes: &[Arc<Transition>]) -> Vec<&'static str> {
    changes.iter().map(|t| t.kind.as_str()).collect()
}

const FORMS: [&str; 7] = [
    r#"{name: r, metric: m, threshold: "> 80", recover: "< 60", for: 30s, cooldown: 2m, every: 15s}"#,
    r#"{name: r, metric: m, levels: {warning: "> 50", critical: "> 90"}, keep_firing_for: 30s, every: 15s}"#,
    r#"{name: r, metric: m, reduce: p95, over: 1m, combine: max, threshold: ">= 75", every: 15s}"#,
    r#"{name: r, expr: m > 50, labels: {level: "{{ if gt $value 80.0 }}high{{ else }}low{{ end }}"}, keep_firing_for: 30s, every: 15s}"#,
    r#"{name: r, queries: {a: sum by (host) (m), b: count by (host) (m)}, when: a / b > 70, every: 15s}"#,
    r#"{name: r, expr: m > 70, labels: {team: "{{ $labels.host }}"}, annotations: {summary: "{{ $value }}"}, every: 15s}"#,
    r#"{name: r, metric: m, anomaly: {method: ewma, window: 10m, sigma: 2, min_samples: 5, refractory: 0s}, every: 15s}"#,
];

#[test]
fn daemon_dry_run_and_rule_test_give_the_same_bytes() {
    let values = [10.0, 55.0, 95.0, 96.0, 97.0, 70.0, 59.0, 12.0, 85.0, 86.0, 91.0, 10.0, 11.0, 99.0, 10.0, 10.0, 88.0];
    for form in FORMS {
        let text = format!("rules: [{form}]");
        let rule = rules(&text).remove(0);
        let test = RuleTest {
            name: "equal".to_owned(),
            origin: rule.origin.clone(),
            interval: Duration::from_secs(15),
            series: vec![(
                crate::model::Labels::from_pairs([("__name__", "m"), ("host", "a")]),
                values.iter().map(|v| Some(*v)).collect(),
            )],
            at: Duration::from_secs(15 * (values.len() as u64 - 1)),
            expect: Expectation::State(crate::model::AlertState::Inactive),
        };
        let tested = play(&rule, std::slice::from_ref(&rule), &test, &EngineOptions::default())
            .expect("the test runs")
            .transitions;
        let daemon = Daemon::new(-15, &text);
        daemon.machine.pass(15);
        let lived: Vec<Transition> = values.iter().flat_map(|v| daemon.tick(*v)).map(|t| (*t).clone()).collect();
        let bytes = |list: &[Transition]| serde_json::to_string(list).expect("serialisable");
        assert_eq!(bytes(&lived), bytes(&tested), "{form}");
        assert!(!lived.is_empty(), "{form}: something happens");
        // A dry run is the first evaluation of a core: equal to that of a test that ends there.
        for last in 0..values.len() {
            let store = EmbeddedStore::new(StoreOptions::for_files());
            let mut batch = Batch::default();
            for (step, value) in values.iter().enumerate().take(last + 1) {
                batch.push(test.series[0].0.clone(), Some(step as i64 * 15_000), *value);
            }
            store.append(&batch, 0);
            let at = Timestamp(last as i64 * 15_000);
            let dry = dry_run(vec![rule.clone()], &Routes::default(), &store, at, &EngineOptions::default());
            let first = Daemon::new(at.0 / 1000 - 15, &text);
            first.hub.store.append(&batch, at.0);
            first.machine.pass(15);
            let first: Vec<Transition> = first.hub.run_due().into_iter().map(|t| (*t).clone()).collect();
            assert_eq!(bytes(&dry.transitions), bytes(&first), "{form} at {last}");
        }
    }
}

const HELD: &str = r#"rules: [{name: r, metric: m, threshold: "> 5", for: 2m, every: 15s}]"#;
const PLAIN: &str = r#"rules: [{name: r, expr: m > 5, every: 15s}]"#;

#[test]
fn a_clock_set_forward_fires_nothing_early() {
    let daemon = Daemon::new(1_700_000_000, HELD);
    assert_eq!(kinds(&daemon.tick(9.0)), Vec::<&str>::new());
    let mut changes = Vec::new();
    for _ in 0..4 {
        changes.extend(daemon.tick(9.0));
    }
    changes.extend(daemon.jump(3600));
    changes.extend(daemon.tick(9.0));
    assert!(
        !kinds(&changes).contains(&"fired"),
        "an hour on the wall is no hour of the condition: {:?}",
        kinds(&changes)
    );
    for _ in 0..8 {
        changes.extend(daemon.tick(9.0));
    }
    assert!(kinds(&changes).contains(&"fired"), "{:?}", kinds(&changes));
    let jumps = daemon.hub.metrics.registry().counter("alertd_clock_jumps_total", &[]).get();
    assert_eq!(jumps, 1.0);
}

#[test]
fn a_clock_set_back_neither_stops_evaluation_nor_resolves_anything() {
    for text in [PLAIN, r#"rules: [{name: r, metric: m, threshold: "> 5", every: 15s}]"#] {
        let daemon = Daemon::new(1_700_000_000, text);
        // An hour ago all was well: what the store knows of then must not be taken for now.
        for _ in 0..250 {
            daemon.tick(1.0);
        }
        let fired: Vec<_> = (0..4).flat_map(|_| daemon.tick(9.0)).collect();
        assert_eq!(kinds(&fired), ["fired"], "{text}");
        let before = daemon.hub.last_slot();
        let mut after = daemon.jump(-3600);
        after.extend((0..8).flat_map(|_| daemon.tick(9.0)));
        assert!(!after.iter().any(|t| t.kind.is_end()), "{text}: {:?}", kinds(&after));
        assert!(daemon.hub.last_slot() < before, "evaluation goes on at once on the new time");
        let recovered: Vec<_> = (0..2).flat_map(|_| daemon.tick(1.0)).collect();
        assert!(recovered.iter().any(|t| t.kind.is_end()), "{text}");
    }
}

#[test]
fn sleeping_for_half_an_hour_costs_one_catch_up_evaluation() {
    let daemon = Daemon::new(1_700_000_000, HELD);
    daemon.tick(9.0);
    daemon.tick(9.0);
    let mut slept = daemon.jump(1800);
    slept.extend(daemon.tick(9.0));
    assert!(!kinds(&slept).contains(&"fired"));
    let of = |result| daemon.hub.metrics.registry().counter("alertd_evaluations_total", &[("result", result)]).get();
    let evaluations = of("ok") + of("empty");
    assert!((2.0..=4.0).contains(&evaluations), "{evaluations} evaluations, not one for each slot of the night");
}

#[test]
fn a_report_after_a_jump_ends_no_alert_that_is_not_in_it() {
    let daemon = Daemon::new(1_700_000_000, PLAIN);
    let receive = |name: &str| {
        let report = Report { labels: vec![("alertname".into(), name.into())], ..Report::default() };
        daemon.hub.receive(vec![report], Duration::from_secs(300)).unwrap();
        daemon.hub.run_due();
        daemon.hub.core().received.firing().count()
    };
    assert_eq!(receive("a"), 1);
    daemon.machine.set_by(8 * 3600);
    assert_eq!(receive("b"), 2, "whoever reports a slept as well");
    daemon.machine.set_by(-3600);
    assert_eq!(receive("c"), 3);
    daemon.machine.pass(299);
    assert_eq!(receive("d"), 4);
    daemon.machine.pass(2);
    assert_eq!(receive("d"), 1, "time that passes ends those that nobody repeats, an hour set back or not");
}

#[test]
fn missed_slots_are_skipped_and_counted() {
    let all = rules(r#"rules: [{name: a, expr: m, every: 15s}, {name: b, expr: m, every: 1m}]"#);
    let mut agenda = Agenda::new(&all, Timestamp(0));
    assert_eq!(agenda.next(), Some(Timestamp(15_000)), "a new set waits for the next slot");
    let due = agenda.take_due(&all, Timestamp(15_000));
    assert_eq!((due.len(), due[0].rules.clone(), due[0].missed), (1, vec![0], 0));
    // Late by a minute: a missed 30, 45 and 60 s and is evaluated at 75 s; b missed nothing and is late.
    let due = agenda.take_due(&all, Timestamp(80_000));
    let shown: Vec<_> = due.iter().map(|d| (d.slot.0 / 1000, d.rules.clone(), d.missed)).collect();
    assert_eq!(shown, [(60, vec![1], 0), (75, vec![0], 3)]);
    assert_eq!(agenda.next(), Some(Timestamp(90_000)));
}

#[test]
fn a_fault_in_a_handler_costs_one_notice_and_no_other() {
    use crate::model::{GroupRef, Labels, Notice, NoticeKind, NoticeReason};
    use crate::notify::{Attempt, Handler, Outcome, Preview, Sending};

    struct Faulty(Arc<Mutex<Vec<String>>>);
    impl Handler for Faulty {
        fn name(&self) -> &str {
            "faulty"
        }
        fn kind(&self) -> &'static str {
            "test"
        }
        fn preview(&self, _notice: &Notice) -> Preview {
            Preview::default()
        }
        fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
            assert_ne!(notice.id, "2", "a planted fault");
            self.0.lock().unwrap().push(notice.id.clone());
            Box::pin(std::future::ready(Outcome::sent("taken")))
        }
    }

    let registry = Arc::new(Registry::new());
    let metrics = OwnMetrics::new(registry.clone());
    let outbox = Outbox::new(Machine::new(0), metrics, Arc::new(MemoryLedger)).unwrap();
    let sent = Arc::new(Mutex::new(Vec::new()));
    outbox.replace(vec![Target::new(Arc::new(Faulty(Arc::clone(&sent))))]);
    for id in ["1", "2", "3"] {
        let handler = Arc::from("faulty");
        let group = GroupRef::new(id, Labels::empty());
        let (kind, reason, at) = (NoticeKind::Firing, NoticeReason::First, Timestamp(0));
        outbox.put(Arc::new(Notice {
            id: id.to_owned(),
            handler,
            kind,
            reason,
            at,
            group,
            note: None,
            held_over: Vec::new(),
            transitions: Vec::new(),
        }));
    }
    assert!(outbox.settle(Duration::from_secs(20)));
    assert_eq!(*sent.lock().unwrap(), ["1", "3"]);
    assert_eq!(registry.counter("alertd_dead_letters_total", &[("handler", "faulty")]).get(), 1.0);
}

#[test]
fn what_leaves_carries_the_labels_of_the_installation_and_keeps_its_own() {
    use crate::model::Labels;
    use crate::route::{Receiver, Router, Silences};

    let text = r#"rules: [{name: r, metric: m, threshold: "> 5", labels: {team: own}, every: 15s}]"#;
    let daemon = Daemon::new(1_700_000_000 / 15 * 15, text);
    let changes: Vec<_> = (0..2).flat_map(|_| daemon.tick(9.0)).collect();
    let screen = Receiver::new("screen");
    let external = Labels::from_pairs([("cluster", "a"), ("team", "installation")]);
    let routes = Routes { receivers: vec![screen], external_labels: external, ..Routes::default() };
    let now = crate::model::Now::simulated(changes[0].at);
    let sent = Router::default().step(changes.iter().cloned(), &routes, &Silences::default(), now).notices;
    let alert = &sent.first().expect("it fires").transitions[0].alert;
    assert_eq!((alert.labels.get("cluster"), alert.labels.get("team")), (Some("a"), Some("own")));
    assert_eq!(alert.fingerprint, changes[0].alert.fingerprint, "one identity with and without them");
}

#[test]
fn rules_keep_the_time_intervals_of_the_handler_files_that_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let handlers = write(
        "handlers.yaml",
        "handlers: []\ntime_intervals:\n\
         - {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}]}\n\
         - {name: week, time_intervals: [{weekdays: ['monday:friday'], location: Local}]}\n",
    );
    let rules = write(
        "rules.yaml",
        "defaults: {mute: [nights]}\nrules:\n- {name: a, expr: up == 0, active: [week]}\n\
         - {name: b, expr: up == 0, mute: []}\n",
    );
    let sources = Sources { rules: vec![rules.clone()], handlers: Some(handlers), ..Sources::default() };
    let inputs = loading::load(&sources).unwrap();
    assert!(!inputs.has_errors(), "{:?}", inputs.diagnostics);
    let muted = |rule: usize, at: &str| {
        inputs.rules[rule].times.muted(Timestamp::parse(at).unwrap()).map(|muted| muted.to_string())
    };
    let text = muted(0, "2024-07-03 21:00:00");
    assert_eq!(text.as_deref(), Some("in the time interval `nights` until 2024-07-03T22:00:00Z"));
    assert_eq!(muted(0, "2024-07-03 12:00:00"), None);
    assert!(muted(0, "2024-07-06 12:00:00").is_some_and(|text| text.starts_with("outside the time interval `week`")));
    assert!(inputs.rules[1].times.is_empty());
    // Read alone, the rules are good and their names stand for nothing.
    let alone = loading::rules_only(&[rules]).unwrap();
    assert!(!alone.has_errors() && alone.rules.iter().all(|rule| rule.times.is_empty()));
}
