//! Adding, subtracting and scaling histograms of different layouts.
//!
//! Follows Prometheus: of two exponential schemas the coarser wins; zero buckets are widened until neither cuts through
//! a populated bucket of the other; custom bounds are reduced to those both have. Results hold no empty buckets.

use std::sync::Arc;

use thiserror::Error;

use super::bounds::exponential_bound;
use super::{Buckets, Histogram, ResetHint};

/// A histogram with exponential buckets and one with custom buckets have no common layout.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("histograms with exponential and with custom buckets cannot be combined")]
pub struct Incompatible;

/// What is worth saying about two histograms that were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// One said that its counter was reset, the other that it was not.
    pub collision: bool,
    /// Their custom bounds differed and were reduced to the common ones.
    pub reconciled: bool,
}

/// Ascending `(index, left, right)` of two ascending lists of buckets; what one side lacks is 0.
fn zipped(left: &Buckets, right: &Buckets) -> Vec<(i32, f64, f64)> {
    let mut out = Vec::with_capacity(left.counts.len().max(right.counts.len()));
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => a.0.cmp(&b.0),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return out,
        };
        let a = if order.is_le() { left.next() } else { None };
        let b = if order.is_ge() { right.next() } else { None };
        let index = a.or(b).map_or(0, |(index, _)| index);
        out.push((index, a.map_or(0.0, |a| a.1), b.map_or(0.0, |b| b.1)));
    }
}

/// The bounds that both lists have.
fn common_bounds(left: &[f64], right: &[f64]) -> Arc<[f64]> {
    let mut rest = right.iter().peekable();
    let in_right = |bound: &&f64| {
        while rest.next_if(|b| **b < **bound).is_some() {}
        rest.peek().is_some_and(|b| **b == **bound)
    };
    left.iter().filter(in_right).copied().collect()
}

/// Custom buckets as they are under a subset of their bounds.
fn under_bounds(buckets: &Buckets, old: &[f64], new: &[f64]) -> Buckets {
    let mut counts = vec![0.0; new.len() + 1];
    for (index, count) in buckets.iter() {
        let upper = usize::try_from(index).ok().and_then(|i| old.get(i));
        let place = upper.map_or(new.len(), |upper| new.partition_point(|b| b < upper));
        if let Some(slot) = counts.get_mut(place) {
            *slot += count;
        }
    }
    Buckets::from_sorted((0i32..).zip(counts))
}

impl Histogram {
    /// The layout that two histograms share: the second one brought to it, and the first one changed to it.
    pub(super) fn reconcile(&mut self, other: &Self) -> Result<(Self, Merged), Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let mut other = other.clone();
        let mut merged = Merged { collision: self.join_hint(other.reset_hint), reconciled: false };
        if self.is_custom() {
            if self.custom_values != other.custom_values {
                merged.reconciled = true;
                let bounds = common_bounds(&self.custom_values, &other.custom_values);
                for h in [&mut *self, &mut other] {
                    h.positive = under_bounds(&h.positive, &h.custom_values, &bounds);
                    h.custom_values = Arc::clone(&bounds);
                }
            }
            return Ok((other, merged));
        }
        self.reconcile_zero(&mut other);
        if other.schema < self.schema {
            *self = std::mem::take(self).with_schema(other.schema);
        } else if self.schema < other.schema {
            other = other.with_schema(self.schema);
        }
        // What the zero bucket covers has been counted there.
        let (schema, threshold) = (self.schema, self.zero_threshold);
        for buckets in [&mut other.positive, &mut other.negative] {
            let covered = |b: &(i32, f64)| exponential_bound(b.0, schema) <= threshold;
            if buckets.iter().next().is_some_and(|b| covered(&b)) {
                *buckets = Buckets::from_sorted(buckets.iter().skip_while(covered));
            }
        }
        Ok((other, merged))
    }

    /// The hint of a sum; true where the two contradict each other.
    fn join_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collision) = match (self.reset_hint, other) {
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
            (same, _) => (same, false),
        };
        self.reset_hint = hint;
        collision
    }

    /// Widens the zero buckets to one width.
    fn reconcile_zero(&mut self, other: &mut Self) {
        // Each round widens one of the two by at least one bucket.
        let rounds = self.positive.counts.len()
            + self.negative.counts.len()
            + other.positive.counts.len()
            + other.negative.counts.len()
            + 2;
        for _ in 0..rounds {
            if self.zero_threshold < other.zero_threshold {
                self.widen_zero(other.zero_threshold);
            } else if other.zero_threshold < self.zero_threshold {
                other.widen_zero(self.zero_threshold);
            } else {
                return;
            }
        }
    }

    /// What the zero bucket would hold with a larger threshold, and that threshold moved to the next bound where it
    /// would cut through a populated bucket.
    pub(super) fn zero_with(&self, threshold: f64) -> (f64, f64) {
        let mut threshold = threshold;
        // Moving up for one sign may make the other one cut again: at most once per bucket.
        for _ in 0..=self.negative.counts.len() + self.positive.counts.len() {
            let mut count = self.zero_count;
            let mut moved = false;
            for (negative, buckets) in [(false, &self.positive), (true, &self.negative)] {
                for (index, held) in buckets.iter() {
                    let lower = exponential_bound(index.saturating_sub(1), self.schema);
                    if lower >= threshold || threshold.is_nan() {
                        break;
                    }
                    count += held;
                    let upper = exponential_bound(index, self.schema);
                    if upper > threshold {
                        if held != 0.0 {
                            threshold = upper;
                            moved |= negative;
                        }
                        break;
                    }
                }
            }
            if !moved {
                return (count, threshold);
            }
        }
        (self.zero_count, threshold)
    }

    fn widen_zero(&mut self, threshold: f64) {
        let (count, threshold) = self.zero_with(threshold);
        (self.zero_count, self.zero_threshold) = (count, threshold);
        let schema = self.schema;
        for buckets in [&mut self.positive, &mut self.negative] {
            let covered = |b: &(i32, f64)| exponential_bound(b.0.saturating_sub(1), schema) < threshold;
            *buckets = Buckets::from_sorted(buckets.iter().skip_while(covered));
        }
    }

    /// Adds a histogram of any layout of the same kind.
    pub fn add(&mut self, other: &Self) -> Result<Merged, Incompatible> {
        self.combine(other, |a, b| a + b)
    }

    /// Takes a histogram of any layout of the same kind away. The hint is that of a sum: a caller for whom the
    /// difference is a gauge says so.
    pub fn subtract(&mut self, other: &Self) -> Result<Merged, Incompatible> {
        self.combine(other, |a, b| a - b)
    }

    fn combine(&mut self, other: &Self, op: fn(f64, f64) -> f64) -> Result<Merged, Incompatible> {
        let (other, merged) = self.reconcile(other)?;
        self.zero_count = op(self.zero_count, other.zero_count);
        self.count = op(self.count, other.count);
        self.sum = op(self.sum, other.sum);
        let join = |a: &Buckets, b: &Buckets| {
            Buckets::from_sorted(zipped(a, b).into_iter().map(|(index, a, b)| (index, op(a, b))))
        };
        self.positive = join(&self.positive, &other.positive);
        self.negative = join(&self.negative, &other.negative);
        Ok(merged)
    }

    fn each(&mut self, change: impl Fn(f64) -> f64) {
        self.zero_count = change(self.zero_count);
        self.count = change(self.count);
        self.sum = change(self.sum);
        self.positive.counts.iter_mut().chain(&mut self.negative.counts).for_each(|c| *c = change(*c));
    }

    /// Multiplies all counts and the sum; a negative factor makes a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.each(|v| v * factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|v| v / divisor);
        if divisor == 0.0 {
            (self.positive, self.negative) = (Buckets::default(), Buckets::default());
        } else if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Leaves empty buckets out.
    pub fn compact(&mut self) {
        for buckets in [&mut self.positive, &mut self.negative] {
            if buckets.counts.contains(&0.0) || buckets.spans.iter().skip(1).any(|s| s.offset == 0 || s.length == 0) {
                *buckets = Buckets::from_sorted(buckets.iter());
            }
        }
    }
}
