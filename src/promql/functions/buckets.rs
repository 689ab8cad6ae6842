//! Quantiles and fractions of classic histograms (`_bucket` series with an `le` label).
//!
//! The arithmetic follows Prometheus (promql/quantile.go). The functions of the table work on native histograms too, see
//! [`super::native`]; some on these alone.

use super::instant::repeating;
use super::{Body, Function, S, T, V, function};
use crate::promql::eval::histogram;
use crate::promql::remarks::Mended;

pub(super) static FUNCTIONS: &[Function] = &[
    function("histogram_quantile", &[S, V], V, Body::Whole(histogram::quantile)),
    repeating("histogram_quantiles", &[V, T, S], 0, Body::Whole(histogram::quantiles)),
    function("histogram_fraction", &[S, S, V], V, Body::Whole(histogram::fraction)),
    function("histogram_avg", &[V], V, Body::Whole(histogram::mean)),
    function("histogram_count", &[V], V, Body::Whole(histogram::count)),
    function("histogram_sum", &[V], V, Body::Whole(histogram::sum)),
    function("histogram_stddev", &[V], V, Body::Whole(histogram::deviation)),
    function("histogram_stdvar", &[V], V, Body::Whole(histogram::variance)),
];

/// Observations up to a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub upper: f64,
    pub count: f64,
}

/// Relative difference below which a decrease is rounding, not data.
const TOLERANCE: f64 = 1e-12;

/// Sorts and merges; `None` unless the last bucket is `+Inf`.
fn prepared(buckets: &mut Vec<Bucket>) -> Option<()> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(())
}

/// Takes decreases out; says which of them were more than rounding.
fn force_monotonic(buckets: &mut [Bucket]) -> Option<Mended> {
    let mut mended: Option<Mended> = None;
    let mut previous = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        let rounding = (count - previous).abs() <= TOLERANCE * (count.abs() + previous.abs());
        if rounding {
            bucket.count = previous;
        } else if count < previous {
            bucket.count = previous;
            let (bound, diff) = (bucket.upper, previous - count);
            let so_far = mended.unwrap_or(Mended { bounds: (bound, bound), diff });
            mended = Some(so_far.and(Mended { bounds: (bound, bound), diff }));
        } else {
            previous = count;
        }
    }
    mended
}

/// The φ-quantile, and how decreasing counts had to be mended.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Mended>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if prepared(buckets).is_none() {
        return (f64::NAN, None);
    }
    let forced = force_monotonic(buckets);
    let [.., before_last, last] = buckets.as_slice() else { return (f64::NAN, forced) };
    if last.count == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * last.count;
    let finite = buckets.len() - 1;
    let b = buckets[..finite].partition_point(|bucket| bucket.count < rank || bucket.count.is_nan());
    if b == finite {
        return (before_last.upper, forced);
    }
    let end = buckets[b].upper;
    if b == 0 && end <= 0.0 {
        return (end, forced);
    }
    let (mut start, mut count) = (0.0, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].upper;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// The share of observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepared(buckets).is_none() {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |b| b.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (low, high) = (rank_of(lower, buckets), rank_of(upper, buckets));
    (high.unwrap_or(total).min(total) - low.unwrap_or(total).min(total)) / total
}

/// Observations below a value, interpolated inside its bucket; `None` beyond the last bound.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut rank = 0.0;
    // Buckets that begin above 0 are taken to hold positive values only.
    let mut start = if buckets.first().is_some_and(|b| b.upper <= 0.0) { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets {
        if start >= value {
            return Some(rank);
        }
        if bucket.upper > value {
            // Nothing can be interpolated in an unbounded bucket: all of the first, nothing of the last.
            let infinite = start == f64::NEG_INFINITY;
            let share = (value - start) / (bucket.upper - start);
            return Some(if infinite { bucket.count } else { rank + (bucket.count - rank) * share });
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    None
}
