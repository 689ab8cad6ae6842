//! Tests of the chunk codec: exactness for any bits, and bytes per sample of the usual kinds of series.

use proptest::prelude::*;

use super::*;
use crate::model::{SILENT_NAN, STALE_NAN};

/// Bytes of the coded form.
fn check(points: &[Point]) -> usize {
    let data = encode_points(points);
    let mut back = Vec::new();
    decode_points(&data, &mut back).expect("reads back");
    let bits = |p: &[Point]| p.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>();
    assert_eq!(bits(&back), bits(points));
    data.len()
}

fn series(jitter_ms: i64, mut value: impl FnMut(i64, &mut dyn FnMut() -> f64) -> f64) -> Vec<Point> {
    let mut seed = 42u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let point = |i: i64| {
        let shift = if jitter_ms == 0 { 0 } else { (random() * (2 * jitter_ms + 1) as f64) as i64 - jitter_ms };
        Point { t_ms: 1_700_000_000_123 + i * 15_000 + shift, value: value(i, &mut random) }
    };
    (0..CHUNK_POINTS_MAX as i64).map(point).collect()
}

#[test]
fn usual_series_take_at_most_four_bytes_per_sample() {
    type Value = fn(i64, &mut dyn FnMut() -> f64) -> f64;
    let kinds: [(&str, Value); 9] = [
        ("cpu percent, 1 decimal", |_, r| (r() * 1000.0).round() / 10.0),
        ("cpu percent, 3 decimals", |_, r| (r() * 100_000.0).round() / 1000.0),
        ("memory bytes in pages", |i, r| 8e9 + (i as f64 * 3.0 + (r() * 20_000.0).round()) * 4096.0),
        ("memory bytes, odd", |_, r| (8e9 + r() * 1e7).round()),
        ("queue length", |_, r| (r() * 50.0).round()),
        ("counter of requests", |i, r| (1e9 + i as f64 * 1500.0 + r() * 300.0).round()),
        ("counter of seconds, 2 decimals", |i, r| ((81_234.5 + i as f64 * 3.3 + r()) * 100.0).round() / 100.0),
        ("constant", |_, _| 0.123_456_789_012_345),
        ("steady counter", |i, _| 17.0 * i as f64),
    ];
    for (kind, value) in kinds {
        for jitter_ms in [0, 5] {
            let points = series(jitter_ms, value);
            let per_sample = check(&points) as f64 / points.len() as f64;
            assert!(per_sample <= 4.0, "{kind}, jitter {jitter_ms} ms: {per_sample:.2} bytes per sample");
        }
    }
}

#[test]
fn marks_inside_an_integer_series_do_not_spoil_its_coding() {
    let mut points = series(0, |_, r| (r() * 100.0).round());
    let plain = check(&points);
    for (i, mark) in [(3, STALE_NAN), (100, SILENT_NAN), (200, f64::NAN), (255, STALE_NAN)] {
        points[i].value = mark;
    }
    assert!(check(&points) <= plain + 4 * 10);
}

#[test]
fn edges_of_the_codec_come_back() {
    check(&[]);
    check(&[Point { t_ms: i64::MIN, value: f64::NAN }, Point { t_ms: i64::MAX, value: -0.0 }]);
    check(&[Point { t_ms: 0, value: -0.0 }, Point { t_ms: 1, value: 0.0 }]);
    check(&[Point { t_ms: 5, value: STALE_NAN }]);
    let extreme =
        [f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0, 1e22];
    let at = |(i, value): (usize, &f64)| Point { t_ms: i as i64, value: *value };
    check(&extreme.iter().enumerate().map(at).collect::<Vec<_>>());
    let decimals = [0.1, 0.2, 0.300_000_000_000_000_04, 1e-9, 123_456.789, 99.0];
    check(&decimals.iter().enumerate().map(at).collect::<Vec<_>>());
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-1_000_000i64..1_000_000, 0..7i32).prop_map(|(m, e)| m as f64 / 10f64.powi(e)),
        Just(STALE_NAN),
        Just(SILENT_NAN),
        Just(1.0),
        any::<i64>().prop_map(|v| v as f64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_round_trips_bit_for_bit(
        steps in prop::collection::vec((any::<i64>(), any_value()), 0..CHUNK_POINTS_MAX),
        small in any::<bool>(),
    ) {
        let mut t_ms = 0i64;
        let points: Vec<Point> = steps.into_iter().map(|(step, value)| {
            t_ms = t_ms.wrapping_add(if small { step & 0x3fff } else { step });
            Point { t_ms, value }
        }).collect();
        check(&points);
    }

    #[test]
    fn damaged_bytes_never_panic(
        mut data in prop::collection::vec(any::<u8>(), 0..200),
        kind in 0u8..5,
    ) {
        let mut out = Vec::new();
        let _ = decode_points(&data, &mut out);
        data.splice(0..0, [40, 0, 0, 0, 0, 0, kind]);
        let _ = decode_points(&data, &mut out);
        prop_assert!(out.len() <= 2 * CHUNK_POINTS_MAX);
    }
}
