//! Whether a counter was reset between two histograms.

use super::bounds::exponential_bound;
use super::{Buckets, Histogram, ResetHint};

/// Whether a bucket that held something is gone or holds less. Both ascend by index.
fn decreased(current: &Buckets, previous: &Buckets) -> bool {
    let mut current = current.iter().peekable();
    previous.iter().any(|(index, before)| {
        while current.next_if(|b| b.0 < index).is_some() {}
        match current.peek() {
            Some((i, now)) if *i == index => *now < before,
            _ => before != 0.0,
        }
    })
}

impl Histogram {
    /// Whether the counter was reset since `previous`: by the hint where there is one, otherwise because the count or a
    /// bucket shrank, or the layout changed in a way that only a restart brings (finer schema, narrower zero bucket).
    pub fn is_reset_since(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count || self.is_custom() != previous.is_custom() {
            return true;
        }
        if self.is_custom() {
            return self.is_custom_reset(previous);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero, threshold) = if self.zero_threshold == previous.zero_threshold {
            (previous.zero_count, previous.zero_threshold)
        } else {
            previous.zero_with(self.zero_threshold)
        };
        // A zero bucket that cuts through a populated bucket can only come from a restart.
        if threshold != self.zero_threshold || self.zero_count < zero {
            return true;
        }
        let outside = |buckets: &Buckets, schema: i32| {
            let inside = |b: &(i32, f64)| exponential_bound(b.0, schema) <= threshold;
            Buckets::from_sorted(buckets.iter().skip_while(inside))
        };
        let coarse;
        let previous = if previous.schema == self.schema {
            previous
        } else {
            coarse = previous.clone().with_schema(self.schema);
            &coarse
        };
        let signs = [(&self.positive, &previous.positive), (&self.negative, &previous.negative)];
        signs.into_iter().any(|(now, before)| decreased(&outside(now, self.schema), &outside(before, self.schema)))
    }

    fn is_custom_reset(&self, previous: &Self) -> bool {
        if self.custom_values == previous.custom_values {
            return decreased(&self.positive, &previous.positive);
        }
        let mut now = self.clone();
        match now.reconcile(previous) {
            Ok((before, _)) => decreased(&now.positive, &before.positive),
            Err(_) => true,
        }
    }

    /// The hint that a store gives a sample behind another one of the same series: what is known from the two alone.
    #[must_use]
    pub fn hint_behind(&self, previous: Option<&Self>) -> ResetHint {
        if self.reset_hint == ResetHint::Gauge {
            return ResetHint::Gauge;
        }
        let Some(previous) = previous.filter(|p| p.reset_hint != ResetHint::Gauge) else { return ResetHint::Unknown };
        let same_layout = self.schema == previous.schema
            && self.zero_threshold == previous.zero_threshold
            && self.custom_values == previous.custom_values;
        let unhinted = self.reset_hint == ResetHint::NotReset && {
            let mut bare = self.clone();
            bare.reset_hint = ResetHint::Unknown;
            bare.is_reset_since(previous)
        };
        if !same_layout || unhinted || self.is_reset_since(previous) { ResetHint::Unknown } else { ResetHint::NotReset }
    }
}
