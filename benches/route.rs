//! Cost of routing a storm: alerts that all fire at one instant, and all end at another, with and without an inhibit
//! rule of which each of them is source and target at once. The time of one alert must not grow with their number.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "measures time and tells it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use alertd::model::{
    Alert, AlertState, EqualLabel, InhibitRule, InhibitSource, LabelMatcher, Labels, Now, Origin, ResolveReason,
    Severity, Timestamp, Transition, TransitionKind,
};
use alertd::route::{GroupBy, Receiver, Route, Router, Routes, Silences};

/// Measured so often; the best counts, since other work on the machine only ever adds.
const RUNS: usize = 5;

fn alert(number: usize) -> Alert {
    let (cluster, instance) = (format!("c{}", number % 100), format!("host-{number}"));
    let labels = Labels::from_pairs([
        ("alertname", "Down"),
        ("cluster", &*cluster),
        ("instance", &*instance),
        ("severity", "critical"),
    ]);
    Alert {
        rule_uid: Arc::from("down"),
        rule: Arc::from("Down"),
        origin: Origin { file: Arc::from("rules.yaml"), line: 1 },
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::empty(),
        state: AlertState::Firing,
        severity: Severity::Critical,
        value: 1.0,
        peak: 1.0,
        condition: Arc::from("> 0"),
        limit: None,
        active_at: Timestamp(0),
        fired_at: Some(Timestamp(0)),
        resolved_at: None,
        no_data_since: None,
        flapping: None,
        notify: Vec::new(),
        generator_url: None,
    }
}

fn all(count: usize, at: i64, kind: TransitionKind) -> Vec<Arc<Transition>> {
    let one = |number| Transition {
        at: Timestamp(at),
        sequence: number as u64 + at.unsigned_abs(),
        kind,
        alert: alert(number),
        trend: Vec::new(),
        link: None,
    };
    (0..count).map(one).map(Arc::new).collect()
}

fn routes(inhibits: bool) -> Routes {
    let root = Route { group_by: GroupBy::from_names(&["cluster".to_owned()]), ..Route::default() };
    let critical = || vec![LabelMatcher::parse("severity=critical").expect("a matcher")];
    let source = InhibitSource { matchers: critical(), equal: vec![EqualLabel::same("cluster")] };
    let rule = InhibitRule { name: None, sources: vec![source], target: critical() };
    Routes {
        receivers: vec![Receiver::new("page")],
        root,
        inhibit: inhibits.then_some(rule).into_iter().collect(),
        ..Routes::default()
    }
}

/// The time of the beginning and of the end, and the messages that came of both.
fn storm(count: usize, routes: &Routes) -> (Duration, Duration, usize) {
    let (fired, ended) = (
        all(count, 0, TransitionKind::Fired),
        all(count, 600_000, TransitionKind::Resolved { reason: ResolveReason::Recovered }),
    );
    let (mut router, silences) = (Router::default(), Silences::default());
    let begun = Instant::now();
    let told = router.step(fired, routes, &silences, Now::simulated(Timestamp(0)));
    let fire = begun.elapsed();
    let begun = Instant::now();
    let over = router.step(ended, routes, &silences, Now::simulated(Timestamp(600_000)));
    (fire, begun.elapsed(), told.notices.len() + over.notices.len())
}

fn main() {
    println!("{:<34} {:>10} {:>14} {:>14} {:>9}", "", "alerts", "fire, us each", "end, us each", "messages");
    for (words, inhibits) in [("no inhibit rule", false), ("each a source and a target", true)] {
        for count in [1_000, 10_000, 100_000] {
            let routes = routes(inhibits);
            let runs = || (0..RUNS).map(|_| storm(count, &routes));
            let (fire, end) =
                runs().fold((Duration::MAX, Duration::MAX), |best, run| (best.0.min(run.0), best.1.min(run.1)));
            let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
            let messages = storm(count, &routes).2;
            println!("{words:<34} {count:>10} {:>14.2} {:>14.2} {messages:>9}", each(fire), each(end));
        }
    }
}
