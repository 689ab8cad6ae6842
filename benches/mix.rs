//! Processor time of an evaluation cycle of alerting rules as teams write them: thresholds on rates, error ratios with a
//! join, quantiles of histograms, z-scores over an hour, absences, a fifth each. The samples of a cycle are written
//! outside of what is measured; the real core evaluates.
//!
//! `cargo bench --bench mix`; a size alone with a part of its name behind `--`, such as `1000x10`.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the time and tells its figures")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use alertd::diag::SourceFile;
use alertd::engine::{Engine, EngineOptions, Surroundings};
use alertd::ingest::Batch;
use alertd::model::{Now, Point, Sample, Timestamp};
use alertd::rule::{LoadOptions, load};
use alertd::store::{EmbeddedStore, SeriesRef, StoreOptions};

mod teams;

use teams::{KINDS, Value, series, value};

const T0: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 15_000;
/// Slots that are filled before anything is measured: a little more than the longest window.
const HISTORY: i64 = 250;
/// Processor time of this process; the system counts it in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    Duration::from_millis(fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN) * 4096.0 / 1_048_576.0
}

/// `rules` rules over `each` series, of one kind or of all.
fn run(name: &str, rules: usize, each: usize, kind: Option<usize>) {
    let kind_of = |i: usize| kind.unwrap_or(i % KINDS.len());
    let mut yaml = String::from("defaults: {every: 15s}\nrules:\n");
    let mut all = Vec::new();
    for i in 0..rules {
        let _ = writeln!(yaml, "  - {{name: r{i}, expr: '{}'}}", KINDS[kind_of(i)].1(i));
        series(kind_of(i), i, each, &mut all);
    }
    let loaded = load(&[SourceFile::new("rules.yaml", yaml)], &LoadOptions::default());
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics.first().map(|d| &d.message));
    let store = EmbeddedStore::new(StoreOptions::default());
    let known: Vec<(SeriesRef, Value)> =
        all.iter().filter_map(|(labels, value)| Some((store.series_ref(labels, T0).ok()?, *value))).collect();
    assert_eq!(known.len(), all.len(), "the store has room");
    drop(all);
    let mut engine = Engine::new(loaded.rules, EngineOptions::default());
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut page = Vec::with_capacity(known.len());
    let mut fill = |slot: i64| {
        let t_ms = T0 + slot * STEP_MS;
        page.clear();
        page.extend(known.iter().enumerate().map(|(i, (r, v))| (*r, Point { t_ms, value: value(*v, i, slot) })));
        store.append_refs(&page, t_ms);
        if slot % 20 == 0 {
            store.maintain(t_ms);
        }
    };
    (1..HISTORY).for_each(&mut fill);
    let cycles = (2_000_000 / known.len()).clamp(20, 200) as i64;
    let (mut spent, mut best) = (Duration::ZERO, Duration::MAX);
    for cycle in 0..cycles + 2 {
        let slot = HISTORY + cycle;
        fill(slot);
        let now = Now::simulated(Timestamp(T0 + slot * STEP_MS));
        let mut publish = |samples: Vec<Sample>| {
            store.append(&Batch::from_iter(samples), now.slot.0);
        };
        let mut around =
            Surroundings { source: &store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
        let (begun, before) = (Instant::now(), processor_time());
        let step = engine.step(now, &due, &mut around);
        // Two to warm up.
        if cycle >= 2 {
            spent += processor_time().saturating_sub(before);
            best = best.min(begun.elapsed());
        }
        assert!(step.reports.iter().all(|r| r.result != "error"), "{name}");
    }
    let each_cycle = spent.as_secs_f64() / cycles as f64;
    println!(
        "{name}: {each_cycle:.4} CPU s a cycle ({:.0} ns a series), best wall {:.1?}; {:.0} MiB resident",
        each_cycle * 1e9 / known.len() as f64,
        best,
        resident_mib()
    );
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    for (rules, each) in [(1000, 10), (1000, 100), (100, 10_000)] {
        let name = format!("{rules}x{each}");
        if wanted(&name) {
            run(&format!("{name} mixed"), rules, each, None);
        }
    }
    for (kind, (what, _)) in KINDS.iter().enumerate() {
        let name = format!("200x100 {what}");
        if wanted(&name) {
            run(&name, 200, 100, Some(kind));
        }
    }
}
