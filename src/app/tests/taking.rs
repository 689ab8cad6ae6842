//! Rules that are taken while others run, and clocks that jump meanwhile.

use std::collections::BTreeMap;

use super::bench::{Bench, START};
use super::*;
use crate::app::heartbeat::late_rule;
use crate::model::LabelMatcher;
use crate::route::{Receiver, Silence};

impl Bench {
    /// Takes the rules that it has, and more of this text, as a reload does.
    fn reload(&self, more: &str) {
        let (mut all, routes) = {
            let core = self.hub.core();
            (core.engine.rules().to_vec(), Arc::clone(&core.routes))
        };
        all.extend(rules(more));
        self.hub.replace(all, routes.as_ref().clone());
    }

    fn pass(&self, secs: i64) {
        self.clock.set(Timestamp::from_secs(self.now() + secs));
    }

    fn late(&self) -> Option<String> {
        late_rule(&self.hub.core(), self.clock.now())
    }
}

const NONE: &str = "rules: []";

#[test]
fn a_reload_leaves_out_no_slot_that_came_meanwhile() {
    let bench = Bench::new();
    bench.tick(1.0);
    for _ in 0..4 {
        bench.pass(15);
        bench.reload(NONE);
        bench.hub.run_due();
        assert_eq!(bench.hub.last_slot(), Some(bench.clock.now()));
    }
    // Two slots came: the later one is evaluated, the other is counted.
    bench.pass(30);
    bench.reload(NONE);
    bench.hub.run_due();
    assert_eq!(bench.hub.last_slot(), Some(bench.clock.now()));
    assert_eq!(bench.hub.metrics.registry().counter("alertd_evaluations_missed_total", &[]).get(), 1.0);
}

#[test]
fn only_slots_that_a_rule_has_are_overdue() {
    let text =
        |every| rules(&format!("rules: [{{name: a, expr: m, every: {every}}}, {{name: b, expr: m, every: 1m}}]"));
    let before = Agenda::new(&text("15s"), Timestamp(0));
    let now = Timestamp(50_000);
    let overdue = before.overdue(&text("15s"), now);
    assert_eq!(overdue, BTreeMap::from([(Arc::from("a"), Timestamp(15_000))]));
    for (every, next) in [("15s", 15_000), ("20s", 60_000), ("5s", 15_000)] {
        assert_eq!(Agenda::going_on(&text(every), now, &overdue).next(), Some(Timestamp(next)), "{every}");
    }
}

#[test]
fn a_rule_is_late_two_intervals_after_it_was_taken_and_no_earlier() {
    let bench = Bench::new();
    for _ in 0..40 {
        bench.tick(1.0);
    }
    assert_eq!(bench.late(), None);
    bench.reload("rules: [{name: young, expr: m, every: 5s}, {name: daily, expr: m, cron: '0 0 4 * * *'}]");
    assert_eq!(bench.late(), None, "it waits for its first slot");
    bench.pass(15);
    bench.reload(NONE);
    assert_eq!(bench.late(), None);
    bench.pass(1);
    let late = bench.late().unwrap_or_default();
    assert!(late.contains("young"), "another reload begins no other wait: {late}");
    bench.hub.run_due();
    assert_eq!(bench.late(), None);
    assert_eq!(bench.now(), START + 616);
}

#[test]
fn what_a_silence_held_is_told_when_the_machine_wakes_after_its_end() {
    let text = r#"rules: [{name: r, metric: m, threshold: "> 5", every: 15s}]"#;
    let daemon = Daemon::new(1_700_000_000, text);
    let ear = Receiver::new("ear");
    daemon.hub.replace(rules(text), Routes { receivers: vec![ear], ..Routes::default() });
    let now = daemon.machine.now();
    let silence = Silence {
        id: "s".to_owned(),
        sets: vec![vec![LabelMatcher::parse("alertname=r").unwrap()]],
        starts_at: now,
        ends_at: now.plus(Duration::from_secs(3600)),
        created_by: "me".to_owned(),
        comment: "work".to_owned(),
        ..Silence::default()
    };
    daemon.hub.core().silences.put(silence).unwrap();
    let told = || {
        let of = [("handler", "ear"), ("kind", "firing")];
        daemon.hub.metrics.registry().counter("alertd_notices_total", &of).get()
    };
    let fired: Vec<_> = (0..3).flat_map(|_| daemon.tick(9.0)).collect();
    assert_eq!((kinds(&fired), told()), (vec!["fired"], 0.0));
    daemon.jump(8 * 3600);
    assert_eq!(told(), 1.0, "seven hours late, and not a minute more");
}
