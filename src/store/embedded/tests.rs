//! Tests of the store as a whole, against a model of maps where the input is hostile.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ingest::Batch;
use crate::model::{AbsenceReason, Labels, Point, SILENT_NAN, STALE_NAN, is_stale};
use crate::promql::{MatchOp, Matcher, Source};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const T0: i64 = 1_700_000_000_000;

fn labels(text: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(text.iter().copied())
}

fn metric(name: &str, host: &str) -> Labels {
    labels(&[("__name__", name), ("host", host)])
}

fn named(name: &str) -> Vec<Matcher> {
    vec![Matcher::equal("__name__", name)]
}

fn add(store: &EmbeddedStore, labels: &Labels, t_ms: i64, value: f64) -> AppendStats {
    let mut batch = Batch::default();
    batch.push(labels.clone(), Some(t_ms), value);
    store.append(&batch, t_ms)
}

fn instant(store: &EmbeddedStore, matchers: &[Matcher], at_ms: i64) -> Vec<Option<f64>> {
    let selection = store.select(matchers).unwrap();
    let mut out = Vec::new();
    store.instant(&selection, at_ms, 5 * MINUTE, &mut out).unwrap();
    out.into_iter().map(|p| p.map(|p| p.value)).collect()
}

#[test]
fn the_first_value_of_an_instant_stays_but_a_value_takes_the_place_of_a_mark() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let up = metric("up", "a");
    assert_eq!(add(&store, &up, T0, 1.0).appended, 1);
    assert_eq!(add(&store, &up, T0, 1.0).duplicates, 1);
    assert_eq!(add(&store, &up, T0, 2.0).conflicts, 1);
    assert_eq!(add(&store, &up, T0 + 5, STALE_NAN).appended, 1);
    assert_eq!(add(&store, &up, T0 + 5, 3.0).replaced, 1);
    assert_eq!(instant(&store, &named("up"), T0 + 5), [Some(3.0)]);
    assert_eq!(instant(&store, &named("up"), T0 + 4), [Some(1.0)]);
    assert_eq!(instant(&store, &named("up"), T0 - 1), [None]);
    assert_eq!(store.stats().samples, 2);
}

#[test]
fn a_store_that_just_started_does_not_answer_that_there_is_nothing() {
    let store = EmbeddedStore::new(StoreOptions { needs_samples: true, ..StoreOptions::default() });
    assert!(store.select(&named("up")).is_err());
    add(&store, &metric("other", "a"), T0, 1.0);
    assert!(store.select(&named("up")).unwrap().is_empty());
}

#[test]
fn an_instant_looks_back_over_a_left_open_window() {
    let store = EmbeddedStore::new(StoreOptions::default());
    add(&store, &metric("up", "a"), T0, 1.0);
    assert_eq!(instant(&store, &named("up"), T0 + 5 * MINUTE - 1), [Some(1.0)]);
    assert_eq!(instant(&store, &named("up"), T0 + 5 * MINUTE), [None]);
}

#[test]
fn samples_outside_the_windows_are_refused_and_counted() {
    let store = EmbeddedStore::new(StoreOptions { out_of_order_ms: HOUR, ..StoreOptions::default() });
    let up = metric("up", "a");
    let mut batch = Batch::default();
    for t_ms in [T0, T0 - HOUR, T0 - HOUR - 1, T0 - 24 * HOUR - 1, T0 + 10 * MINUTE + 1, i64::MIN, i64::MAX] {
        batch.push(up.clone(), Some(t_ms), 1.0);
    }
    batch.push(up, None, 1.0);
    let stats = store.append(&batch, T0);
    assert_eq!((stats.appended, stats.out_of_order, stats.too_old, stats.too_new, stats.duplicates), (2, 1, 3, 2, 1));
    assert_eq!(store.time_range(), Some((T0 - HOUR, T0)));
}

#[test]
fn samples_in_any_order_end_up_in_order() {
    let up = metric("up", "a");
    let check = |order: &dyn Fn(i64) -> i64| {
        let store = EmbeddedStore::new(StoreOptions::for_files());
        for i in 0..2000 {
            let at = order(i);
            assert_eq!(add(&store, &up, T0 + at * 1000, at as f64).appended, 1);
        }
        let mut seen = Vec::new();
        store
            .range(&store.series(&named("up")), i64::MIN, i64::MAX, &mut |_, points| {
                seen.extend_from_slice(points);
                ControlFlow::Continue(())
            })
            .unwrap();
        let wanted: Vec<Point> = (0..2000).map(|i| Point { t_ms: T0 + i * 1000, value: i as f64 }).collect();
        assert_eq!(seen, wanted);
        for i in (0..2000).step_by(7) {
            assert_eq!(instant(&store, &named("up"), T0 + i * 1000 + 999), [Some(i as f64)]);
        }
    };
    check(&|i| i);
    check(&|i| 1999 - i);
    check(&|i| i * 777 % 2000);
}

#[test]
fn a_clock_that_is_set_back_loses_no_sample_and_hides_no_value() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let up = metric("up", "a");
    let append = |t_ms: i64, value: f64| {
        let stats = add(&store, &up, t_ms, value);
        assert_eq!(stats.appended, 1);
        assert_eq!(instant(&store, &named("up"), t_ms), [Some(value)]);
    };
    (0..400).for_each(|i| append(T0 + i * 15_000, 1.0));
    (0..400).for_each(|i| append(T0 + 40 * MINUTE + 7 + i * 15_000, 2.0));
}

#[test]
fn a_description_that_is_cut_is_the_same_when_it_comes_again() {
    let store = EmbeddedStore::new(StoreOptions::default());
    store.keep_journal();
    let help = "é".repeat(5000);
    let about = crate::ingest::Metadata { help, unit: "s".repeat(9000), ..Default::default() };
    store.set_metadata("m", &about);
    assert_eq!(store.came().described.len(), 1);
    let kept = store.metadata_of("m").unwrap();
    assert!(kept.help.len() <= 4096 && kept.help.starts_with("éé"), "{}", kept.help.len());
    store.set_metadata("m", &about);
    assert_eq!(store.came().described.len(), 0);
    store.set_metadata("m", &crate::ingest::Metadata { unit: "other".to_owned(), ..about });
    assert_eq!(store.came().described.len(), 1);
}

#[test]
fn labels_beyond_the_limits_are_refused_and_counted() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let check = |labels: Labels, taken: u64| {
        let stats = add(&store, &labels, T0, 1.0);
        assert_eq!((stats.appended, stats.refused_labels), (taken, 1 - taken), "{labels}");
    };
    check(Labels::empty(), 0);
    check(labels(&[("a", &"v".repeat(16 * 1024))]), 1);
    check(labels(&[("a", &"v".repeat(16 * 1024 + 1))]), 0);
    check(labels(&[(&"n".repeat(1025), "v")]), 0);
    check(Labels::from_pairs((0..64).map(|i| (format!("l{i}"), "v"))), 1);
    check(Labels::from_pairs((0..65).map(|i| (format!("l{i}"), "v"))), 0);
    check(labels(&[("ключ", "\0\n\u{202e}")]), 1);
}

#[test]
fn an_unchanged_selector_gives_the_same_lists_and_a_changed_one_is_brought_up_to_date() {
    let store = EmbeddedStore::new(StoreOptions::default());
    add(&store, &metric("up", "b"), T0, 1.0);
    let first = store.series(&named("up"));
    add(&store, &metric("down", "a"), T0, 1.0);
    assert!(Arc::ptr_eq(&first.series, &store.series(&named("up")).series));
    add(&store, &metric("up", "c"), T0, 1.0);
    add(&store, &metric("up", "a"), T0, 1.0);
    let hosts = |store: &EmbeddedStore| -> Vec<String> {
        store.series(&named("up")).series.iter().map(|l| l.get("host").unwrap_or("").to_owned()).collect()
    };
    assert_eq!(hosts(&store), ["a", "b", "c"]);
    assert_eq!(store.delete(&[Matcher::equal("host", "b")]), 1);
    assert_eq!(hosts(&store), ["a", "c"]);
    let mut out = vec![None; 9];
    store.instant(&first, T0, MINUTE, &mut out).unwrap();
    assert_eq!(out, [None], "a handle of a series that is gone reads nothing");
}

#[test]
fn ended_and_silent_series_are_told_apart() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let (a, b) = (metric("up", "a"), metric("up", "b"));
    add(&store, &a, T0, 1.0);
    add(&store, &b, T0, 1.0);
    let refs = [store.series_ref(&a, T0).unwrap(), store.series_ref(&b, T0).unwrap()];
    assert_eq!(store.absence(&named("up"), T0), AbsenceReason::NoData);
    assert_eq!(store.end_series(&refs[..1], T0), 1);
    assert_eq!(instant(&store, &named("up"), T0), [Some(1.0), Some(1.0)], "the value of the same instant stays");
    assert_eq!(instant(&store, &named("up"), T0 + 1), [None, Some(1.0)]);
    assert_eq!(store.absence(&named("up"), T0 + 1), AbsenceReason::NoData);
    assert_eq!(store.silence_series(&refs, T0 + 5), 1, "an ended series does not fall silent");
    assert_eq!(store.silence_series(&refs, T0 + 6), 0);
    assert_eq!(store.absence(&named("up"), T0 + 9), AbsenceReason::NoData);
    assert_eq!(store.end_series(&refs, T0 + 10), 1, "a silent series may still end");
    assert_eq!(store.absence(&named("up"), T0 + 10), AbsenceReason::SeriesEnded);
    assert_eq!(store.absence(&named("up"), T0), AbsenceReason::NoData);
    assert_eq!(store.absence(&named("unknown"), T0), AbsenceReason::NoData);
    let mut marks = Vec::new();
    store
        .range(&store.series(&named("up")), T0, T0 + 99, &mut |_, p| {
            marks.push(p.len());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(marks, [1, 2], "a range shows the marks");
}

#[test]
fn retention_drops_old_chunks_and_then_the_series() {
    let store = EmbeddedStore::new(StoreOptions::default());
    let up = metric("up", "a");
    for i in 0..4000 {
        add(&store, &up, T0 + i * 15_000, i as f64);
    }
    let end = T0 + 4000 * 15_000;
    store.maintain(end + 20 * HOUR);
    let (oldest, _) = store.time_range().unwrap();
    assert!((end - 4 * HOUR - 2 * HOUR..=end - 4 * HOUR).contains(&oldest), "{}", end - oldest);
    assert!(store.stats().samples < 1600);
    let gone = store.series_ref(&up, end).unwrap();
    assert_eq!(store.maintain(end + 25 * HOUR).series_dropped, 1);
    let stats = store.stats();
    assert_eq!((stats.series, stats.samples, stats.chunks, stats.sample_bytes), (0, 0, 0, 0));
    assert_eq!(store.append_refs(&[(gone, Point { t_ms: end, value: 1.0 })], end).gone, [gone]);
    assert!(store.label_names().is_empty());
}

#[test]
fn under_churn_the_longest_idle_series_make_room_and_pinned_or_live_ones_stay() {
    let store = EmbeddedStore::new(StoreOptions { series_max: 200, ..StoreOptions::default() });
    let pinned = metric("errors", "firing");
    add(&store, &pinned, T0, 1.0);
    store.pin(vec![vec![Matcher::equal("__name__", "errors"), Matcher::equal("host", "firing")]]);
    let mut now_ms = T0;
    for i in 0..5000 {
        now_ms += 10_000;
        add(&store, &metric("up", "live"), now_ms, 1.0);
        let new = add(&store, &metric("up", &format!("pod-{i}")), now_ms, 1.0);
        assert_eq!(new.refused(), 0);
        assert!(store.stats().series <= 200);
    }
    assert_eq!(instant(&store, &[Matcher::equal("host", "live")], now_ms), [Some(1.0)]);
    assert_eq!(store.series(&named("errors")).len(), 1);
    assert!(store.stats().series_evicted_total > 4000);
    // All at once: nothing is idle, the rest is refused and counted, and a clock set back does not stop eviction.
    let mut batch = Batch::default();
    (0..300).for_each(|i| batch.push(metric("storm", &i.to_string()), None, 1.0));
    let later = now_ms + 4 * MINUTE;
    assert!(store.append(&batch, later).refused_series > 0);
    assert!(store.append(&batch, later - HOUR + 6 * MINUTE).refused_series > 0);
    assert_eq!(store.append(&batch, later + 6 * MINUTE).refused_series, 101);
}

#[test]
fn a_pin_holds_the_series_it_names_for_as_long_as_it_is_read() {
    let store = EmbeddedStore::new(StoreOptions { series_max: 64, ..StoreOptions::default() });
    for (name, host) in [("own", "a"), ("own", "b"), ("window", "a"), ("all", "a")] {
        add(&store, &metric(name, host), T0, 1.0);
    }
    let pin = |name: &str| Pin::from(named(name));
    store.pin(vec![
        Pin { series: Some([labels(&[("host", "a")])].into()), ..pin("own") },
        Pin { within_ms: Some(HOUR), ..pin("window") },
        pin("all"),
    ]);
    let left = |minutes: std::ops::Range<i64>| {
        minutes.for_each(|i| drop(add(&store, &metric("pod", &i.to_string()), T0 + i * MINUTE, 1.0)));
        ["own", "window", "all"].map(|name| store.series(&named(name)).len())
    };
    assert_eq!(left(0..60), [2, 1, 1], "there is room");
    assert_eq!(left(60..61), [1, 1, 1], "the store is full, and one of its oldest series is read by nobody");
    assert_eq!(left(61..62), [1, 0, 1], "the window of another has moved on");
    assert_eq!(left(62..180), [1, 0, 1], "what is pinned stays");
}

#[test]
fn readers_and_writers_share_a_store() {
    let store = EmbeddedStore::new(StoreOptions::default());
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..300 {
                    add(store, &metric("up", &format!("{writer}-{}", i % 40)), T0 + i, 1.0);
                }
            });
        }
        scope.spawn(|| {
            for i in 0..100 {
                let selection = store.series(&named("up"));
                assert!(selection.series.is_sorted());
                store
                    .range(&selection, T0 - 1, T0 + i, &mut |_, points| {
                        assert!(points.is_sorted_by_key(|p| p.t_ms));
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                store.maintain(T0);
            }
        });
    });
    assert_eq!(store.series(&named("up")).len(), 80);
}

#[derive(Clone, Debug)]
enum Step {
    Add { series: usize, t_ms: i64, value: u8 },
    Mark { series: usize, t_ms: i64, end: bool },
    Delete { host: usize },
    Maintain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0usize..12, 0i64..400, 0u8..6).prop_map(|(series, t, value)| Step::Add { series, t_ms: t * 1000, value }),
        3 => (0usize..12, 0i64..400, any::<bool>()).prop_map(|(series, t, end)| Step::Mark { series, t_ms: t * 1000, end }),
        1 => (0usize..4).prop_map(|host| Step::Delete { host }),
        1 => Just(Step::Maintain),
    ]
}

fn series_at(i: usize) -> Labels {
    let host = ["a", "b", "web-1", ""][i % 4];
    labels(&[("__name__", ["up", "cpu", "mem"][i / 4]), ("host", host), ("n", &i.to_string())])
}

fn value_at(i: u8) -> f64 {
    [0.0, -0.0, 1.5, f64::INFINITY, f64::from_bits(0x7ff8_0000_dead_beef), STALE_NAN][usize::from(i)]
}

type Model = BTreeMap<Labels, BTreeMap<i64, u64>>;

fn apply_to_model(model: &mut Model, step: &Step) {
    match step {
        Step::Add { series, t_ms, value } => {
            let new = value_at(*value);
            let there = model.entry(series_at(*series)).or_default().entry(*t_ms).or_insert(new.to_bits());
            if is_stale(f64::from_bits(*there)) && !is_stale(new) {
                *there = new.to_bits();
            }
        }
        Step::Mark { series, t_ms, end } => {
            let Some(points) = model.get_mut(&series_at(*series)) else { return };
            let Some((at, bits)) = points.range(..=t_ms).next_back() else { return };
            let done = if *end { *bits == STALE_NAN.to_bits() } else { is_stale(f64::from_bits(*bits)) };
            if !done {
                let t_ms = if at == t_ms { t_ms + 1 } else { *t_ms };
                points.entry(t_ms).or_insert(if *end { STALE_NAN } else { SILENT_NAN }.to_bits());
            }
        }
        Step::Delete { host } => {
            let host = ["a", "b", "web-1", ""][*host];
            model.retain(|labels, _| labels.get("host").unwrap_or("") != host);
        }
        Step::Maintain => {}
    }
}

fn apply(store: &EmbeddedStore, step: &Step) {
    match step {
        Step::Add { series, t_ms, value } => {
            let mut batch = Batch::default();
            batch.push(series_at(*series), Some(*t_ms), value_at(*value));
            store.append(&batch, 500_000);
        }
        Step::Mark { series, t_ms, end } => {
            let Some(series) = read(&store.index).get(&series_at(*series)) else { return };
            if *end {
                store.end_series(&[series], *t_ms)
            } else {
                store.silence_series(&[series], *t_ms)
            };
        }
        Step::Delete { host } => {
            store.delete(&[Matcher::equal("host", ["a", "b", "web-1", ""][*host])]);
        }
        // Far enough after the last write that heads are coded, not so far that retention drops them.
        Step::Maintain => {
            store.maintain(500_000 + HOUR);
        }
    }
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let op = prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)];
    let name = prop_oneof![Just("__name__"), Just("host"), Just("n"), Just("none")];
    let value = prop_oneof![
        Just("up"),
        Just("a"),
        Just("a|b|web-1"),
        Just("web-.*"),
        Just(".+"),
        Just(""),
        Just("1?1"),
        Just("up|"),
        Just("[a-c].*")
    ];
    prop::collection::vec((name, op, value).prop_map(|(n, o, v)| Matcher::new(n, o, v).unwrap()), 0..4)
}

fn check_queries(store: &EmbeddedStore, model: &Model, matchers: &[Matcher], at_ms: i64) {
    let wanted: Vec<_> = model.iter().filter(|(l, _)| matchers.iter().all(|m| m.matches_labels(l))).collect();
    let selection = store.series(matchers);
    assert_eq!(selection.series.iter().collect::<Vec<_>>(), wanted.iter().map(|(l, _)| *l).collect::<Vec<_>>());
    let fresh = read(&store.index).search(matchers);
    assert_eq!((&fresh.series, &fresh.handles), (&selection.series, &selection.handles));
    let mut got = Vec::new();
    store.instant(&selection, at_ms, 60_000, &mut got).unwrap();
    for ((_, points), got) in wanted.iter().zip(&got) {
        let latest =
            points.range(..=at_ms).next_back().filter(|(t, b)| **t > at_ms - 60_000 && !is_stale(f64::from_bits(**b)));
        assert_eq!(got.map(|p| (p.t_ms, p.value.to_bits())), latest.map(|(t, b)| (*t, *b)));
    }
    store
        .range(&selection, at_ms - 100_000, at_ms, &mut |i, points| {
            let got: Vec<_> = points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect();
            let wanted: Vec<_> = wanted[i].1.range(at_ms - 99_999..=at_ms).map(|(t, b)| (*t, *b)).collect();
            assert_eq!(got, wanted);
            ControlFlow::Continue(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_answers_as_a_map_would(
        steps in prop::collection::vec(step(), 1..1500),
        queries in prop::collection::vec((matchers(), -10_000i64..420_000), 1..12),
    ) {
        let store = EmbeddedStore::new(StoreOptions { retention_ms: 1 << 40, out_of_order_ms: 1 << 40, ..StoreOptions::default() });
        let mut model = Model::new();
        for (i, step) in steps.iter().enumerate() {
            apply(&store, step);
            apply_to_model(&mut model, step);
            if i % 97 == 0 {
                queries.iter().for_each(|(matchers, at_ms)| check_queries(&store, &model, matchers, *at_ms));
            }
        }
        queries.iter().for_each(|(matchers, at_ms)| check_queries(&store, &model, matchers, *at_ms));
        let points: usize = model.values().map(BTreeMap::len).sum();
        prop_assert_eq!(store.stats().samples as usize, points);
        store.delete(&[]);
        let stats = store.stats();
        prop_assert_eq!((stats.series, stats.samples, stats.chunks, stats.sample_bytes), (0, 0, 0, 0));
    }
}
