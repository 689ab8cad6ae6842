//! Windows that go on from slot to slot give what reading them whole gives, to the bit.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ingest::Batch;
use crate::model::histogram::Buckets;
use crate::model::{Histogram, HistogramPoint, Labels, STALE_NAN};
use crate::promql::{EvalOptions, Matcher, ParseOptions, Plan, SlideCache, SlotCache, Value, eval_instant, parse};

const T0: i64 = 1_700_000_000_000;

/// What happens between two evaluations.
#[derive(Clone, Debug)]
enum Event {
    /// A sample of a series, so many milliseconds after the last evaluation; negative: late.
    Sample(u8, i64, f64),
    /// A histogram with so many observations in its buckets, at the end.
    Histogram(u8, u16),
    /// An evaluation, so much later.
    Evaluate(i64),
    /// A sample of the instant that was evaluated last, and another evaluation of it.
    Write(u8, f64),
    /// All series of a kind are deleted.
    Delete(u8),
    /// Old samples are dropped; one in the longest window may be among them.
    Maintain,
    /// The clock was set back so far.
    Rewind(i64),
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0i64..2_000).prop_map(|m| m as f64),
        4 => (-50_000i64..50_000, 0i32..4).prop_map(|(m, s)| m as f64 / 10f64.powi(s)),
        1 => (0i64..1 << 49).prop_map(|m| m as f64),
        1 => prop_oneof![Just(STALE_NAN), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1.0 / 3.0), Just(1e300)],
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => (0u8..4, 0i64..15_000, values()).prop_map(|(s, t, v)| Event::Sample(s, t, v)),
        1 => (0u8..4, -200_000i64..0, values()).prop_map(|(s, t, v)| Event::Sample(s, t, v)),
        6 => prop_oneof![8 => Just(15_000i64), 1 => 1i64..100_000, 1 => Just(900_000i64)].prop_map(Event::Evaluate),
        1 => (0u8..4, 0u16..100).prop_map(|(s, n)| Event::Histogram(s, n)),
        1 => (0u8..4, values()).prop_map(|(s, v)| Event::Write(s, v)),
        1 => Just(Event::Maintain),
        1 => (0u8..40).prop_map(Event::Delete),
        1 => (0i64..60_000).prop_map(Event::Rewind),
    ];
    prop::collection::vec(event, 1..400)
}

const EXPRESSIONS: [&str; 17] = [
    "rate(m[5m])",
    "increase(m[1m])",
    "delta(m[40m])",
    "resets(m[10m])",
    "avg_over_time(m[1m])",
    "avg_over_time(m[40m])",
    "stddev_over_time(m[40m])",
    "stdvar_over_time(m[5m])",
    "sum_over_time(m[20m])",
    "rate(m[5m] offset 1m)",
    "avg_over_time(m[5m] offset 12m)",
    "count_over_time(m[40m] offset 1m)",
    "last_over_time(m[5m] offset -1m)",
    "last_over_time(m[5m])",
    "first_over_time(m[40m])",
    "(m - avg_over_time(m[40m])) / stddev_over_time(m[40m])",
    "sum by (s) (rate({__name__=~\"m|n\"}[2m]))",
];
/// How far behind the slot the expressions are evaluated.
const BEHIND_MS: [i64; 2] = [0, 60_000];

fn bits(value: &Value) -> Vec<(String, u64, String)> {
    let Value::Vector(samples) = value else { unreachable!("all expressions are vectors") };
    let histogram = |h: &Option<Arc<Histogram>>| h.as_ref().map_or(String::new(), |h| h.notation());
    samples.iter().map(|s| (s.labels.to_string(), s.value.to_bits(), histogram(&s.histogram))).collect()
}

fn labels(s: u8) -> Labels {
    Labels::from_pairs([("__name__", if s == 3 { "n" } else { "m" }.to_owned()), ("s", s.to_string())])
}

fn plans(texts: &[&str]) -> Vec<Plan> {
    texts.iter().map(|text| Plan::new(&parse(text, &ParseOptions::default()).unwrap())).collect()
}

fn write_sample(store: &EmbeddedStore, labels: Labels, t_ms: i64, value: f64) {
    let mut batch = Batch::default();
    batch.push(labels, Some(t_ms), value);
    store.append(&batch, t_ms);
}

/// Evaluates all expressions with windows that go on and without, and compares.
fn compare(store: &EmbeddedStore, slides: &Arc<SlideCache>, plans: &[Plan], now_ms: i64) -> Result<(), TestCaseError> {
    let options = EvalOptions::default();
    let going_on = SlotCache::with_slides(Arc::clone(slides), now_ms);
    for behind_ms in BEHIND_MS {
        let whole = SlotCache::new();
        for (plan, text) in plans.iter().zip(EXPRESSIONS) {
            let at_ms = now_ms - behind_ms;
            let a = eval_instant(plan, store, at_ms, &options, &going_on).unwrap();
            let b = eval_instant(plan, store, at_ms, &options, &whole).unwrap();
            prop_assert_eq!(bits(&a), bits(&b), "{} at {}", text, at_ms - T0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_window_that_goes_on_gives_what_a_window_read_whole_gives(events in events(), bytes_max in prop_oneof![5 => Just(1usize << 24), 1 => Just(0usize), 1 => Just(3_000)]) {
        let options = StoreOptions { out_of_order_ms: 150_000, retention_ms: 1_500_000, ..StoreOptions::default() };
        let store = EmbeddedStore::new(options);
        let slides = Arc::new(SlideCache::new(bytes_max));
        let plans = plans(&EXPRESSIONS);
        let mut now_ms = T0;
        for event in events {
            match event {
                Event::Sample(s, after_ms, value) => {
                    let mut batch = Batch::default();
                    batch.push(labels(s), Some(now_ms + after_ms), value);
                    store.append(&batch, now_ms + after_ms.max(0));
                }
                Event::Histogram(s, count) => {
                    let series = store.series_ref(&labels(s), now_ms).unwrap();
                    let count = f64::from(count);
                    let buckets = Buckets::run(0, vec![count]);
                    let histogram = Histogram { count, sum: count, positive: buckets, ..Histogram::default() };
                    let point = HistogramPoint { t_ms: now_ms + 1, histogram: Arc::new(histogram) };
                    store.append_histograms(&[(series, point)], now_ms + 1);
                }
                Event::Evaluate(later_ms) => {
                    now_ms += later_ms;
                    slides.forget_idle(now_ms);
                    compare(&store, &slides, &plans, now_ms)?;
                }
                Event::Write(s, value) => {
                    write_sample(&store, labels(s), now_ms, value);
                    slides.note_written();
                    compare(&store, &slides, &plans, now_ms)?;
                }
                Event::Delete(s) => {
                    let of = Matcher::equal("s", s.to_string());
                    store.delete(&[of]);
                }
                Event::Maintain => {
                    store.maintain(now_ms);
                }
                Event::Rewind(back_ms) => store.rewind(now_ms - back_ms),
            }
            prop_assert!(slides.stats().bytes <= bytes_max as u64);
        }
    }
}

const SLOT_MS: i64 = 15_000;
const SERIES: u64 = 10;

/// Evaluates an expression each slot of a fleet that writes a sample a slot and begins empty; gives how many windows of
/// series were read whole per slot and series, after so long that every window is full.
fn whole_reads(text: &str, behind_ms: i64, value: fn(i64) -> f64) -> f64 {
    let (store, slides) = (EmbeddedStore::new(StoreOptions::default()), Arc::new(SlideCache::default()));
    let (plans, options) = (plans(&[text]), EvalOptions::default());
    let (mut before, measured) = (0, 200);
    for slot in 0..400 {
        let now_ms = T0 + slot * SLOT_MS;
        for s in 0..SERIES {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("s", s.to_string())]);
            write_sample(&store, labels, now_ms, value(slot));
        }
        slides.forget_idle(now_ms);
        let cache = SlotCache::with_slides(Arc::clone(&slides), now_ms);
        eval_instant(&plans[0], &store, now_ms - behind_ms, &options, &cache).unwrap();
        if slot + measured == 399 {
            before = slides.stats().read_whole;
        }
    }
    assert!(before > 0 && slides.stats().idle == 0 && slides.stats().refused == 0, "{text}: {:?}", slides.stats());
    (slides.stats().read_whole - before) as f64 / (SERIES as i64 * measured) as f64
}

#[test]
fn windows_are_advanced_and_not_read_again() {
    let counter = |slot: i64| slot as f64;
    let thirds = |slot: i64| slot as f64 / 3.0;
    // A short window is held whole; of a long one the points that leave next are read now and then.
    for (text, behind_ms, value, most) in [
        ("rate(m[5m])", 0, counter as fn(i64) -> f64, 0.0),
        ("rate(m[5m])", 1_800_000, counter, 0.0),
        ("rate(m[5m] offset 30m)", 0, counter, 0.0),
        ("avg_over_time(m[5m])", 0, counter, 0.0),
        ("avg_over_time(m[40m])", 0, counter, 0.1),
        ("increase(m[40m] offset 15m)", 60_000, counter, 0.1),
        // Sums of what is no decimal are made anew, and a window is read once for that.
        ("avg_over_time(m[5m])", 0, thirds, 1.0),
        ("rate(m[5m])", 0, thirds, 0.0),
        // So is a slope across resets.
        ("rate(m[5m])", 0, |slot| (slot % 10) as f64, 1.0),
        ("resets(m[5m])", 0, |slot| (slot % 10) as f64, 0.0),
    ] {
        let found = whole_reads(text, behind_ms, value);
        assert!(found <= most, "{text}, {behind_ms} ms behind: {found} reads of a series and slot");
    }
}

#[test]
fn windows_of_one_selector_that_are_looked_at_from_two_instants_do_not_disturb_each_other() {
    let (store, slides) = (EmbeddedStore::new(StoreOptions::default()), Arc::new(SlideCache::default()));
    let (plans, options) = (plans(&["rate(m[5m])"]), EvalOptions::default());
    for slot in 0..100 {
        let now_ms = T0 + slot * SLOT_MS;
        write_sample(&store, labels(0), now_ms, slot as f64);
        let cache = SlotCache::with_slides(Arc::clone(&slides), now_ms);
        for behind_ms in [0, 60_000, 0, 600_000] {
            eval_instant(&plans[0], &store, now_ms - behind_ms, &options, &cache).unwrap();
        }
    }
    assert!(slides.stats().read_whole <= 15, "{:?}", slides.stats());
}

#[test]
fn a_window_does_not_keep_the_points_of_a_series_that_is_gone() {
    let (store, slides) = (EmbeddedStore::new(StoreOptions::default()), Arc::new(SlideCache::default()));
    let (plans, options) = (plans(&["count_over_time(m[40m])", "last_over_time(m[40m])"]), EvalOptions::default());
    write_sample(&store, labels(0), T0, 1.0);
    let cache = SlotCache::with_slides(Arc::clone(&slides), T0);
    let count = |plan: &Plan| bits(&eval_instant(plan, &store, T0, &options, &cache).unwrap()).len();
    assert_eq!(count(&plans[0]), 1);
    assert_eq!(store.delete(&[Matcher::equal("s", "0")]), 1);
    slides.note_written();
    // The slot goes on with the series that it selected.
    assert_eq!(count(&plans[1]), 0);
}

#[test]
fn windows_that_are_not_asked_for_are_given_up_with_their_room() {
    let (store, slides) = (EmbeddedStore::new(StoreOptions::default()), Arc::new(SlideCache::default()));
    let (plans, options) = (plans(&["rate(m[5m] offset 1h)"]), EvalOptions::default());
    write_sample(&store, labels(0), T0, 1.0);
    let cache = SlotCache::with_slides(Arc::clone(&slides), T0);
    eval_instant(&plans[0], &store, T0, &options, &cache).unwrap();
    slides.forget_idle(T0 + 599_999);
    assert!(slides.stats().bytes > 0 && slides.stats().idle == 0);
    slides.forget_idle(T0 + 600_000);
    assert_eq!((slides.stats().bytes, slides.stats().idle), (0, 1));
    let none = Arc::new(SlideCache::new(100));
    let cache = SlotCache::with_slides(Arc::clone(&none), T0);
    eval_instant(&plans[0], &store, T0, &options, &cache).unwrap();
    assert_eq!((none.stats().bytes, none.stats().refused), (0, 1));
}
