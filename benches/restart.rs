//! What it costs to keep samples over a restart: steps of the writer, the file, and the time until a million series are
//! back. Run with `cargo bench --bench restart`; `ALERTD_BENCH_SERIES` sets another number of series.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alertd::clock::{Clock as _, SystemClock};
use alertd::model::{Labels, Point, Timestamp};
use alertd::store::durable::{Limits, MetricsFile, Writer, load};
use alertd::store::embedded::StoreStats;
use alertd::store::{EmbeddedStore, SeriesRef, StoreOptions};

const T0: i64 = 1_700_000_000_000;
/// Samples of each series, 15 seconds apart.
const SAMPLES: i64 = 40;
/// Steps of the writer from one sample of a series to the next.
const STEPS: usize = 20;

fn labels(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("http_requests_{}_total", i / 500)),
        ("cluster", "production-eu-1".to_owned()),
        ("code", ["200", "404", "500"][i % 3].to_owned()),
        ("instance", format!("10.0.{}.{}:9100", i % 7, i % 250)),
        ("job", "checkout-service".to_owned()),
        ("method", ["GET", "POST"][i % 2].to_owned()),
        ("namespace", "shop".to_owned()),
        ("path", format!("/api/v1/thing/{}", i % 500)),
        ("pod", format!("checkout-service-5f7c9d-{i:07}")),
        ("zone", ["a", "b", "c"][i % 3].to_owned()),
    ])
}

/// Fills a folder as a process does that runs for ten minutes; the time of the last sample.
fn fill(dir: &Path, count: usize, clock: &SystemClock) -> (i64, StoreStats) {
    let store = Arc::new(EmbeddedStore::new(StoreOptions { series_max: count, ..StoreOptions::default() }));
    let start = load(dir, &store, Timestamp(T0), &|_| ()).expect("an empty folder").start;
    let limits = Limits { retention_ms: 86_400_000, bytes_max: 0 };
    let file = MetricsFile::new(dir, Box::new(|| Timestamp(T0)));
    let mut writer = Writer::new(Arc::clone(&store), Box::new(file), limits, start);
    let mut series: Vec<SeriesRef> = Vec::with_capacity(count);
    let (mut steps, mut longest, mut appended) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut now = T0;
    for (round, part) in (0..SAMPLES).flat_map(|round| (0..STEPS).map(move |part| (round, part))) {
        now = T0 + round * 15_000 + (part * 15_000 / STEPS) as i64;
        let slice = part * count / STEPS..(part + 1) * count / STEPS;
        if round == 0 {
            series.extend(slice.clone().map(|i| store.series_ref(&labels(i), now).expect("room")));
        }
        let value = |i: usize| (round * ((i % 100) as i64 + 1)) as f64;
        let points: Vec<_> = slice.map(|i| (series[i], Point { t_ms: now, value: value(i) })).collect();
        let begun = clock.monotonic();
        store.append_refs(&points, now);
        let between = clock.monotonic();
        let report = writer.step(now);
        assert!(report.error.is_none(), "{:?}", report.error);
        let took = clock.monotonic().saturating_sub(between);
        appended += between.saturating_sub(begun);
        steps += took;
        longest = longest.max(took);
    }
    println!("appending took {appended:?}; {} steps took {steps:?}, the longest {longest:?}", SAMPLES as usize * STEPS);
    (now, store.stats())
}

fn in_memory(stats: &StoreStats) -> f64 {
    stats.sample_bytes as f64 / stats.samples as f64
}

fn main() {
    let count = std::env::var("ALERTD_BENCH_SERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000usize);
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().expect("a folder");
    let (now, before) = fill(dir.path(), count, &clock);
    let files = std::fs::read_dir(dir.path()).expect("the folder").flatten();
    let bytes: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    println!("{count} series, {} samples, {:.2} bytes each in memory", before.samples, in_memory(&before));
    println!("{bytes} bytes in the folder, {:.2} a sample", bytes as f64 / before.samples as f64);
    let store = EmbeddedStore::new(StoreOptions { series_max: count, ..StoreOptions::default() });
    let begun = clock.monotonic();
    let restored = load(dir.path(), &store, Timestamp(now), &|_| ()).expect("what was stored");
    let took = clock.monotonic().saturating_sub(begun);
    let after = store.stats();
    println!("restart in {took:?}: {} points in chunks, {} of the journal", restored.points, restored.replayed);
    println!("{:.2} bytes a sample in memory after it", in_memory(&after));
    assert_eq!((after.series, after.samples), (before.series, before.samples));
}
