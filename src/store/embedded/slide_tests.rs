//! Windows that go on from slot to slot give what reading them whole gives, to the bit.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ingest::Batch;
use crate::model::{Labels, STALE_NAN};
use crate::promql::{EvalOptions, ParseOptions, Plan, SlideCache, SlotCache, Value, eval_instant, parse};

const T0: i64 = 1_700_000_000_000;

/// What happens between two evaluations.
#[derive(Clone, Debug)]
enum Event {
    /// A sample of a series, so many milliseconds after the last evaluation; negative: late.
    Sample(u8, i64, f64),
    /// An evaluation, so much later.
    Evaluate(i64),
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
        1 => Just(Event::Maintain),
        1 => (0i64..60_000).prop_map(Event::Rewind),
    ];
    prop::collection::vec(event, 1..400)
}

const EXPRESSIONS: [&str; 14] = [
    "rate(m[5m])",
    "increase(m[1m])",
    "delta(m[40m])",
    "resets(m[10m])",
    "avg_over_time(m[1m])",
    "avg_over_time(m[40m])",
    "stddev_over_time(m[40m])",
    "stdvar_over_time(m[5m])",
    "sum_over_time(m[20m])",
    "count_over_time(m[40m] offset 1m)",
    "last_over_time(m[5m])",
    "first_over_time(m[40m])",
    "(m - avg_over_time(m[40m])) / stddev_over_time(m[40m])",
    "sum by (s) (rate({__name__=~\"m|n\"}[2m]))",
];

fn bits(value: &Value) -> Vec<(String, u64)> {
    let Value::Vector(samples) = value else { unreachable!("all expressions are vectors") };
    samples.iter().map(|s| (s.labels.to_string(), s.value.to_bits())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_window_that_goes_on_gives_what_a_window_read_whole_gives(events in events(), bytes_max in prop_oneof![5 => Just(1usize << 24), 1 => Just(0usize), 1 => Just(3_000)]) {
        let options = StoreOptions { out_of_order_ms: 150_000, retention_ms: 1_500_000, ..StoreOptions::default() };
        let store = EmbeddedStore::new(options);
        let slides = Arc::new(SlideCache::new(bytes_max));
        let plans: Vec<Plan> = EXPRESSIONS.iter().map(|text| Plan::new(&parse(text, &ParseOptions::default()).unwrap())).collect();
        let options = EvalOptions::default();
        let mut now_ms = T0;
        for event in events {
            match event {
                Event::Sample(s, after_ms, value) => {
                    let labels = Labels::from_pairs([("__name__", if s == 3 { "n" } else { "m" }.to_owned()), ("s", s.to_string())]);
                    let mut batch = Batch::default();
                    batch.push(labels, Some(now_ms + after_ms), value);
                    store.append(&batch, now_ms + after_ms.max(0));
                }
                Event::Evaluate(later_ms) => {
                    now_ms += later_ms;
                    slides.forget_idle(now_ms);
                    let going_on = SlotCache::with_slides(Arc::clone(&slides));
                    let whole = SlotCache::new();
                    for (plan, text) in plans.iter().zip(EXPRESSIONS) {
                        let a = eval_instant(plan, &store, now_ms, &options, &going_on).unwrap();
                        let b = eval_instant(plan, &store, now_ms, &options, &whole).unwrap();
                        prop_assert_eq!(bits(&a), bits(&b), "{} at {}", text, now_ms - T0);
                    }
                }
                Event::Maintain => {
                    store.maintain(now_ms);
                }
                Event::Rewind(back_ms) => store.rewind(now_ms - back_ms),
            }
        }
    }
}
