//! What the store costs: bytes per sample and per series (printed), decoding, instant reads, selection.
//! Run with `cargo bench --bench store`.

use std::hint::black_box;

use alertd::model::{Labels, Point};
use alertd::promql::{MatchOp, Matcher, Source};
use alertd::store::embedded::{CHUNK_POINTS_MAX, decode_points, encode_points};
use alertd::store::{EmbeddedStore, SeriesRef, StoreOptions};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const T0: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 15_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

type Value = fn(i64, &mut Random) -> f64;

const KINDS: [(&str, Value); 9] = [
    ("cpu percent, 1 decimal", |_, r| (r.next() * 1000.0).round() / 10.0),
    ("cpu percent, 3 decimals", |_, r| (r.next() * 100_000.0).round() / 1000.0),
    ("memory bytes in pages", |i, r| 8e9 + (i as f64 * 3.0 + (r.next() * 20_000.0).round()) * 4096.0),
    ("queue length", |_, r| (r.next() * 50.0).round()),
    ("counter of requests", |i, r| (1e9 + i as f64 * 1500.0 + r.next() * 300.0).round()),
    ("counter of seconds, 2 decimals", |i, r| ((81_234.5 + i as f64 * 3.3 + r.next()) * 100.0).round() / 100.0),
    ("up", |_, _| 1.0),
    ("steady counter", |i, _| 17.0 * i as f64),
    ("full mantissa", |_, r| r.next()),
];

fn points(value: Value, jitter_ms: f64, count: i64) -> Vec<Point> {
    let mut random = Random(7);
    let at = |i: i64, r: &mut Random| T0 + i * STEP_MS + ((r.next() - 0.5) * 2.0 * jitter_ms).round() as i64;
    (0..count).map(|i| Point { t_ms: at(i, &mut random), value: value(i, &mut random) }).collect()
}

fn labels(metric: usize, i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("container_memory_working_set_bytes_{metric}")),
        ("namespace", format!("team-{}", i % 20)),
        ("pod", format!("service-{}-5d8f7c6b9d-{i:05}", i % 50)),
        ("container", "main".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", i % 16, i % 200)),
        ("job", "kubelet".to_owned()),
    ])
}

fn filled(metrics: usize, series: usize) -> (EmbeddedStore, Vec<SeriesRef>) {
    let store = EmbeddedStore::new(StoreOptions::default());
    let all = (0..metrics).flat_map(|m| (0..series).map(move |i| labels(m, i)));
    let refs = all.filter_map(|l| store.series_ref(&l, T0).ok()).collect();
    (store, refs)
}

#[allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
fn sizes() {
    for (kind, value) in KINDS {
        for jitter_ms in [0.0, 3.0] {
            let store = EmbeddedStore::new(StoreOptions::default());
            let series = store.series_ref(&labels(0, 0), T0).expect("room");
            let all: Vec<_> = points(value, jitter_ms, 4096).into_iter().map(|p| (series, p)).collect();
            let end_ms = T0 + 4096 * STEP_MS;
            store.append_refs(&all, end_ms);
            store.maintain(end_ms + 600_000);
            let stats = store.stats();
            let each = stats.sample_bytes as f64 / stats.samples as f64;
            println!("{kind:32} jitter {jitter_ms} ms: {each:.2} bytes per sample, chunk headers included");
        }
    }
    let (store, refs) = filled(10, 10_000);
    for i in 0..3 {
        let now_ms = T0 + i * STEP_MS;
        let page: Vec<_> = refs.iter().map(|r| (*r, Point { t_ms: now_ms, value: r.handle() as f64 })).collect();
        store.append_refs(&page, now_ms);
    }
    while !store.maintain(T0 + 900_000).round_done {}
    let stats = store.stats();
    let (index, samples) = (stats.index_bytes / stats.series, stats.sample_bytes / stats.series);
    println!("idle series of 6 labels and 3 samples: {index} bytes of labels, index and slot, {samples} of samples");
}

fn codec(c: &mut Criterion) {
    sizes();
    let mut group = c.benchmark_group("chunk");
    group.throughput(Throughput::Elements(CHUNK_POINTS_MAX as u64));
    for (kind, value) in [KINDS[1], KINDS[4], KINDS[8]] {
        let points = points(value, 3.0, CHUNK_POINTS_MAX as i64);
        let data = encode_points(&points);
        group.bench_function(format!("encode {kind}"), |b| b.iter(|| encode_points(black_box(&points))));
        let mut out = Vec::with_capacity(CHUNK_POINTS_MAX);
        group.bench_function(format!("decode {kind}"), |b| {
            b.iter(|| {
                out.clear();
                decode_points(black_box(&data), &mut out)
            });
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let (store, refs) = filled(20, 500);
    const SAMPLES: i64 = 1440;
    let mut random = Random(3);
    let mut append_ns = c.benchmark_group("append");
    let mut i = 0;
    append_ns.sample_size(10).throughput(Throughput::Elements(refs.len() as u64 * 96));
    append_ns.bench_function("96 points to each of 10,000 series by reference", |b| {
        b.iter(|| {
            for _ in 0..96 {
                i += 1;
                let now_ms = T0 + i * STEP_MS;
                let page: Vec<_> = refs
                    .iter()
                    .map(|r| (*r, Point { t_ms: now_ms, value: (random.next() * 1e4).round() / 100.0 }))
                    .collect();
                store.append_refs(&page, now_ms);
            }
        });
    });
    append_ns.finish();
    while i < SAMPLES {
        i += 1;
        let now_ms = T0 + i * STEP_MS;
        let page: Vec<_> =
            refs.iter().map(|r| (*r, Point { t_ms: now_ms, value: (random.next() * 1e4).round() / 100.0 })).collect();
        store.append_refs(&page, now_ms);
    }
    let now_ms = T0 + i * STEP_MS;
    let one = [Matcher::equal("__name__", "container_memory_working_set_bytes_3")];
    let selection = store.series(&one);
    let mut group = c.benchmark_group("read_500_series");
    for hours in [1, 6] {
        group.throughput(Throughput::Elements(500 * 240 * hours as u64));
        group.bench_function(format!("range {hours} h"), |b| {
            b.iter(|| {
                let mut sum = 0.0;
                store
                    .range(&selection, now_ms - hours * 3_600_000, now_ms, &mut |_, points| {
                        sum += points.iter().map(|p| p.value).sum::<f64>();
                        std::ops::ControlFlow::Continue(())
                    })
                    .expect("reads");
                sum
            });
        });
    }
    group.throughput(Throughput::Elements(500));
    let mut out = Vec::new();
    group.bench_function("instant", |b| b.iter(|| store.instant(&selection, now_ms, 300_000, &mut out)));
    group.bench_function("select known", |b| b.iter(|| store.series(black_box(&one))));
    group.finish();
}

fn selection(c: &mut Criterion) {
    let (store, _) = filled(100, 1000);
    let regex = |n: usize| {
        vec![
            Matcher::equal("__name__", "container_memory_working_set_bytes_7"),
            Matcher::new("pod", MatchOp::Regex, format!("service-1.*-0*{n}.*")).expect("regex"),
        ]
    };
    let mut group = c.benchmark_group("select_among_100k_series");
    group.sample_size(20);
    let mut n = 0;
    group.bench_function("new selector, name and regex", |b| {
        b.iter(|| {
            n += 1;
            store.series(&regex(n)).len()
        });
    });
    let by_job =
        [Matcher::equal("job", "kubelet"), Matcher::new("pod", MatchOp::NotRegex, "service-2.*").expect("regex")];
    group.bench_function("known selector of 78,000 after one new series", |b| {
        store.series(&by_job);
        b.iter_batched(
            || {
                n += 1;
                store.series_ref(&labels(1000, n), T0).expect("room");
            },
            |()| store.series(&by_job).len(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// New series in a store that is full of idle ones: each batch evicts.
fn churn(c: &mut Criterion) {
    let store = EmbeddedStore::new(StoreOptions { series_max: 100_000, ..StoreOptions::default() });
    let (mut n, mut now_ms) = (0, T0);
    let mut step = || {
        now_ms += STEP_MS;
        for _ in 0..2000 {
            n += 1;
            let series = store.series_ref(&labels(0, n), now_ms).expect("idle series make room");
            store.append_refs(&[(series, Point { t_ms: now_ms, value: 1.0 })], now_ms);
        }
    };
    (0..50).for_each(|_| step());
    let mut group = c.benchmark_group("churn");
    group.sample_size(10).throughput(Throughput::Elements(2000));
    group.bench_function("2,000 new series in a full store of 100,000", |b| b.iter(&mut step));
    group.finish();
}

criterion_group!(benches, codec, reads, selection, churn);
criterion_main!(benches);
