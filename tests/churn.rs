//! A fleet that never keeps its names: thousands of new series a minute through the store and the engine.
//!
//! What must hold: the store never exceeds its series, its memory stays where it was, the longest silent series make
//! room, those that an active alert reads never do, and what is lost is counted.
//!
//! The default is a few minutes of simulated time with a small store. `ALERTD_LONG=1` runs 30 minutes at 2,000 and 30 at
//! 100,000 new series a minute against a store of the default size; it needs 1 GB and some ten minutes.
//! This file is a program of its own, because it looks at the memory of its process.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that prints its figures")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alertd::diag::SourceFile;
use alertd::engine::{Engine, EngineOptions, Needed, Surroundings};
use alertd::ingest::Batch;
use alertd::model::{Labels, Now, Timestamp, Transition, TransitionKind};
use alertd::promql::{Matcher, Source};
use alertd::rule::{LoadOptions, load};
use alertd::store::embedded::{EmbeddedStore, Pin, StoreOptions};

const START_MS: i64 = 1_800_000_000_000;
const SLOT_MS: i64 = 15_000;
const SLOTS_PER_MINUTE: i64 = 60_000 / SLOT_MS;
/// Series of each kind that were written in the first minute and never again.
const SILENT: usize = 40;
/// A new pod of so many is hot.
const HOT_EVERY: usize = 500;

/// `pod_hot` reads what comes and goes. Of the silent series, `held` reads single ones, `window` and `team` read them
/// through a window that is longer than the test; each has alerts on some of them and none on the others.
const RULES: &str = r#"
defaults: {every: 15s}
rules:
  - {name: pod_hot, expr: pod_load > 90, max_alerts: 100000}
  - {name: held, metric: job_errors, threshold: "> 5", no_data_timeout: 1d}
  - {name: window, expr: "max_over_time(beat[3h]) > 5"}
  - {name: team, expr: "sum by (team) (max_over_time(work[3h])) > 5"}
"#;

/// A part of the test.
struct Phase {
    per_minute: usize,
    minutes: i64,
}

/// The store, the engine, and what happened.
struct Fleet {
    store: EmbeddedStore,
    engine: Engine,
    now_ms: i64,
    next_pod: usize,
    /// Pods of the last minutes, newest last: those that are still written to.
    alive: Vec<Labels>,
    fired: usize,
    resolved: Vec<String>,
    most_series: u64,
    most_bytes: u64,
}

fn series(name: &str, labels: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]))
}

fn named(name: &str) -> Vec<Matcher> {
    vec![Matcher::equal("__name__", name)]
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

impl Fleet {
    fn new(series_max: usize) -> Self {
        let loaded = load(&[SourceFile::new("churn.yaml", RULES)], &LoadOptions::default());
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let mut fleet = Self {
            store: EmbeddedStore::new(StoreOptions { series_max, ..StoreOptions::default() }),
            engine: Engine::new(loaded.rules, EngineOptions::default()),
            now_ms: START_MS,
            next_pod: 0,
            alive: Vec::new(),
            fired: 0,
            resolved: Vec::new(),
            most_series: 0,
            most_bytes: 0,
        };
        fleet.write_silent_ones();
        fleet
    }

    /// Series that are written once: the first half with a value that fires, the others with one that does not.
    fn write_silent_ones(&mut self) {
        let mut batch = Batch::default();
        for i in 0..SILENT {
            let value = if i < SILENT / 2 { 9.0 } else { 1.0 };
            let (job, team) = (i.to_string(), if i < SILENT / 2 { "red" } else { "blue" });
            batch.push(series("job_errors", &[("job", &job)]), None, value);
            batch.push(series("beat", &[("job", &job)]), None, value);
            batch.push(series("work", &[("job", &job), ("team", team)]), None, value / 20.0);
            batch.push(series("unread", &[("job", &job)]), None, value);
        }
        assert_eq!(self.store.append(&batch, self.now_ms).refused(), 0);
        self.evaluate();
    }

    /// One slot: new pods, a sample of every pod that is alive, an evaluation of all rules, upkeep.
    fn slot(&mut self, new: usize, keep: usize) {
        self.now_ms += SLOT_MS;
        for _ in 0..new {
            let id = self.next_pod.to_string();
            self.next_pod += 1;
            self.alive.push(series("pod_load", &[("pod", &id), ("namespace", "batch"), ("node", "n1")]));
        }
        let gone = self.alive.len().saturating_sub(keep);
        self.alive.drain(..gone);
        let first = self.next_pod - self.alive.len();
        let mut batch = Batch::default();
        for (number, labels) in (first..).zip(&self.alive) {
            batch.push(labels.clone(), None, if number % HOT_EVERY == 0 { 95.0 } else { 50.0 });
        }
        self.store.append(&batch, self.now_ms);
        self.evaluate();
        // As the daemon does every ten seconds.
        let needed = self.engine.needed();
        let pin = |n: Needed| Pin { matchers: n.matchers, series: n.series, within_ms: n.within_ms };
        self.store.pin(needed.into_iter().map(pin).collect());
        self.store.maintain(self.now_ms);
        let stats = self.store.stats();
        self.most_series = self.most_series.max(stats.series);
        self.most_bytes = self.most_bytes.max(stats.sample_bytes + stats.index_bytes);
    }

    fn evaluate(&mut self) {
        let mut publish = |_| {};
        let mut around =
            Surroundings { source: &self.store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
        let step = self.engine.step(Now::simulated(Timestamp(self.now_ms)), &[0, 1, 2, 3], &mut around);
        assert!(step.reports.iter().all(|report| report.error.is_none()), "{:?}", step.reports);
        for transition in &step.transitions {
            self.note(transition);
        }
    }

    fn note(&mut self, transition: &Transition) {
        match &transition.kind {
            TransitionKind::Fired => self.fired += 1,
            TransitionKind::Resolved { .. } if &*transition.alert.rule != "pod_hot" => {
                self.resolved.push(format!("{} {}", transition.alert.rule, transition.alert.labels));
            }
            _ => {}
        }
    }

    fn run(&mut self, phase: &Phase) {
        let per_slot = phase.per_minute / SLOTS_PER_MINUTE as usize;
        let evicted = self.store.stats().series_evicted_total;
        for _ in 0..phase.minutes * SLOTS_PER_MINUTE {
            // A pod lives for a minute.
            self.slot(per_slot, phase.per_minute);
        }
        let stats = self.store.stats();
        eprintln!(
            "{:>7} new series/min for {} min: {} series (most {}), {} MiB by the store's account (most {}), {} MiB \
             resident, {} evicted, {} samples refused, {} alerts fired so far",
            phase.per_minute,
            phase.minutes,
            stats.series,
            self.most_series,
            mib(stats.sample_bytes + stats.index_bytes),
            mib(self.most_bytes),
            resident_bytes().map_or(0, mib),
            stats.series_evicted_total - evicted,
            stats.samples_refused_series_total,
            self.fired,
        );
    }

    /// The values of a label over the series that are there.
    fn left(&self, name: &str, label: &str) -> BTreeSet<String> {
        let found = self.store.series(&named(name));
        found.series.iter().filter_map(|labels| labels.get(label).map(str::to_owned)).collect()
    }
}

fn is_long() -> bool {
    std::env::var("ALERTD_LONG").as_deref() == Ok("1")
}

#[test]
fn under_churn_memory_is_bounded_and_no_firing_alert_loses_its_series() {
    let (series_max, phases) = if is_long() {
        (1_000_000, [Phase { per_minute: 2_000, minutes: 30 }, Phase { per_minute: 100_000, minutes: 30 }])
    } else {
        // Six minutes of series must fit: those younger than the look-back are never dropped.
        (30_000, [Phase { per_minute: 2_000, minutes: 8 }, Phase { per_minute: 4_000, minutes: 10 }])
    };
    let mut fleet = Fleet::new(series_max);
    let fired_at_once = fleet.fired;
    assert_eq!(fired_at_once, SILENT / 2 + SILENT / 2 + 1, "one alert each of `held` and `window`, one of `team`");

    fleet.run(&phases[0]);
    let (quiet_resident, before) = (resident_bytes(), fleet.store.stats());
    assert_eq!(before.samples_refused_series_total, 0);

    fleet.run(&phases[1]);
    let stats = fleet.store.stats();
    // Bounded: by the number of series, by the store's account, and by what the system says.
    assert!(fleet.most_series <= series_max as u64, "{} series, at most {series_max}", fleet.most_series);
    let per_series = fleet.most_bytes / fleet.most_series;
    assert!(per_series < 1024, "{per_series} bytes a series by the store's own account");
    if let (Some(resident), Some(quiet)) = (resident_bytes(), quiet_resident) {
        let most = quiet + 2048 * series_max as u64 + (64 << 20);
        assert!(resident < most, "{} MiB resident, at most {} expected", mib(resident), mib(most));
    }
    // Every series that came is there or is accounted for, and none was turned away.
    let gone = stats.series_evicted_total + stats.series_expired_total + stats.series_deleted_total;
    assert_eq!(stats.series_created_total, stats.series + gone);
    assert!(stats.series_evicted_total > 0, "the store was never full: this test shows nothing");
    assert_eq!((stats.samples_refused_series_total, stats.series_expired_total), (0, 0));

    // What an active alert reads is there, through single series and through windows; what none reads went first.
    let all: BTreeSet<String> = (0..SILENT).map(|i| i.to_string()).collect();
    let firing: BTreeSet<String> = (0..SILENT / 2).map(|i| i.to_string()).collect();
    assert_eq!(fleet.resolved, Vec::<String>::new(), "an alert ended although nothing recovered");
    assert_eq!(fleet.left("job_errors", "job"), firing, "`held`: the series of its alerts and no other");
    assert_eq!(fleet.left("beat", "job"), firing, "`window`: the series of its alerts and no other");
    assert_eq!(fleet.left("work", "job"), all, "`team`: all series in the window of an aggregation that fires");
    assert_eq!(fleet.left("unread", "job"), BTreeSet::new());
    // The pods that are left are the newest ones: all that were alive within the look-back, few that are older.
    let pods: BTreeSet<usize> = fleet.left("pod_load", "pod").iter().map(|pod| pod.parse().unwrap()).collect();
    let young = fleet.next_pod - 6 * phases[1].per_minute;
    assert_eq!(pods.range(young..).count(), fleet.next_pod - young, "a pod of the last six minutes was dropped");
    let oldest = pods.first().map_or(0, |pod| fleet.next_pod - pod);
    assert!(oldest <= 2 * series_max, "a pod is there that {oldest} younger ones followed");
    // Alerts on series that come and go fired for each of them.
    assert_eq!(fleet.fired - fired_at_once, fleet.next_pod.div_ceil(HOT_EVERY));
}

#[test]
fn more_live_series_than_there_is_room_for_are_refused_and_counted_and_those_there_live_on() {
    let mut fleet = Fleet::new(1_000);
    // All within the look-back: none of them may be dropped for another.
    (0..4).for_each(|_| fleet.slot(500, 2_000));
    let stats = fleet.store.stats();
    let held = 4 * SILENT as u64;
    assert_eq!((stats.series, stats.series_evicted_total), (1_000, 0));
    // Pods 0 to 839 found room; of each later one every sample is lost and counted.
    let room = 1_000 - held;
    let lost: u64 = (1..=4u64).map(|slot| (slot * 500).saturating_sub(room)).sum();
    assert_eq!(stats.samples_refused_series_total, lost);
    let first = fleet.store.series(&[Matcher::equal("pod", "0")]);
    let mut newest = Vec::new();
    fleet.store.instant(&first, fleet.now_ms, SLOT_MS, &mut newest).unwrap();
    assert!(newest[0].is_some_and(|point| point.t_ms == fleet.now_ms), "a series that is there is written on");
    assert_eq!(fleet.resolved, Vec::<String>::new());
}

/// The engine names what active alerts read, and nothing of what others read.
#[test]
fn what_alerts_read_is_named_by_their_own_labels_where_that_can_be_told() {
    let fleet = Fleet::new(1_000);
    let needed = fleet.engine.needed();
    let shown: Vec<(Option<usize>, Option<i64>)> =
        needed.iter().map(|n| (n.series.as_ref().map(BTreeSet::len), n.within_ms)).collect();
    assert_eq!(shown, [(Some(SILENT / 2), None), (Some(SILENT / 2), None), (None, Some(3 * 3_600_000))]);
    assert!(needed.iter().all(|n| Arc::strong_count(&n.matchers) > 1), "selectors are shared, not copied");
}
