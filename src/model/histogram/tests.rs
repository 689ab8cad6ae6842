//! Histograms: arithmetic of different layouts, resets, trimming, text; and that nothing hostile makes them panic.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
    let count = counts.iter().sum();
    Histogram { schema, count, sum: 1.0, positive: Buckets::run(offset, counts.to_vec()), ..Histogram::default() }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    Histogram { custom_values: Arc::from(bounds), ..exponential(SCHEMA_CUSTOM, 0, counts) }
}

fn sum(a: &Histogram, b: &Histogram) -> (String, Merged) {
    let mut sum = a.clone();
    let merged = sum.add(b).unwrap();
    (sum.notation(), merged)
}

#[test]
fn bounds_are_powers_of_two_and_the_last_finite_one_is_the_largest_float() {
    let bound = |schema, index| Histogram { schema, ..Histogram::default() }.bound(index);
    for (schema, index, want) in [
        (0, 0, 1.0),
        (0, 1, 2.0),
        (0, -1, 0.5),
        (-1, 1, 4.0),
        (2, 2, 2f64.sqrt()),
        (2, -2, 0.5f64.sqrt()),
        (0, 1024, f64::MAX),
        (0, 1025, f64::INFINITY),
        (8, 1024 * 256, f64::MAX),
        (-4, 64, f64::MAX),
        (-4, i32::MIN, 0.0),
        (8, i32::MAX, f64::INFINITY),
    ] {
        let got = bound(schema, index);
        assert!(got == want || (got - want).abs() < 1e-15, "schema {schema}, index {index}: {got}");
    }
}

#[test]
fn the_coarser_schema_wins() {
    let (coarse, fine) = (exponential(-1, 1, &[1.0]), exponential(0, 1, &[2.0, 2.0]));
    let want = "{{schema:-1 count:5 sum:2 offset:1 buckets:[5]}}";
    assert_eq!(sum(&coarse, &fine).0, want);
    assert_eq!(sum(&fine, &coarse).0, want);
}

#[test]
fn zero_buckets_widen_until_they_cut_through_nothing() {
    let mut wide = exponential(0, 1, &[4.0]);
    (wide.zero_threshold, wide.zero_count) = (0.6, 1.0);
    let narrow = Histogram { zero_threshold: 0.1, zero_count: 2.0, ..exponential(0, 0, &[3.0, 5.0]) };
    let want = "{{count:12 sum:2 z_bucket:6 z_bucket_w:1 offset:1 buckets:[9]}}";
    assert_eq!(sum(&wide, &narrow).0, want);
    assert_eq!(sum(&narrow, &wide).0, want);
}

#[test]
fn custom_bounds_are_reduced_to_the_common_ones() {
    let (a, b) = (custom(&[5.0, 10.0], &[1.0, 2.0, 3.0]), custom(&[10.0, 20.0], &[4.0, 0.0, 5.0]));
    let (text, merged) = sum(&a, &b);
    assert_eq!(text, "{{schema:-53 count:15 sum:2 custom_values:[10] buckets:[7 8]}}");
    assert!(merged.reconciled);
    assert!(!sum(&a, &a).1.reconciled);
    assert_eq!(a.clone().add(&exponential(0, 0, &[1.0])), Err(Incompatible));
}

#[test]
fn hints_join_and_contradictions_are_told() {
    use ResetHint::*;
    for (a, b, want, collision) in [
        (Unknown, NotReset, Unknown, false),
        (NotReset, NotReset, NotReset, false),
        (Gauge, Reset, Gauge, false),
        (Reset, NotReset, Unknown, true),
    ] {
        let mut left = Histogram { reset_hint: a, ..Histogram::default() };
        let merged = left.add(&Histogram { reset_hint: b, ..Histogram::default() }).unwrap();
        assert_eq!((left.reset_hint, merged.collision), (want, collision), "{a:?} {b:?}");
    }
}

#[test]
fn scaling_by_a_negative_number_makes_a_gauge_and_division_by_zero_empties_the_buckets() {
    let mut h = exponential(0, 0, &[1.0, 2.0]);
    h.scale(-2.0);
    assert_eq!(h.notation(), "{{count:-6 sum:-2 counter_reset_hint:gauge buckets:[-2 -4]}}");
    h.divide(0.0);
    assert_eq!((h.count, h.positive.is_empty()), (f64::NEG_INFINITY, true));
}

#[test]
fn sums_and_means_keep_small_values_beside_large_ones() {
    let of = |sum, count| Histogram { sum, count, ..Histogram::default() };
    let mut total = HistogramSum::new(&of(1.0, 1.0));
    for value in [1e100, 1.0, -1e100] {
        total.add(&of(value, 1.0)).unwrap();
    }
    assert_eq!(total.total().sum, 2.0);
    let mut mean = HistogramSum::new(&of(5.3, f64::MAX));
    for (value, count) in [(1e100, 1e308), (-1e100, 0.0), (1.0, 0.0)] {
        mean.add_to_mean(&of(value, count)).unwrap();
    }
    let mean = mean.mean();
    assert!((mean.sum - 1.575).abs() < 1e-9 && mean.count.is_finite(), "{mean}");
}

#[test]
fn a_reset_is_seen_by_hint_count_bucket_or_layout() {
    let base = exponential(0, 0, &[1.0, 2.0]);
    let hinted = |reset_hint, h: &Histogram| Histogram { reset_hint, ..h.clone() };
    for (now, before, want) in [
        (base.clone(), base.clone(), false),
        (exponential(0, 0, &[1.0, 3.0]), base.clone(), false),
        (exponential(0, 0, &[0.0, 9.0]), base.clone(), true),
        (exponential(0, 1, &[9.0]), base.clone(), true),
        (exponential(0, 0, &[1.0]), base.clone(), true),
        (exponential(1, 0, &[1.0, 9.0]), base.clone(), true),
        (exponential(-1, 0, &[1.0, 2.0]), base.clone(), false),
        (hinted(ResetHint::Reset, &base), base.clone(), true),
        (hinted(ResetHint::NotReset, &exponential(0, 0, &[0.0])), base.clone(), false),
        (Histogram { zero_threshold: 1.0, zero_count: 1.0, ..exponential(0, 1, &[2.0]) }, base.clone(), true),
        (
            Histogram { zero_threshold: 1.0, zero_count: 1.0, count: 3.0, ..exponential(0, 1, &[2.0]) },
            base.clone(),
            false,
        ),
        (custom(&[1.0], &[9.0]), base.clone(), true),
        (custom(&[2.0, 4.0], &[1.0, 1.0]), custom(&[2.0], &[1.0, 1.0]), false),
        (custom(&[2.0, 4.0], &[0.0, 2.0]), custom(&[2.0], &[1.0, 1.0]), true),
    ] {
        assert_eq!(now.is_reset_since(&before), want, "{} after {}", now.notation(), before.notation());
    }
}

#[test]
fn a_store_hints_what_two_samples_tell() {
    use ResetHint::*;
    let (a, more) = (exponential(0, 0, &[1.0]), exponential(0, 0, &[2.0]));
    assert_eq!(a.hint_behind(None), Unknown);
    assert_eq!(more.hint_behind(Some(&a)), NotReset);
    assert_eq!(a.hint_behind(Some(&more)), Unknown);
    assert_eq!(Histogram { reset_hint: NotReset, ..a.clone() }.hint_behind(Some(&more)), Unknown);
    assert_eq!(Histogram { reset_hint: Gauge, ..a.clone() }.hint_behind(Some(&more)), Gauge);
    assert_eq!(more.hint_behind(Some(&Histogram { reset_hint: Gauge, ..a })), Unknown);
}

#[test]
fn trimming_splits_the_bucket_that_holds_the_value() {
    let h = custom(&[5.0, 10.0, 15.0, 20.0], &[1.0, 6.0, 4.0, 3.0, 1.0]);
    assert_eq!(
        h.trimmed_below(13.0).notation(),
        "{{schema:-53 count:9.4 sum:75.1 custom_values:[5 10 15 20] buckets:[1 6 2.4]}}"
    );
    assert_eq!(h.trimmed_above(f64::NEG_INFINITY), h);
    assert_eq!(h.trimmed_above(f64::INFINITY).count, 0.0);
}

#[test]
fn text_is_that_of_prometheus() {
    let mut h = exponential(0, 0, &[1.0, 0.0, 2.0]);
    (h.zero_count, h.zero_threshold) = (3.0, 0.001);
    h.negative = Buckets::run(1, vec![5e6]);
    assert_eq!(h.to_string(), "{count:3, sum:1, [-2,-1):5e+06, [-0.001,0.001]:3, (0.5,1]:1, (2,4]:2}");
    assert_eq!(custom(&[2.0], &[1.0, 2.0]).to_string(), "{count:3, sum:1, [-Inf,2]:1, (2,+Inf]:2}");
}

#[test]
fn what_breaks_the_rules_is_named() {
    let bad = |change: fn(&mut Histogram)| {
        let mut h = exponential(0, 0, &[1.0]);
        change(&mut h);
        h.validate().unwrap_err()
    };
    assert_eq!(exponential(3, -5, &[1.0, 0.5]).validate(), Ok(()));
    assert_eq!(custom(&[1.0, 2.0], &[1.0, 2.0, 3.0]).validate(), Ok(()));
    assert_eq!(bad(|h| h.schema = 9), HistogramError::Schema(9));
    assert_eq!(bad(|h| h.positive.counts.push(1.0)), HistogramError::Mismatch { spans: 1, counts: 2 });
    assert_eq!(bad(|h| h.positive.spans[0].offset = i32::MAX), HistogramError::IndexRange);
    assert_eq!(bad(|h| h.positive.counts[0] = -1.0), HistogramError::NegativeBucket(-1.0));
    assert_eq!(bad(|h| h.count = -2.0), HistogramError::NegativeCount(-2.0));
    assert!(matches!(bad(|h| h.zero_threshold = f64::NAN), HistogramError::ZeroThreshold(_)));
    assert_eq!(bad(|h| h.custom_values = Arc::from([1.0])), HistogramError::ExponentialBounds);
    let custom_bad = |bounds: &[f64], counts: &[f64]| custom(bounds, counts).validate().unwrap_err();
    assert_eq!(custom_bad(&[2.0, 2.0], &[]), HistogramError::CustomBound(2.0));
    assert_eq!(custom_bad(&[1.0], &[1.0, 1.0, 1.0]), HistogramError::CustomTooFew { bounds: 1, buckets: 3 });
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0f64,
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1e308), Just(f64::MAX), Just(0.0), Just(-3.0)],
    ]
}

fn buckets() -> impl Strategy<Value = Buckets> {
    let offset = prop_oneof![6 => -6..20i32, 1 => any::<i32>()];
    let length = prop_oneof![6 => 0..5u32, 1 => any::<u32>()];
    let spans = prop::collection::vec((offset, length).prop_map(|(offset, length)| Span { offset, length }), 0..4);
    (spans, prop::collection::vec(float(), 0..12)).prop_map(|(spans, counts)| Buckets { spans, counts })
}

/// Histograms that may break every rule.
pub(crate) fn hostile() -> impl Strategy<Value = Histogram> {
    let schema = prop_oneof![3 => -4..9i32, 2 => Just(SCHEMA_CUSTOM), 1 => any::<i32>()];
    let hint = prop::sample::select(vec![ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge]);
    let own = (float(), float(), float(), float());
    (schema, hint, own, (buckets(), buckets()), prop::collection::vec(float(), 0..6)).prop_map(
        |(schema, reset_hint, (zero_threshold, zero_count, count, sum), (positive, negative), bounds)| Histogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive,
            negative,
            custom_values: bounds.into(),
        },
    )
}

proptest! {
    #[test]
    fn hostile_histograms_never_panic(a in hostile(), b in hostile(), at in float()) {
        let (mut sum, mut difference) = (a.clone(), a.clone());
        let _ = (sum.add(&b), difference.subtract(&b));
        let mut total = HistogramSum::new(&a);
        let _ = (total.add(&b), total.add_to_mean(&b));
        let _ = (total.clone().total(), total.mean());
        let mut scaled = a.clone();
        scaled.scale(at);
        scaled.divide(at);
        scaled.compact();
        let _ = (a.validate(), a.is_reset_since(&b), a.hint_behind(Some(&b)), a.all_buckets().len(), a.same(&b));
        let _ = (a.trimmed_below(at), a.trimmed_above(at), a.to_string(), a.notation(), a.byte_len());
    }

    /// Of sound histograms: adding and taking away again gives the same buckets.
    #[test]
    fn what_was_added_can_be_taken_away(
        a in prop::collection::vec(0..50u8, 0..8), b in prop::collection::vec(0..50u8, 0..8), from in -4..4i32, to in -4..4i32,
    ) {
        let of = |counts: &[u8], offset| exponential(1, offset, &counts.iter().map(|c| f64::from(*c)).collect::<Vec<_>>());
        let (a, b) = (of(&a, from), of(&b, to));
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert!(!sum.is_reset_since(&a) && !sum.is_reset_since(&b));
        sum.subtract(&b).unwrap();
        let mut a = a;
        a.compact();
        prop_assert!(sum.positive.same(&a.positive), "{} {}", sum.notation(), a.notation());
    }
}
