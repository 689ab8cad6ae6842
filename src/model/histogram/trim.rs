//! Keeping only the observations on one side of a value.
//!
//! Follows Prometheus's `</` and `>/` operators: buckets on the kept side stay, the bucket that holds the value is
//! split (on a linear scale with custom buckets and around zero, on a logarithmic one otherwise), and the sum is
//! estimated anew from the middles of what is kept. Unbounded buckets cannot be split.

use super::bounds::Bucket;
use super::{Buckets, Histogram};

/// The side that is kept.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Below,
    Above,
}

/// How values are thought to lie in a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Positive,
    Negative,
}

fn or_zero(bound: f64) -> f64 {
    if bound.is_infinite() { 0.0 } else { bound }
}

/// The middle of an interval.
fn middle(lower: f64, upper: f64, scale: Scale) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) => {
            if upper > 0.0 {
                upper / 2.0
            } else {
                upper
            }
        }
        (false, true) => lower,
        (false, false) => match scale {
            Scale::Linear => (lower + upper) / 2.0,
            Scale::Positive => (lower * upper).abs().sqrt(),
            Scale::Negative => -(lower * upper).abs().sqrt(),
        },
    }
}

/// What is kept of an unbounded bucket that holds the value, and its middle.
fn unbounded(b: &Bucket, at: f64, side: Side) -> (f64, f64) {
    if b.lower == f64::NEG_INFINITY {
        let bounded = b.upper != f64::INFINITY;
        return match side {
            Side::Below if at >= b.upper => (b.count, 0.0),
            // Values are taken to begin at 0.
            Side::Below if at > 0.0 && b.upper > 0.0 && bounded => (b.count * at / b.upper, at / 2.0),
            Side::Below if b.upper <= 0.0 => (b.count, at),
            Side::Above if at <= b.lower => (b.count, 0.0),
            Side::Above if at >= 0.0 && b.upper > at && bounded => {
                (b.count * (1.0 - at / b.upper), (at + b.upper) / 2.0)
            }
            _ => (0.0, or_zero(b.upper)),
        };
    }
    match side {
        Side::Above if at >= b.lower => (b.count, at),
        _ => (0.0, or_zero(b.lower)),
    }
}

/// The share of a bucket below a value inside it.
fn share_below(b: &Bucket, at: f64, scale: Scale) -> f64 {
    let (lower, upper, value) = (b.lower.abs().log2(), b.upper.abs().log2(), at.abs().log2());
    match scale {
        Scale::Linear => (at - b.lower) / (b.upper - b.lower),
        Scale::Positive => (value - lower) / (upper - lower),
        Scale::Negative => 1.0 - (value - upper) / (lower - upper),
    }
}

/// What is kept of a bucket, and the middle of that.
fn kept(b: &Bucket, at: f64, side: Side, scale: Scale) -> (f64, f64) {
    let (whole, none) = match side {
        Side::Below => (b.upper <= at, b.lower >= at),
        Side::Above => (b.lower >= at, b.upper <= at),
    };
    if whole {
        return (b.count, middle(b.lower, b.upper, scale));
    }
    if none || at.is_nan() {
        return (0.0, 0.0);
    }
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return unbounded(b, at, side);
    }
    let below = b.count * share_below(b, at, scale);
    match side {
        Side::Below => (below, middle(b.lower, at, scale)),
        Side::Above => (b.count - below, middle(at, b.upper, scale)),
    }
}

/// The zero bucket: with buckets of one sign only, it is taken to hold values of that sign.
fn kept_zero(h: &Histogram, at: f64, side: Side) -> (f64, f64) {
    let populated = |b: &Buckets| b.counts.iter().any(|c| *c != 0.0);
    let mut zero = h.zero_bucket();
    match (populated(&h.negative), populated(&h.positive)) {
        (true, false) => zero.upper = 0.0,
        (false, true) => zero.lower = 0.0,
        _ => {}
    }
    let width = zero.upper - zero.lower;
    match side {
        Side::Below if at <= zero.lower => (0.0, 0.0),
        Side::Above if at >= zero.upper => (0.0, 0.0),
        Side::Below if at < zero.upper => (zero.count * ((at - zero.lower) / width), (zero.lower + at) / 2.0),
        Side::Above if at > zero.lower => (zero.count * ((zero.upper - at) / width), (at + zero.upper) / 2.0),
        _ => (zero.count, (zero.lower + zero.upper) / 2.0),
    }
}

impl Histogram {
    /// The observations below a value.
    #[must_use]
    pub fn trimmed_below(&self, at: f64) -> Self {
        self.trimmed(at, Side::Below)
    }

    /// The observations above a value.
    #[must_use]
    pub fn trimmed_above(&self, at: f64) -> Self {
        self.trimmed(at, Side::Above)
    }

    fn trimmed(&self, at: f64, side: Side) -> Self {
        let mut out = self.clone();
        let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
        let positive = if self.is_custom() { Scale::Linear } else { Scale::Positive };
        let mut take = |b: Bucket, (keep, centre): (f64, f64)| {
            count += keep;
            if keep != 0.0 {
                sum += centre * keep;
            }
            changed |= keep != b.count;
            keep
        };
        let mut all = |buckets: Vec<Bucket>, scale| -> Vec<f64> {
            buckets.into_iter().map(|b| if b.count == 0.0 { 0.0 } else { take(b, kept(&b, at, side, scale)) }).collect()
        };
        out.positive.counts = all(self.positive_buckets().collect(), positive);
        out.negative.counts = all(self.negative_buckets().collect(), Scale::Negative);
        if self.zero_count > 0.0 {
            out.zero_count = take(self.zero_bucket(), kept_zero(self, at, side));
        }
        if !changed {
            return self.clone();
        }
        (out.count, out.sum) = (count, sum);
        out.compact();
        out
    }
}
