//! Cost of a detector's step, per method, over more state than a cache holds and over windows of several lengths.
//!
//! Each iteration steps every series once, as a rule evaluation does; the printed throughput is in points. The time of
//! a point at best is printed beside it.

#![allow(missing_docs, reason = "criterion's macros define public items")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "measures time and tells it")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use alertd::detect::{AnomalyConfig, Detector, Method, Season};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const STEP_MS: i64 = 15_000;

/// How the value goes with the slot, beside the noise.
type Course = fn(i64) -> f64;

/// Noise without a period the window could lock on to, the same at every run, on a course.
fn value(series: u64, slot: i64, course: Course) -> f64 {
    let mut x = series.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (slot as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    100.0 + course(slot) + (x >> 40) as f64 / (1u64 << 24) as f64
}

/// Detectors with a full window, and the slot at which they stand.
fn filled(config: &AnomalyConfig, series: u64, course: Course) -> (Vec<Detector>, i64) {
    let slots = config.window.as_millis() as i64 / STEP_MS + 100;
    let mut detectors = vec![Detector::new(config); series as usize];
    for (number, detector) in detectors.iter_mut().enumerate() {
        for slot in 0..slots {
            detector.learn(config, slot * STEP_MS, value(number as u64, slot, course));
        }
    }
    (detectors, slots)
}

fn step_all(c: &mut Criterion, name: &str, config: &AnomalyConfig, (series, course): (u64, Course)) {
    let (mut detectors, mut slot) = filled(config, series, course);
    let bytes: usize = detectors.iter().map(Detector::state_bytes).sum();
    let mut group = c.benchmark_group("detect");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(series));
    let label = format!("{name}, {series} series of {} bytes", bytes / series as usize);
    // The best of all evaluations: other work on the machine only ever adds.
    let mut best = Duration::MAX;
    group.bench_function(BenchmarkId::new(config.method.name(), &label), |b| {
        b.iter(|| {
            let begun = Instant::now();
            for (number, detector) in detectors.iter_mut().enumerate() {
                black_box(detector.step(config, slot * STEP_MS, value(number as u64, slot, course)));
            }
            best = best.min(begun.elapsed());
            slot += 1;
        });
    });
    group.finish();
    println!("{} {label}: {} ns a point at best", config.method.name(), best.as_nanos() / u128::from(series));
}

fn detect(c: &mut Criterion) {
    for method in [Method::MovingAverage, Method::Robust, Method::Ewma] {
        let config = |hours: u64| AnomalyConfig {
            window: Duration::from_secs(hours * 3600),
            ..AnomalyConfig::for_method(method)
        };
        let flat: Course = |_| 0.0;
        step_all(c, "6h", &config(6), (10_000, flat));
        for hours in [1, 6, 24, 168] {
            step_all(c, &format!("{hours}h"), &config(hours), (1000, flat));
        }
        let auto = AnomalyConfig { season: Season::Auto, ..config(6) };
        step_all(c, "6h, season auto", &auto, (1000, flat));
    }
    // Where the median and the points nearest to it move most.
    let config = AnomalyConfig { window: Duration::from_secs(6 * 3600), ..AnomalyConfig::for_method(Method::Robust) };
    step_all(c, "6h, rising", &config, (1000, |slot| slot as f64 * 0.01));
    step_all(c, "6h, alternating", &config, (1000, |slot| (slot % 2) as f64 * 1000.0));
}

criterion_group!(benches, detect);
criterion_main!(benches);
