//! The monitor as a program sees it. All but the two tests of the thread run on a simulated clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HIGH: &str = "rules: [{name: high, metric: load, threshold: '> 5', every: 1s}]";

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn builder(rules: &str) -> MonitorBuilder {
    Monitor::builder().evaluation_interval(SECOND).rules_text("test.yaml", rules)
}

fn kinds(changes: &[Arc<Transition>]) -> Vec<&'static str> {
    changes.iter().map(|change| change.kind.as_str()).collect()
}

#[test]
fn a_receiver_is_told_before_the_step_returns_and_may_ask_the_monitor() {
    let (sender, notices) = mpsc::sync_channel(8);
    let (ask, asked) = mpsc::channel::<Arc<SteppedMonitor>>();
    let (answer, answers) = mpsc::channel();
    let monitor = builder(HIGH)
        .channel("queue", sender)
        .on_notice("closure", move |_| {
            let monitor = asked.recv().unwrap();
            answer.send((monitor.alerts().len(), monitor.query("load").unwrap())).unwrap();
        })
        .stepped(at(0))
        .unwrap();
    let monitor = Arc::new(monitor);
    ask.send(Arc::clone(&monitor)).unwrap();
    monitor.gauge("load", &[]).set(9.0);
    assert_eq!(kinds(&monitor.step(at(1))), ["fired"]);
    let notice = notices.try_recv().unwrap();
    assert_eq!((notice.kind, &*notice.handler), (NoticeKind::Firing, "queue"));
    let (alerts, value) = answers.try_recv().unwrap();
    assert_eq!(alerts, 1);
    assert!(matches!(value, Value::Vector(samples) if samples[0].value == 9.0));
}

#[test]
fn a_rule_sees_the_values_of_its_own_slot_even_between_two_recordings() {
    let monitor = Monitor::builder().rules_text("test.yaml", HIGH).stepped(at(0)).unwrap();
    let load = monitor.gauge("load", &[]);
    load.set(1.0);
    assert!(monitor.step(at(1)).is_empty());
    load.set(6.0);
    assert_eq!(kinds(&monitor.step(at(2))), ["fired"]);
    load.set(5.0);
    assert_eq!(kinds(&monitor.step(at(3))), ["resolved"]);
    assert!(monitor.step(at(1)).is_empty(), "time does not go back");
    assert_eq!(monitor.now(), at(3));
}

#[test]
fn a_registry_is_recorded_at_every_interval_though_no_rule_is_due() {
    let monitor = builder("rules: [{name: seldom, expr: 'vector(0) > 1', every: 1h}]").stepped(at(0)).unwrap();
    monitor.counter("hits_total", &[("path", "/")]).add(3.0);
    monitor.run_until(at(10));
    let value = monitor.query("count_over_time(hits_total[10s])").unwrap();
    assert!(matches!(value, Value::Vector(samples) if samples.len() == 1 && samples[0].value == 10.0));
}

#[test]
fn a_detector_learns_from_history_that_is_pushed() {
    let rules = "rules:
  - name: odd
    metric: app.cost
    anomaly: {window: 1h, sigma: 4, min_samples: 30, min_deviation: 1}
    every: 1m
";
    let monitor = builder(rules).stepped(at(7200)).unwrap();
    let labels = Labels::from_pairs([("__name__", "app.cost")]);
    let history =
        (0..120).map(|i| Sample { labels: labels.clone(), at: at(i * 60), value: (10.0 + (i % 3) as f64).into() });
    let stats = monitor.push_samples(history);
    assert_eq!((stats.appended, stats.refused()), (120, 0));
    monitor.push("app.cost", &[], 11.0);
    assert!(monitor.step(at(7260)).is_empty());
    monitor.push("app.cost", &[], 40.0);
    assert_eq!(kinds(&monitor.step(at(7320))), ["fired"]);
}

#[test]
fn wrong_rules_are_refused_with_every_finding_and_its_place() {
    let wrong = "rules:\n  - name: a\n    expr: up ==\n  - name: b\n    expr: up == 0\n    notify: [pager]\n";
    let Err(BuildError::Rules(found)) = builder(wrong).on_notice("ops", |_| {}).stepped(at(0)) else {
        panic!("taken");
    };
    let places: Vec<(u32, &str)> = found.iter().map(|d| (d.start().line, d.code)).collect();
    assert_eq!(places.len(), 2, "{found}");
    assert_eq!((places[0].0, places[1].0), (3, 6), "{found}");
    assert!(found.to_string().contains("known are `ops`"), "{found}");
    let missing = Monitor::builder().rules_path("no/such/file.yaml").stepped(at(0)).err().unwrap().to_string();
    assert!(missing.contains("no/such/file.yaml"), "{missing}");
    let twice = Monitor::builder().on_notice("a", |_| {}).on_notice("a", |_| {}).stepped(at(0));
    assert!(matches!(twice, Err(BuildError::SameName(name)) if name == "a"));
}

#[test]
fn rules_are_replaced_whole_and_what_was_told_of_the_old_ones_is_taken_back() {
    let (sender, notices) = mpsc::sync_channel(8);
    let monitor = builder(HIGH).channel("queue", sender).stepped(at(0)).unwrap();
    monitor.gauge("load", &[]).set(9.0);
    monitor.step(at(1));
    assert_eq!(notices.try_recv().unwrap().kind, NoticeKind::Firing);
    let findings = monitor.replace_rules(&RuleSources::new().text("new.yaml", "rules: [{name: x}]")).unwrap_err();
    assert!(findings.has_errors());
    assert_eq!(monitor.alerts().len(), 1, "the rules before stay");
    monitor.replace_rules(&RuleSources::new()).unwrap();
    monitor.step(at(2));
    assert_eq!(notices.try_recv().unwrap().kind, NoticeKind::Resolved);
    assert!(monitor.alerts().is_empty());
}

#[test]
fn a_rule_that_fails_is_named_with_its_reason() {
    let rules = "rules: [{name: join, expr: 'a / on() b > 0', every: 1s}]";
    let monitor = builder(rules).stepped(at(0)).unwrap();
    monitor.gauge("a", &[]).set(1.0);
    for host in ["x", "y"] {
        monitor.gauge("b", &[("host", host)]).set(1.0);
    }
    monitor.step(at(1));
    let failing = monitor.failing_rules();
    assert_eq!((failing.len(), &*failing[0].rule, failing[0].since), (1, "join", at(1)));
    assert!(!failing[0].message.is_empty());
    monitor.replace_rules(&RuleSources::new().text("new.yaml", HIGH)).unwrap();
    monitor.step(at(2));
    assert!(monitor.failing_rules().is_empty());
}

#[test]
fn a_closure_that_panics_loses_one_notice_and_no_other() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let rules = "rules: [{name: high, metric: load, threshold: '> 5', every: 1s}]";
    let monitor = builder(rules)
        .on_notice("shaky", move |_| {
            assert!(count.fetch_add(1, Ordering::Relaxed) > 0, "the first call fails");
        })
        .stepped(at(0))
        .unwrap();
    let load = monitor.gauge("load", &[]);
    load.set(9.0);
    monitor.step(at(1));
    load.set(1.0);
    monitor.step(at(2));
    assert_eq!(told.load(Ordering::Relaxed), 2);
    let lost = monitor.registry().counter("alertd_dead_letters_total", &[("handler", "shaky")]).get();
    assert_eq!(lost, 1.0);
}

#[test]
fn a_restarted_program_goes_on_with_the_alerts_before() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rules: [{name: high, metric: load, threshold: '> 5', for: 10s, every: 1s}]";
    let run = |from: i64, to: i64| {
        let monitor = builder(rules).state_dir(folder.path()).stepped(at(from)).unwrap();
        monitor.gauge("load", &[]).set(9.0);
        kinds(&monitor.run_until(at(to)))
    };
    assert_eq!(run(0, 6), ["pending"]);
    assert_eq!(run(6, 11), ["fired"]);
    assert_eq!(run(11, 20), [""; 0], "it fires already");
}

#[test]
fn a_started_monitor_evaluates_by_itself_and_delivers_before_it_ends() {
    let rules = "rules: [{name: high, metric: load, threshold: '> 5', every: 50ms}]";
    let (sender, notices) = mpsc::sync_channel(8);
    let monitor = builder(rules).channel("queue", sender).start().unwrap();
    monitor.gauge("load", &[]).set(9.0);
    let notice = notices.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(notice.kind, NoticeKind::Firing);
    drop(monitor);
    assert_eq!(notices.recv().ok().map(|n| n.kind), None, "the sender is gone, so its thread has ended");
}

#[test]
fn the_macros_of_the_facade_are_rule_input() {
    let monitor = builder(HIGH).stepped(at(0)).unwrap();
    metrics::with_local_recorder(&monitor.recorder(), || metrics::gauge!("load", "zone" => "a").set(8.0));
    let changes = monitor.step(at(1));
    assert_eq!(changes.first().and_then(|c| c.alert.labels.get("zone")), Some("a"));
}

/// What receivers were told, by id: kind, alert and its beginning.
type Told = std::collections::BTreeMap<String, String>;

/// Runs two minutes of a flapping load, killed at these seconds (the files are taken as they are at that instant).
fn told_over_kills(kills: &[i64], route: bool) -> Told {
    let rules = "rules:\n  - {name: high, metric: load, threshold: '> 5', every: 1s, for: 2s, keep_firing_for: 3s, flapping: off}\n  \
                 - {name: calm, metric: load, threshold: '> 5', every: 1s, cooldown: 30s, flapping: off}\n  \
                 - {name: steps, metric: load, levels: {warning: '> 5', critical: '> 8'}, every: 1s, flapping: off}\n  \
                 - {name: flaps, metric: load, threshold: '> 5', every: 1s, flapping: {changes: 3, window: 1m, quiet: 10s}}\n";
    let told = Arc::new(Mutex::new(Told::new()));
    let mut folder = tempfile::tempdir().unwrap();
    let build = |dir: &std::path::Path, from: i64| {
        let told = Arc::clone(&told);
        let monitor = builder(rules).state_dir(dir).on_notice("book", move |notice: &Notice| {
            let one = |t: &Arc<Transition>| format!("{} {} {}", t.kind.as_str(), t.alert.rule, t.alert.active_at);
            let text = notice.transitions.iter().map(one).collect::<Vec<_>>().join(", ");
            let before = told.lock().unwrap().insert(notice.id.clone(), text.clone());
            assert!(before.is_none_or(|before| before == text), "one id, one message");
        });
        let monitor = if route {
            monitor.grouped(&["alertname"], Duration::from_secs(3), Duration::from_secs(7))
        } else {
            monitor
        };
        monitor.stepped(at(from)).unwrap()
    };
    let mut monitor = build(folder.path(), 0);
    for second in 1..120 {
        monitor.gauge("load", &[]).set(f64::from(u8::from(second / 7 % 2 == 0)) * (6.0 + (second / 20) as f64));
        monitor.step(at(second));
        if kills.contains(&second) {
            let copy = tempfile::tempdir().unwrap();
            for file in std::fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                if file.file_type().unwrap().is_file() {
                    std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
                }
            }
            drop(monitor);
            folder = copy;
            monitor = build(folder.path(), second);
        }
    }
    monitor.step(at(200));
    drop(monitor);
    let told = told.lock().unwrap().clone();
    assert!(told.len() > 20, "something happened: {told:?}");
    told
}

#[test]
fn a_killed_program_goes_on_as_if_nothing_had_been() {
    for route in [false, true] {
        let never = told_over_kills(&[], route);
        for kills in [vec![3], vec![8, 9, 10], vec![15, 31, 47, 63, 79], (1..119).step_by(4).collect()] {
            assert_eq!(told_over_kills(&kills, route), never, "killed at {kills:?}, grouped: {route}");
        }
    }
}
