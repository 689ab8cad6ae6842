//! What a slot costs through the real core: a store that gets a new sample per series every 15 s of simulated time, and
//! `Engine::step` over it, publishing included. The samples of a slot are written outside the measured time.
//! Run with `cargo bench --bench evaluate`; a case alone with a part of its name behind `--`.

#![allow(
    clippy::disallowed_methods,
    clippy::type_complexity,
    reason = "a benchmark reads the time; its cases are tables"
)]
#![allow(missing_docs, reason = "criterion's macros define public items")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use alertd::diag::SourceFile;
use alertd::engine::{Engine, EngineOptions, Step, Surroundings};
use alertd::ingest::Batch;
use alertd::model::{Labels, Now, Point, Sample, Timestamp};
use alertd::rule::{LoadOptions, Rule, load};
use alertd::store::{EmbeddedStore, SeriesRef, StoreOptions};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};

const T0: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 15_000;

/// Whether a case was asked for: its world is not built for nothing.
fn wanted(name: &str) -> bool {
    let mut filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| name.contains(&filter))
}

/// The same noise at every run, without a period a window could lock on to; in 0..1.
fn noise(series: usize, slot: i64) -> f64 {
    let mut x = (series as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (slot as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 40) as f64 / (1u64 << 24) as f64
}

fn gauge(series: usize, slot: i64) -> f64 {
    (noise(series, slot) * 10_000.0).round() / 100.0
}

fn counter(series: usize, slot: i64) -> f64 {
    (slot * 100 + series as i64 % 1000) as f64 + (noise(series, slot) * 50.0).round()
}

type Value = fn(usize, i64) -> f64;

/// `metrics` metrics named `metric_<n>` with `each` series of six labels.
fn series(metrics: usize, each: usize) -> Vec<Labels> {
    let labels = |m: usize, i: usize| {
        Labels::from_pairs([
            ("__name__", format!("metric_{m}")),
            ("namespace", format!("team-{}", i % 20)),
            ("pod", format!("service-{}-5d8f7c6b9d-{i:05}", i % 50)),
            ("container", "main".to_owned()),
            ("instance", format!("10.0.{}.{}:9100", i % 16, i % 200)),
            ("job", "kubelet".to_owned()),
        ])
    };
    (0..metrics).flat_map(|m| (0..each).map(move |i| labels(m, i))).collect()
}

fn rules(yaml: &str) -> Vec<Rule> {
    let loaded = load(&[SourceFile::new("rules.yaml", format!("rules:\n{yaml}"))], &LoadOptions::default());
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics.first().map(|d| &d.message));
    loaded.rules
}

/// A store, a core over it, and the slot they stand at.
struct World {
    store: EmbeddedStore,
    refs: Vec<SeriesRef>,
    value: Value,
    engine: Engine,
    slot: i64,
    published: Duration,
}

impl World {
    fn new(yaml: &str, series: &[Labels], value: Value) -> Self {
        let store = EmbeddedStore::new(StoreOptions::default());
        let refs = series.iter().filter_map(|labels| store.series_ref(labels, T0).ok()).collect();
        let engine = Engine::new(rules(yaml), EngineOptions::default());
        Self { store, refs, value, engine, slot: 0, published: Duration::ZERO }
    }

    fn now_ms(&self) -> i64 {
        T0 + self.slot * STEP_MS
    }

    /// Writes the next sample of every series.
    fn fill(&mut self) {
        self.slot += 1;
        let t_ms = self.now_ms();
        let point = |(i, series): (usize, &SeriesRef)| (*series, Point { t_ms, value: (self.value)(i, self.slot) });
        let page: Vec<_> = self.refs.iter().enumerate().map(point).collect();
        self.store.append_refs(&page, t_ms);
        if self.slot % 20 == 0 {
            self.store.maintain(t_ms);
        }
    }

    /// Evaluates every rule; the daemon publishes in the same way.
    fn step(&mut self) -> Step {
        let now = Now::simulated(Timestamp(self.now_ms()));
        let due: Vec<usize> = (0..self.engine.rules().len()).collect();
        let (store, spent) = (&self.store, &mut self.published);
        let mut publish = |samples: Vec<Sample>| {
            let begun = Instant::now();
            store.append(&Batch::from_iter(samples), now.slot.0);
            *spent += begun.elapsed();
        };
        let mut around =
            Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
        self.engine.step(now, &due, &mut around)
    }

    /// A slot: samples, then the step, whose time it gives.
    fn slot(&mut self) -> (Duration, Step) {
        self.fill();
        let begun = Instant::now();
        let step = black_box(self.step());
        (begun.elapsed(), step)
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN);
    pages * 4096.0 / 1_048_576.0
}

#[allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, world: &mut World) {
    group.throughput(Throughput::Elements(world.refs.len() as u64));
    group.bench_function(name, |b| {
        b.iter_custom(|slots| (0..slots).map(|_| world.slot().0).sum());
    });
    // Writing what is published is part of a step: how large a part.
    let each = |_| {
        world.published = Duration::ZERO;
        let took = world.slot().0;
        (took, world.published)
    };
    // As many as it takes a store to code every series once.
    let slots: Vec<(Duration, Duration)> = (0..64).map(each).collect();
    if let (Some((best, published)), Some((worst, _))) = (slots.iter().min(), slots.iter().max()) {
        println!(
            "{name}: a slot takes {best:.1?} at best ({published:.1?} to write what is published), {worst:.1?} at worst"
        );
    }
}

fn group(c: &mut Criterion) -> BenchmarkGroup<'_, WallTime> {
    let mut group = c.benchmark_group("slot");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group
}

/// (a), (b): thresholds over gauges, a hundredth of them above it.
fn thresholds(c: &mut Criterion) {
    let mut group = group(c);
    for (count, each) in [(1000, 100), (10, 10_000)] {
        let rule = |i: usize| format!("  - {{name: r{i}, metric: metric_{i}, threshold: \"> 101\"}}\n");
        let yaml: String = (0..count).map(rule).collect();
        let name = format!("{count} threshold rules x {each} series");
        if !wanted(&name) {
            continue;
        }
        let mut world = World::new(&yaml, &series(count, each), gauge);
        (0..20).for_each(|_| world.fill());
        assert!(world.slot().1.reports.iter().all(|r| r.series == each));
        measure(&mut group, &name, &mut world);
    }
}

/// (c): a warm detector per series; the window must not show in the time.
#[allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
fn anomalies(c: &mut Criterion) {
    let mut group = group(c);
    for (method, hours) in [("moving_average", 1), ("moving_average", 6), ("robust", 6)] {
        let name = format!("{method} {hours}h x 10000 series");
        if !wanted(&name) {
            continue;
        }
        let anomaly = format!("{{method: {method}, window: {hours}h, sigma: 6}}");
        let yaml = format!("  - {{name: odd, metric: metric_0, every: 15s, anomaly: {anomaly}}}\n");
        let mut world = World::new(&yaml, &series(1, 10_000), gauge);
        (0..hours * 240 + 10).for_each(|_| world.fill());
        let before = resident_mib();
        let begun = Instant::now();
        let step = world.slot().1;
        assert_eq!(step.judged.iter().map(|(_, points)| points.len()).sum::<usize>(), 10_000);
        let first = begun.elapsed();
        let bank = world.engine.rules().first().and_then(|r| world.engine.state(&r.uid)).map(|s| &s.detectors);
        let bytes = bank.map_or(0, |bank| bank.state_bytes()) / 10_000;
        println!(
            "{name}: {bytes} bytes of state per series; the first slot learned the history in {first:.1?}; resident memory was {before:.0} MiB and is {:.0} MiB",
            resident_mib()
        );
        measure(&mut group, &name, &mut world);
        let newcomer = Labels::from_pairs([("__name__", "metric_0"), ("pod", "newcomer")]);
        world.refs.extend(world.store.series_ref(&newcomer, world.now_ms()));
        println!("{name}: the slot in which one more series came took {:.1?}", world.slot().0);
    }
}

/// (d): windows, aggregations, ratios and joins over counters.
fn expressions(c: &mut Criterion) {
    let mut group = group(c);
    let forms: [(&str, fn(usize) -> String); 3] = [
        ("sum by (rate)", |i| {
            format!("  - {{name: r{i}, expr: \"sum by (namespace) (rate(metric_{i}[5m])) > 1000\"}}\n")
        }),
        ("ratio", |i| {
            let total = i + 1 - i % 2 * 2;
            format!(
                "  - {{name: r{i}, expr: \"sum by (job) (rate(metric_{i}[5m])) / sum by (job) (rate(metric_{total}[5m])) > 2\"}}\n"
            )
        }),
        ("joined queries", |i| {
            let total = i + 1 - i % 2 * 2;
            format!(
                "  - {{name: r{i}, queries: {{a: \"sum by (namespace) (increase(metric_{i}[5m]))\", b: \"sum by (namespace) (increase(metric_{total}[5m]))\"}}, when: a / b > 2 && b > 10}}\n"
            )
        }),
    ];
    for (name, rule) in forms {
        let name = format!("1000 rules x 100 series, {name}");
        if !wanted(&name) {
            continue;
        }
        let yaml: String = (0..1000).map(rule).collect();
        let mut world = World::new(&yaml, &series(1000, 100), counter);
        (0..40).for_each(|_| world.fill());
        assert!(world.slot().1.reports.iter().all(|r| r.result == "ok"));
        measure(&mut group, &name, &mut world);
    }
}

/// (e): everything fires and stays so; then the slot in which it begins, alone.
#[allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
fn storm(c: &mut Criterion) {
    let mut group = group(c);
    let rule = |i: usize| {
        format!(
            "  - {{name: r{i}, metric: metric_{i}, threshold: \"> 50\", labels: {{team: llm}}, annotations: {{summary: \"{{{{ $labels.pod }}}} is at {{{{ $value | humanize }}}}\", runbook: https://wiki.example/r}}}}\n"
        )
    };
    for (count, each) in [(1, 10_000), (100, 100)] {
        let name = format!("10000 alerts of {count} rules stay firing");
        if !wanted(&name) {
            continue;
        }
        let yaml: String = (0..count).map(rule).collect();
        let value: Value = |i, slot| if slot < 40 { 1.0 } else { 60.0 + gauge(i, slot) };
        let mut world =
            World::new(&yaml.replace("annotations", "max_alerts: 20000, annotations"), &series(count, each), value);
        (0..38).for_each(|_| world.fill());
        world.slot();
        let (took, step) = world.slot();
        assert_eq!(step.transitions.len(), 10_000);
        println!("storm of 10,000 alerts from {count} rules: the slot in which they begin took {took:.1?}");
        measure(&mut group, &name, &mut world);
    }
}

criterion_group!(benches, thresholds, anomalies, expressions, storm);
criterion_main!(benches);
