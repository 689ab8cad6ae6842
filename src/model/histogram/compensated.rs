//! Sums and means of many histograms without loss of small counts beside large ones.
//!
//! Each field and bucket is summed as Neumaier's variant of Kahan's algorithm has it, and a mean becomes incremental
//! once the sum would overflow, as in Prometheus (promql/functions.go, model/histogram: KahanAdd).

use super::{Buckets, Histogram, Incompatible, Merged};
use crate::model::sum::Sum;

/// A running sum of histograms with what rounding took away.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    sum: Histogram,
    /// In the layout of `sum`; its hint and bounds mean nothing.
    lost: Histogram,
    count: f64,
    /// The sum would overflow: `sum` is a mean from here on.
    incremental: bool,
}

/// A sum and what is lost of it.
fn step(sum: f64, compensation: f64, value: f64) -> (f64, f64) {
    let mut sum = Sum { sum, compensation };
    sum.add(value);
    (sum.sum, sum.compensation)
}

fn bucket_step(sum: &Buckets, lost: &Buckets, value: &Buckets) -> (Buckets, Buckets) {
    let indexes = |b: &Buckets| b.iter().map(|(i, _)| i).collect::<Vec<_>>();
    let mut all = [indexes(sum), indexes(lost), indexes(value)].concat();
    all.sort_unstable();
    all.dedup();
    let mut rest = [sum.iter().peekable(), lost.iter().peekable(), value.iter().peekable()];
    let (mut sums, mut losses) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for index in all {
        let [s, l, v] = rest.each_mut().map(|iter| iter.next_if(|b| b.0 == index).map_or(0.0, |b| b.1));
        let (total, lost) = step(s, l, v);
        sums.push((index, total));
        losses.push((index, lost));
    }
    (Buckets::from_sorted(sums), Buckets::from_sorted(losses))
}

impl HistogramSum {
    /// A sum of one histogram.
    pub fn new(first: &Histogram) -> Self {
        let lost = Histogram {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            custom_values: first.custom_values.clone(),
            ..Histogram::default()
        };
        Self { sum: first.clone(), lost, count: 1.0, incremental: false }
    }

    /// Adds to the sum.
    pub fn add(&mut self, value: &Histogram) -> Result<Merged, Incompatible> {
        let (value, merged) = self.sum.reconcile(value)?;
        // What was lost follows the sum to a new layout.
        let hint = self.sum.reset_hint;
        self.lost.reset_hint = hint;
        let mut shape = Histogram {
            schema: self.sum.schema,
            zero_threshold: self.sum.zero_threshold,
            custom_values: self.sum.custom_values.clone(),
            ..Histogram::default()
        };
        let (mut lost, _) = shape.reconcile(&self.lost)?;
        let (s, l) = (&mut self.sum, &mut lost);
        (s.zero_count, l.zero_count) = step(s.zero_count, l.zero_count, value.zero_count);
        (s.count, l.count) = step(s.count, l.count, value.count);
        (s.sum, l.sum) = step(s.sum, l.sum, value.sum);
        (s.positive, l.positive) = bucket_step(&s.positive, &l.positive, &value.positive);
        (s.negative, l.negative) = bucket_step(&s.negative, &l.negative, &value.negative);
        self.lost = lost;
        Ok(merged)
    }

    /// Adds to a mean: as long as the sum does not overflow, this is the sum and a count.
    pub fn add_to_mean(&mut self, value: &Histogram) -> Result<Merged, Incompatible> {
        let count = self.count + 1.0;
        if !self.incremental {
            let mut tried = self.clone();
            let merged = tried.add(value)?;
            if !tried.sum.overflows() {
                tried.count = count;
                *self = tried;
                return Ok(merged);
            }
            self.incremental = true;
            self.sum.divide(self.count);
            self.lost.divide(self.count);
        }
        self.count = count;
        let weight = (count - 1.0) / count;
        self.sum.scale(weight);
        self.lost.scale(weight);
        let mut part = value.clone();
        part.divide(count);
        self.add(&part)
    }

    /// The sum.
    pub fn total(mut self) -> Histogram {
        let hint = self.sum.reset_hint;
        self.lost.reset_hint = hint;
        // Of one layout, so this cannot fail.
        let _ = self.sum.add(&self.lost);
        self.sum
    }

    /// The mean of what [`Self::add_to_mean`] was given.
    pub fn mean(mut self) -> Histogram {
        if !self.incremental {
            self.sum.divide(self.count);
            self.lost.divide(self.count);
        }
        self.total()
    }
}

impl Histogram {
    /// Whether anything became infinite.
    fn overflows(&self) -> bool {
        let own = [self.zero_count, self.count, self.sum];
        own.iter().chain(&self.positive.counts).chain(&self.negative.counts).any(|v| v.is_infinite())
    }
}
