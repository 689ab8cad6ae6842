//! How fast pages become samples: a page of 100,000 series parsed, and read through a scrape cache into a store, cold
//! and warm; and how fast remote writes become samples. Run with `cargo bench --bench ingest`.

mod fleet;

use std::fmt::Write;
use std::hint::black_box;

use alertd::app::remote_write::Receiver;
use alertd::clock::{Clock as _, SystemClock};
use alertd::ingest::cache::{PageOptions, Resolved};
use alertd::ingest::remote_write::{Encoder, Version, pack};
use alertd::ingest::{Batch, Dialect, ScrapeCache, csv, jsonl, text};
use alertd::model::{Labels, Point};
use alertd::store::{EmbeddedStore, StoreOptions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LINES: usize = 100_000;
const T0: i64 = 1_700_000_000_000;

fn page() -> String {
    let mut page = String::new();
    for i in 0..LINES {
        if i % 500 == 0 {
            let _ = write!(
                page,
                "# HELP http_requests_{}_total Requests served.\n# TYPE http_requests_{0}_total counter\n",
                i / 500
            );
        }
        let _ = writeln!(
            page,
            "http_requests_{}_total{{method=\"{}\",path=\"/api/v1/thing/{}\",code=\"{}\",instance=\"10.0.{}.{}:9100\"}} {}.25",
            i / 500,
            ["GET", "POST"][i % 2],
            i % 500,
            [200, 404, 500][i % 3],
            i % 7,
            i % 5,
            i * 31
        );
    }
    page
}

fn options(at_ms: i64) -> PageOptions {
    PageOptions { dialect: Dialect::Prometheus, at_ms, honor_timestamps: true, samples_max: usize::MAX }
}

fn scrape(store: &EmbeddedStore, cache: &mut ScrapeCache, page: &str, at_ms: i64) {
    let errors = cache.read(page.as_bytes(), &options(at_ms), &mut |labels| {
        store.series_ref(labels, at_ms).map_or(Resolved::Refused, Resolved::Series)
    });
    assert!(errors.is_empty());
    let stats = store.append_refs(cache.points(), at_ms);
    assert_eq!(stats.appended as usize, LINES);
    assert!(cache.finish().is_empty());
}

fn pages(c: &mut Criterion) {
    let page = page();
    let mut group = c.benchmark_group("page_of_100k_series");
    group.sample_size(10).throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("parse", |b| {
        b.iter(|| black_box(text::parse(page.as_bytes(), Dialect::Prometheus, LINES).0.len()))
    });
    group.bench_function("scrape_cold_new_series", |b| {
        b.iter(|| {
            let store = EmbeddedStore::new(StoreOptions::default());
            scrape(&store, &mut ScrapeCache::default(), &page, T0);
            store
        });
    });
    let store = EmbeddedStore::new(StoreOptions::default());
    let mut at_ms = T0;
    group.bench_function("scrape_cold_known_series", |b| {
        b.iter(|| {
            at_ms += 15_000;
            scrape(&store, &mut ScrapeCache::default(), &page, at_ms);
        });
    });
    let mut cache = ScrapeCache::default();
    group.bench_function("scrape_warm", |b| {
        b.iter(|| {
            at_ms += 15_000;
            scrape(&store, &mut cache, &page, at_ms);
        });
    });
    group.bench_function("scrape_warm_read_only", |b| {
        b.iter(|| {
            let errors = cache.read(page.as_bytes(), &options(at_ms), &mut |_| Resolved::Refused);
            assert!(errors.is_empty() && cache.refused() == 0);
        });
    });
    group.bench_function("push_known_series", |b| {
        let (batch, _): (Batch, _) = text::parse(page.as_bytes(), Dialect::Prometheus, LINES);
        b.iter(|| {
            at_ms += 15_000;
            assert_eq!(store.append(&batch, at_ms).appended as usize, LINES);
        });
    });
    group.finish();
}

fn files(c: &mut Criterion) {
    let mut long = String::from("timestamp,metric,value,host\n");
    let mut lines = String::new();
    for i in 0..LINES {
        let _ = writeln!(long, "{},cpu_percent,{}.5,host-{}", 1_700_000_000 + i, i % 100, i / 1000);
        let _ = writeln!(
            lines,
            "{{\"metric\":\"cpu\",\"labels\":{{\"host\":\"h{}\"}},\"timestamp\":{},\"value\":{}.5}}",
            i % 9,
            1_700_000_000 + i,
            i % 100
        );
    }
    let mut group = c.benchmark_group("file_of_100k_samples");
    group.sample_size(10).throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("csv", |b| b.iter(|| csv::parse(long.as_bytes(), None, LINES).0.len()));
    group.throughput(Throughput::Bytes(lines.len() as u64));
    group.bench_function("jsonl", |b| b.iter(|| jsonl::parse(lines.as_bytes(), LINES).0.len()));
    group.finish();
}

/// A request as Prometheus sends it in the long run: 2000 series of ten labels, one sample each, packed.
fn remote_writes(c: &mut Criterion) {
    const SERIES: usize = 2000;
    const REQUESTS: usize = 50;
    let all: Vec<Labels> = (0..SERIES * REQUESTS).map(fleet::labels).collect();
    let clock = SystemClock::new();
    let mut group = c.benchmark_group("remote_write_of_2k_known_series");
    group.sample_size(10).throughput(Throughput::Elements((SERIES * REQUESTS) as u64));
    for (name, version) in [("v1", Version::V1), ("v2", Version::V2)] {
        let requests = |at_ms: i64| -> Vec<Vec<u8>> {
            let one = |series: &[Labels]| {
                let mut encoder = Encoder::new(version);
                let point = [Point { t_ms: at_ms, value: at_ms as f64 / 8.0 }];
                series.iter().for_each(|labels| encoder.series(labels, &point, None, None));
                pack(&encoder.finish())
            };
            all.chunks(SERIES).map(one).collect()
        };
        let store = EmbeddedStore::new(StoreOptions::default());
        let receiver = Receiver::new(1_000_000);
        let mut at_ms = T0;
        let take = |packed: &[Vec<u8>], at_ms: i64| {
            for body in packed {
                let message = snap::raw::Decoder::new().decompress_vec(body).expect("it was packed here");
                let taken = receiver.take(&store, version, &message, at_ms).expect("it was written here");
                assert_eq!(taken.samples as usize, SERIES);
            }
        };
        take(&requests(at_ms), at_ms);
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut took = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    at_ms += 15_000;
                    let packed = requests(at_ms);
                    let begun = clock.monotonic();
                    take(&packed, at_ms);
                    took += clock.monotonic() - begun;
                }
                took
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pages, files, remote_writes);
criterion_main!(benches);
