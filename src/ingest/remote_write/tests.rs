//! The reader and the encoder against prost, hostile messages, and what a known series costs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;

use super::reference::{
    Exemplar, Label, MetadataV2, MetricMetadata, MetricType, Request, Sample, TimeSeries, TimeSeriesV2, WriteRequest,
};
use super::*;
use crate::ingest::{Metadata, MetricKind};
use crate::model::{Labels, Point, STALE_NAN};

const T0: i64 = 1_700_000_000_000;

fn known() -> Known<u32> {
    Known::new(1000)
}

fn page(version: Version, body: &[u8]) -> Page<u32> {
    read(version, body, &known()).unwrap_or_else(|e| panic!("{e}"))
}

/// What a page holds, by label set.
fn samples(page: &Page<u32>) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    let mut all: BTreeMap<Labels, Vec<(i64, u64)>> = BTreeMap::new();
    for new in &page.new {
        let points = page.new_points[new.points.clone()].iter().map(|p| (p.t_ms, p.value.to_bits()));
        all.entry(new.labels.clone()).or_default().extend(points);
    }
    all
}

fn v1(labels: &[(&str, &str)], points: &[(i64, f64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    let samples = points.iter().map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp }).collect();
    TimeSeries { labels: labels.iter().map(label).collect(), samples, exemplars: Vec::new() }
}

fn body(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

#[test]
fn what_the_encoder_writes_prost_reads() {
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let points = [Point { t_ms: T0, value: 1.5 }, Point { t_ms: T0 + 1, value: STALE_NAN }];
    let about = Metadata { kind: MetricKind::Counter, help: "Help.".into(), unit: "s".into() };
    let mut encoder = Encoder::new(Version::V1);
    encoder.series(&labels, &points, None, None);
    encoder.family("up", &about);
    let request = WriteRequest::decode(&*encoder.finish()).unwrap();
    let series = &request.timeseries[0];
    assert_eq!(series.labels[0], Label { name: "__name__".into(), value: "up".into() });
    assert_eq!(series.samples[0], Sample { value: 1.5, timestamp: T0 });
    assert_eq!(series.samples[1].value.to_bits(), STALE_NAN.to_bits());
    let told = MetricMetadata { kind: 1, metric_family_name: "up".into(), help: "Help.".into(), unit: "s".into() };
    assert_eq!(request.metadata, [told]);

    let mut encoder = Encoder::new(Version::V2);
    encoder.series(&labels, &points, Some(&about), Some(T0 - 5));
    encoder.series(&labels.with("job", "b"), &points[..1], None, None);
    let request = Request::decode(&*encoder.finish()).unwrap();
    assert_eq!(request.symbols, ["", "__name__", "up", "job", "a", "Help.", "s", "b"]);
    let series = &request.timeseries[0];
    assert_eq!((&series.labels_refs[..], series.created_timestamp), (&[1, 2, 3, 4][..], T0 - 5));
    assert_eq!(series.metadata, Some(MetadataV2 { kind: 1, help_ref: 5, unit_ref: 6 }));
    assert_eq!(request.timeseries[1].labels_refs, [1, 2, 3, 7]);
}

#[test]
fn both_versions_bring_labels_samples_and_metadata() {
    let request = WriteRequest {
        timeseries: vec![TimeSeries {
            exemplars: vec![Exemplar::default(), Exemplar::default()],
            ..v1(&[("__name__", "up"), ("job", "a"), ("none", "")], &[(T0, 1.0), (T0 + 1, STALE_NAN)])
        }],
        metadata: vec![MetricMetadata {
            kind: MetricType::Gauge.into(),
            metric_family_name: "up".into(),
            help: "Help.".into(),
            unit: String::new(),
        }],
    };
    let first = page(Version::V1, &request.encode_to_vec());
    let up = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let points = vec![(T0, 1f64.to_bits()), (T0 + 1, STALE_NAN.to_bits())];
    assert_eq!(samples(&first), BTreeMap::from([(up.clone(), points.clone())]));
    assert_eq!((first.exemplars, first.refused.total()), (2, 0));
    assert_eq!(first.metadata["up"].kind, MetricKind::Gauge);

    let request = Request {
        symbols: ["", "__name__", "up", "job", "a", "Help."].map(String::from).into(),
        timeseries: vec![TimeSeriesV2 {
            labels_refs: vec![1, 2, 3, 4],
            samples: request.timeseries[0].samples.clone(),
            metadata: Some(MetadataV2 { kind: MetricType::Counter.into(), help_ref: 5, unit_ref: 0 }),
            created_timestamp: T0 - 7,
        }],
    };
    let second = page(Version::V2, &request.encode_to_vec());
    assert_eq!(samples(&second), BTreeMap::from([(up, points)]));
    assert_eq!(second.metadata["up"], Metadata { kind: MetricKind::Counter, help: "Help.".into(), unit: "".into() });
    assert_eq!(second.new[0].created_ms, Some(T0 - 7));
}

#[test]
fn a_series_that_is_known_comes_without_labels() {
    for version in [Version::V1, Version::V2] {
        let mut known = known();
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let request = |value: f64, help: &str| {
            let mut encoder = Encoder::new(version);
            // In 2.0 a text stands before: the numbers of the labels differ from request to request.
            encoder.series(&labels.with("job", help), &[], None, None);
            let about = Metadata { kind: MetricKind::Gauge, help: help.to_owned(), unit: String::new() };
            encoder.series(&labels, &[Point { t_ms: T0, value }], Some(&about), None);
            encoder.finish()
        };
        let first = read(version, &request(1.0, ""), &known).unwrap();
        assert_eq!((first.new.len(), first.points.len()), (1, 0));
        known.insert(first.new.iter().map(|new| (new.key, 7)));
        let second = read(version, &request(2.0, ""), &known).unwrap();
        assert_eq!(second.points, [(7, Point { t_ms: T0, value: 2.0 })]);
        assert!(second.new.is_empty());
        // A text that changes is read anew.
        let third = read(version, &request(2.0, "other"), &known).unwrap();
        assert_eq!(third.new.len(), usize::from(version == Version::V2));
        known.forget([7]);
        assert_eq!(read(version, &request(1.0, ""), &known).unwrap().new.len(), 1);
    }
}

#[test]
fn labels_are_checked_and_a_wrong_series_costs_itself() {
    let good = || v1(&[("__name__", "good")], &[(T0, 1.0)]);
    let long = "x".repeat(20_000);
    let many: Vec<(String, String)> = (0..70).map(|i| (format!("l{i:02}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> =
        std::iter::once(("__name__", "m")).chain(many.iter().map(|(n, v)| (&**n, &**v))).collect();
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("__name__", "m"), ("a", "1"), ("a", "2")], r#"series m: label "a" stands twice"#),
        (&[("a", "1"), ("__name__", "m"), ("a", "1")], r#"series m: label "a" stands twice"#),
        (&[("a", "1")], "a series has no metric name (label __name__)"),
        (&[("", "1"), ("__name__", "m")], "series m: a label has no name"),
        (&[("__name__", "m"), ("a", &long)], "series m: a label value of 20000 bytes; at most 16384 are taken"),
        (&many, "series m: 71 labels; at most 64 are taken"),
        (&[], "a series has no metric name (label __name__)"),
    ];
    for (labels, reason) in cases {
        let wrong = v1(labels, &[(T0, 1.0), (T0 + 1, 2.0)]);
        let page = page(Version::V1, &body(vec![good(), wrong, good()]));
        assert_eq!(page.refused.total(), 2, "{reason}");
        assert_eq!(page.refused.reasons(), [format!("{reason} (2 samples)")]);
        assert_eq!(page.new.len(), 2);
    }
    // Out of order is no fault: it is put in order, as Prometheus does.
    let mixed = page(Version::V1, &body(vec![v1(&[("job", "a"), ("__name__", "m")], &[(T0, 1.0)])]));
    assert_eq!(mixed.new[0].labels, Labels::from_pairs([("__name__", "m"), ("job", "a")]));
}

#[test]
fn numbers_that_name_no_text_are_refused() {
    let series = |labels_refs: Vec<u32>| TimeSeriesV2 {
        labels_refs,
        samples: vec![Sample { value: 1.0, timestamp: T0 }],
        ..TimeSeriesV2::default()
    };
    let check = |labels_refs: Vec<u32>, reason: &str| {
        let symbols = ["", "__name__", "up"].map(String::from).into();
        let timeseries = vec![series(labels_refs), series(vec![1, 2])];
        let page = page(Version::V2, &Request { symbols, timeseries }.encode_to_vec());
        assert_eq!(page.refused.reasons(), [reason]);
        assert_eq!(page.new.len(), 1);
    };
    check(vec![1, 3], "text 3 is not in the table of 3");
    check(vec![1, u32::MAX], "text 4294967295 is not in the table of 3");
    check(vec![1, 2, 1], "the numbers of the labels of a series are torn, or not pairs");
    let symbols = vec!["up".to_owned()];
    let error = read(Version::V2, &Request { symbols, timeseries: vec![] }.encode_to_vec(), &known()).unwrap_err();
    assert!(error.to_string().contains("does not begin with the empty text"), "{error}");
}

#[test]
fn a_payload_of_nan_carries_no_mark_but_that_of_prometheus() {
    let silent = f64::from_bits(0x7ff0_0000_0000_0003);
    let page = page(Version::V1, &body(vec![v1(&[("__name__", "m")], &[(T0, silent), (T0 + 1, STALE_NAN)])]));
    let bits: Vec<u64> = page.new_points.iter().map(|p| p.value.to_bits()).collect();
    assert_eq!(bits, [f64::NAN.to_bits(), STALE_NAN.to_bits()]);
}

#[test]
fn fields_in_another_order_or_unknown_ones_change_nothing() {
    let series = v1(&[("__name__", "up"), ("job", "a")], &[(T0, 1.5)]);
    let mut message = Vec::new();
    // An unknown field, the sample with its time first, and the labels last.
    proto::put_int(&mut message, 99, 5);
    let mut sample = Vec::new();
    proto::put_int(&mut sample, 2, T0.cast_unsigned());
    proto::put_double(&mut sample, 1, 1.5);
    proto::put_bytes(&mut message, 2, &sample);
    series.labels.iter().for_each(|label| proto::put_bytes(&mut message, 1, &label.encode_to_vec()));
    let mut other = Vec::new();
    proto::put_bytes(&mut other, 1, &message);
    assert_eq!(samples(&page(Version::V1, &other)), samples(&page(Version::V1, &body(vec![series]))));
}

#[test]
fn a_torn_message_is_refused_with_the_place() {
    let whole = body(vec![v1(&[("__name__", "up"), ("job", "a")], &[(T0, 1.5)])]);
    for cut in 1..whole.len() {
        let error = read(Version::V1, &whole[..cut], &known()).unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{cut}: {error}");
    }
    let error = read(Version::V1, b"\x0b", &known()).unwrap_err();
    assert_eq!(error.to_string(), "byte 0 of the message: field 1 has the unknown wire type 3");
}

#[test]
fn native_histograms_come_as_they_were_sent_and_wrong_ones_are_told() {
    use crate::model::HistogramPoint;
    use crate::model::histogram::{Buckets, Histogram, ResetHint, Span};
    let labels = Labels::from_pairs([("__name__", "latency")]);
    let spans = vec![Span { offset: -3, length: 2 }, Span { offset: 4, length: 1 }];
    let good = Histogram {
        reset_hint: ResetHint::Gauge,
        schema: -2,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 9.5,
        sum: -7.25,
        positive: Buckets { spans, counts: vec![1.0, 2.5, 3.0] },
        negative: Buckets::run(0, vec![1.0]),
        custom_values: std::sync::Arc::from([]),
    };
    let custom = Histogram {
        schema: crate::model::histogram::SCHEMA_CUSTOM,
        count: 3.0,
        sum: 4.0,
        positive: Buckets::run(0, vec![1.0, 2.0]),
        custom_values: std::sync::Arc::from([0.5, 1.0]),
        ..Histogram::default()
    };
    let wrong = Histogram { schema: 99, ..good.clone() };
    let ended = Histogram { sum: STALE_NAN, ..Histogram::default() };
    let point = |t_ms: i64, h: &Histogram| HistogramPoint { t_ms, histogram: std::sync::Arc::new(h.clone()) };
    let sent = [point(T0, &good), point(T0 + 1, &custom), point(T0 + 2, &wrong), point(T0 + 3, &ended)];
    for version in [Version::V1, Version::V2] {
        let mut encoder = Encoder::new(version);
        encoder.histograms(&labels, &sent, None);
        let page = page(version, &encoder.finish());
        assert_eq!(page.new[0].labels, labels);
        assert_eq!(page.new_histograms, sent[..2]);
        assert_eq!(
            page.new_points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>(),
            [(T0 + 3, STALE_NAN.to_bits())]
        );
        assert!(page.refused.reasons()[0].contains("schema 99"), "{:?}", page.refused);
    }
    // Integers, as a Prometheus sends them: differences from bucket to bucket.
    let mut message = Vec::new();
    proto::put_int(&mut message, 1, 7);
    proto::put_bytes(&mut message, 11, &[0x08, 0x02, 0x10, 0x03]);
    proto::put_bytes(&mut message, 12, &[0x02, 0x04, 0x01]);
    proto::put_int(&mut message, 15, T0.cast_unsigned());
    let read = decode_histogram(&message).unwrap();
    assert_eq!(read.histogram.positive, Buckets::run(1, vec![1.0, 3.0, 2.0]));
    assert_eq!((read.t_ms, read.histogram.count), (T0, 7.0));
}

fn any_labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[a-z_]{1,6}|é[a-z]", "[a-zA-Z0-9é/]{0,9}", 0..6)
        .prop_map(|pairs| Labels::from_pairs(pairs.into_iter().chain([("__name__".to_owned(), "m".to_owned())])))
}

fn any_points() -> impl Strategy<Value = Vec<(i64, f64)>> {
    prop::collection::vec((any::<i64>(), -1e9..1e9f64), 1..5)
}

proptest! {
    #[test]
    fn what_prost_writes_is_read_and_what_the_encoder_writes_is_the_same(
        series in prop::collection::btree_map(any_labels(), any_points(), 0..8),
    ) {
        let mut request = WriteRequest::default();
        let mut expected = BTreeMap::new();
        let mut encoders = [Encoder::new(Version::V1), Encoder::new(Version::V2)];
        for (labels, points) in &series {
            let pairs: Vec<(&str, &str)> = labels.iter().collect();
            request.timeseries.push(v1(&pairs, points));
            let points: Vec<Point> = points.iter().map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect();
            encoders.iter_mut().for_each(|encoder| encoder.series(labels, &points, None, None));
            expected.insert(labels.clone(), points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>());
        }
        prop_assert_eq!(samples(&page(Version::V1, &request.encode_to_vec())), expected.clone());
        let [first, second] = encoders.map(Encoder::finish);
        prop_assert_eq!(samples(&page(Version::V1, &first)), expected.clone());
        prop_assert_eq!(samples(&page(Version::V2, &second)), expected);
    }

    #[test]
    fn bytes_that_changed_never_panic(
        series in prop::collection::vec((any_labels(), any_points()), 1..4),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for version in [Version::V1, Version::V2] {
            let mut encoder = Encoder::new(version);
            for (labels, points) in &series {
                let points: Vec<Point> = points.iter().map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect();
                encoder.series(labels, &points, None, Some(5));
            }
            let mut body = encoder.finish();
            for (index, byte) in &flips {
                let at = index.index(body.len());
                body[at] ^= byte;
            }
            let _ = read(version, &body, &known());
        }
    }
}

/// A request of 2.0 whose one long text every series names.
fn named_by_all(count: usize, text: &str, pairs: usize, with_samples: bool) -> Vec<u8> {
    let mut symbols: Vec<String> = ["", "__name__"].map(String::from).into();
    symbols.push(text.to_owned());
    let first = symbols.len();
    symbols.extend((0..pairs.max(1)).map(|i| format!("l{i:02}")));
    symbols.extend((0..count).map(|i| format!("m{i}")));
    let of = |i: usize| u32::try_from(i).unwrap();
    let one = |i: usize| TimeSeriesV2 {
        labels_refs: [1, of(first + pairs.max(1) + i)]
            .into_iter()
            .chain((0..pairs).flat_map(|pair| [of(first + pair), 2]))
            .collect(),
        samples: if with_samples { vec![Sample { value: 1.0, timestamp: T0 }] } else { Vec::new() },
        metadata: Some(MetadataV2 { kind: MetricType::Counter.into(), help_ref: 2, unit_ref: 2 }),
        created_timestamp: 0,
    };
    Request { symbols, timeseries: (0..count).map(one).collect() }.encode_to_vec()
}

#[test]
fn what_a_request_is_read_into_is_bounded_however_short_it_is() {
    let check = |version: Version, body: &[u8], want: &str| {
        let error = read(version, body, &known()).expect_err("must be refused");
        assert!(matches!(error, ReadError::TooMany { .. }), "{error}");
        assert_eq!(error.to_string(), want);
    };
    let families = "more than 100000 metric families in one request";
    check(Version::V2, &named_by_all(FAMILIES_MAX + 1, "h", 0, false), families);
    let metadata = (0..=FAMILIES_MAX)
        .map(|i| MetricMetadata { metric_family_name: format!("m{i}"), ..MetricMetadata::default() })
        .collect();
    check(Version::V1, &WriteRequest { timeseries: Vec::new(), metadata }.encode_to_vec(), families);
    // Some 700 KiB each, that stand for 2 GiB of labels and 400 MiB of descriptions.
    let text = "more than 134217728 bytes of labels and metadata in one request";
    let labels = named_by_all(2500, &"x".repeat(16_000), 50, true);
    assert!(labels.len() < 700_000, "{}", labels.len());
    check(Version::V2, &labels, text);
    check(Version::V2, &named_by_all(90_000, &"h".repeat(5000), 0, false), text);
}

#[test]
fn descriptions_are_cut_as_the_store_would_cut_them() {
    let long = "\u{e9}".repeat(10_000);
    let about = page(Version::V2, &named_by_all(1, &long, 0, true)).metadata["m0"].clone();
    assert_eq!((about.help.len(), about.unit.len()), (4096, 1024));
    let name = |len: usize| MetricMetadata { metric_family_name: "n".repeat(len), ..MetricMetadata::default() };
    let request = WriteRequest { timeseries: Vec::new(), metadata: vec![name(0), name(1024), name(1025)] };
    assert_eq!(
        page(Version::V1, &request.encode_to_vec()).metadata.keys().map(String::len).collect::<Vec<_>>(),
        [1024]
    );
}
