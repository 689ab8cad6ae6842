//! Requests into a store, as senders make them.

use super::*;
use crate::ingest::remote_write::Encoder;
use crate::ingest::{Metadata, MetricKind};
use crate::model::{Labels, STALE_NAN};
use crate::store::embedded::StoreOptions;

const T0: i64 = 1_700_000_000_000;

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", n.to_string())])
}

fn request(version: Version, series: &[(usize, &[(i64, f64)])]) -> Vec<u8> {
    let mut encoder = Encoder::new(version);
    for (n, points) in series {
        let points: Vec<Point> = points.iter().map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect();
        encoder.series(&labels(*n), &points, None, None);
    }
    encoder.finish()
}

fn points(store: &EmbeddedStore, labels: &Labels) -> Vec<(i64, u64)> {
    let series = store.series_ref(labels, T0).unwrap();
    let mut out = Vec::new();
    store.points(series, i64::MIN, i64::MAX, &mut out);
    out.iter().map(|p| (p.t_ms, p.value.to_bits())).collect()
}

#[test]
fn samples_arrive_in_both_versions_and_once_each() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let receiver = Receiver::new(1000);
    for version in [Version::V1, Version::V2] {
        let take = |series: &[(usize, &[(i64, f64)])]| {
            receiver.take(&store, version, &request(version, series), T0 + 60_000).unwrap()
        };
        let taken = take(&[(0, &[(T0, 1.0), (T0 + 1, STALE_NAN)]), (1, &[(T0, 2.0)])]);
        assert_eq!((taken.samples, taken.refused.total()), (3, 0));
        // Sent again, it is there; out of order it is taken; another value at one time is not.
        let taken = take(&[(0, &[(T0, 1.0)]), (1, &[(T0 - 5, 7.0), (T0, 3.0)])]);
        assert_eq!((taken.samples, taken.refused.total()), (2, 1));
        assert_eq!(taken.refused.reasons(), ["another value stands at the same time"]);
    }
    assert_eq!(points(&store, &labels(0)), [(T0, 1f64.to_bits()), (T0 + 1, STALE_NAN.to_bits())]);
    assert_eq!(points(&store, &labels(1)), [(T0 - 5, 7f64.to_bits()), (T0, 2f64.to_bits())]);
    assert_eq!(store.stats().series, 2);
}

#[test]
fn series_that_the_store_dropped_are_made_again() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let receiver = Receiver::new(1000);
    let send = |at_ms: i64| {
        let body = request(Version::V1, &[(0, &[(at_ms, 1.0)]), (1, &[(at_ms, 1.0)])]);
        receiver.take(&store, Version::V1, &body, at_ms).unwrap()
    };
    send(T0);
    send(T0 + 1000);
    let zero = crate::promql::Matcher::new("i", crate::promql::MatchOp::Equal, "0").unwrap();
    assert_eq!(store.delete(&[zero]), 1);
    let taken = send(T0 + 2000);
    assert_eq!((taken.samples, taken.refused.total()), (2, 0));
    assert_eq!(points(&store, &labels(0)), [(T0 + 2000, 1f64.to_bits())]);
    assert_eq!(points(&store, &labels(1)).len(), 3);
}

#[test]
fn what_the_store_refuses_is_told_with_its_reason_and_costs_itself() {
    let store = EmbeddedStore::new(StoreOptions { series_max: 2, ..StoreOptions::default() });
    let receiver = Receiver::new(2);
    let day = 24 * 3_600_000;
    let body = request(
        Version::V1,
        &[(0, &[(T0, 1.0), (T0 - 2 * day, 1.0), (T0 + day, 1.0)]), (1, &[(T0, 1.0)]), (2, &[(T0, 1.0), (T0 + 1, 1.0)])],
    );
    let taken = receiver.take(&store, Version::V1, &body, T0).unwrap();
    assert_eq!((taken.samples, taken.refused.total()), (2, 4));
    let reasons = [
        "older than the store takes",
        "the store holds 2 series, its maximum, and none of them is idle (2 samples)",
        "too far in the future",
    ];
    assert_eq!(taken.refused.reasons(), reasons);
}

#[test]
fn want_of_room_puts_a_sender_off_for_a_while_and_no_longer() {
    let store = EmbeddedStore::new(StoreOptions { series_max: 2, ..StoreOptions::default() });
    let receiver = Receiver::new(2);
    let send = |at_ms: i64, series: &[usize]| {
        let series: Vec<(usize, &[(i64, f64)])> = series.iter().map(|n| (*n, &[(T0, 1.0)][..])).collect();
        receiver.take(&store, Version::V1, &request(Version::V1, &series), at_ms).unwrap().again
    };
    let again: Vec<bool> = [0, 1000, PUT_OFF_MAX_MS - 1, PUT_OFF_MAX_MS, 2 * PUT_OFF_MAX_MS]
        .map(|after_ms| send(T0 + after_ms, &[0, 1, 2]))
        .into();
    assert_eq!(again, [true, true, true, false, false]);
    assert!(!send(T0 + 2 * PUT_OFF_MAX_MS, &[0, 1]), "series that there is room for are taken");
    // Room came and went: the time begins anew.
    let one = crate::promql::Matcher::new("i", crate::promql::MatchOp::Equal, "1").unwrap();
    assert_eq!(store.delete(&[one]), 1);
    assert!(!send(T0 + 3 * PUT_OFF_MAX_MS, &[2]));
    assert!(send(T0 + 3 * PUT_OFF_MAX_MS, &[3]));
    assert!(!send(T0 - PUT_OFF_MAX_MS, &[3]), "the clock was set back");
}

#[test]
fn a_new_counter_begins_at_zero_where_the_sender_says_when() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let receiver = Receiver::new(1000);
    let about = Metadata { kind: MetricKind::Counter, help: "Requests.".into(), unit: String::new() };
    let send = |at_ms: i64, value: f64, created_ms: i64| {
        let mut encoder = Encoder::new(Version::V2);
        encoder.series(&labels(0), &[Point { t_ms: at_ms, value }], Some(&about), Some(created_ms));
        receiver.take(&store, Version::V2, &encoder.finish(), at_ms).unwrap()
    };
    assert_eq!(send(T0, 5.0, T0 - 1000).samples, 1);
    send(T0 + 15_000, 8.0, T0 - 1000);
    // The program was started anew.
    send(T0 + 30_000, 2.0, T0 + 20_000);
    let values: Vec<(i64, f64)> =
        points(&store, &labels(0)).into_iter().map(|(t, v)| (t - T0, f64::from_bits(v))).collect();
    assert_eq!(values, [(-1000, 0.0), (0, 5.0), (15_000, 8.0), (20_000, 0.0), (30_000, 2.0)]);
    assert_eq!(store.metadata_of("m").map(|m| m.help), Some("Requests.".to_owned()));
}
