//! Quantiles, fractions and spreads of native histograms.
//!
//! The arithmetic follows Prometheus 3 (promql/quantile.go): values lie evenly on a logarithmic scale in exponential
//! buckets, and on a linear one in custom buckets and around zero. A histogram whose sum is NaN may hold observations
//! of NaN, which are in no bucket.

use super::numeric::Sum;
use crate::model::Histogram;
use crate::model::histogram::Bucket;

/// What observations of NaN do to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NanEffect {
    None,
    /// The result is NaN for their sake.
    Nan,
    /// They count as if they lay above everything, or not at all.
    Skewed,
}

/// With buckets of one sign only, the zero bucket is taken to hold values of that sign.
fn signed(bucket: &mut Bucket, h: &Histogram) {
    if h.negative.is_empty() && !h.positive.is_empty() {
        bucket.lower = 0.0;
    } else if h.positive.is_empty() && !h.negative.is_empty() {
        bucket.upper = 0.0;
    }
}

/// The φ-quantile.
pub(crate) fn quantile(q: f64, h: &Histogram) -> (f64, NanEffect) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanEffect::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanEffect::None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, NanEffect::None);
    }
    // From the nearer end, but from below where NaN may have been observed: those count as if above everything.
    let forward = h.sum.is_nan() || q < 0.5;
    let mut all = h.all_buckets();
    if !forward {
        all.reverse();
    }
    let mut rank = if forward { q * h.count } else { (1.0 - q) * h.count };
    let (mut count, mut found) = (0.0, None);
    let mut rest = all.into_iter();
    for bucket in rest.by_ref() {
        found = Some(bucket);
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    let nowhere = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let mut bucket = found.unwrap_or(nowhere);
    if h.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, NanEffect::None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, NanEffect::None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        signed(&mut bucket, h);
    }
    count = count.min(h.count);
    if count < rank {
        return if h.sum.is_nan() { (f64::NAN, NanEffect::Nan) } else { (bucket.upper, NanEffect::None) };
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let mut effect = NanEffect::None;
    if h.sum.is_nan() && count + rest.map(|b| b.count).sum::<f64>() < h.count {
        effect = NanEffect::Skewed;
    }
    let share = rank / bucket.count;
    if h.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return (bucket.lower + (bucket.upper - bucket.lower) * share, effect);
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    let value = if bucket.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    };
    (value, effect)
}

/// Observations below a value inside a bucket.
fn rank_inside(b: &Bucket, value: f64, linear: bool) -> f64 {
    if linear {
        return b.count * (value - b.lower) / (b.upper - b.lower);
    }
    let (lower, upper, at) = (b.lower.abs().log2(), b.upper.abs().log2(), value.abs().log2());
    let share = if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) };
    b.count * share
}

/// The share of observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, NanEffect) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, NanEffect::None);
    }
    if lower >= upper {
        return (0.0, NanEffect::None);
    }
    let all = h.all_buckets();
    let rank_of = |value: f64| {
        let mut rank = 0.0;
        for bucket in &all {
            let mut bucket = *bucket;
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                signed(&mut bucket, h);
            }
            if bucket.lower >= value {
                return Some(rank);
            }
            if bucket.upper > value {
                // Nothing can be interpolated in a bucket without lower bound: all of it counts.
                let unbounded = (h.is_custom() || around_zero) && bucket.lower == f64::NEG_INFINITY;
                let inside = rank_inside(&bucket, value, h.is_custom() || around_zero);
                return Some(if unbounded { bucket.count } else { rank + inside });
            }
            rank += bucket.count;
        }
        None
    };
    let (mut count, mut effect) = (h.count, NanEffect::None);
    if h.sum.is_nan() {
        count = all.iter().map(|b| b.count).sum();
        if count < h.count {
            effect = NanEffect::Skewed;
        }
    }
    let [low, high] = [lower, upper].map(|value| rank_of(value).unwrap_or(count).min(count));
    ((high - low) / h.count, effect)
}

/// The population variance, each observation taken to lie in the middle of its bucket.
pub(crate) fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut squares = Sum::default();
    for bucket in h.all_buckets().into_iter().filter(|b| b.count != 0.0) {
        let middle = if h.is_custom() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let size = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -size } else { size }
        };
        let delta = middle - mean;
        squares.add(bucket.count * delta * delta);
    }
    squares.total() / h.count
}
