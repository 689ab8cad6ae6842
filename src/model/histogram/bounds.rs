//! The bounds of buckets, and all buckets of a histogram in order.

use std::f64::consts;

use super::{Buckets, Histogram, SCHEMA_MAX};

/// A bucket with its bounds; the count is its own, not cumulative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to the bucket.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

/// `fraction · 2^exponent`, for fractions around 1 and any exponent; beyond the range infinite or zero.
fn scaled(fraction: f64, exponent: i64) -> f64 {
    let exponent = exponent.clamp(-1200, 1200) as i32;
    // In two steps, so that neither overflows before the product does.
    let half = exponent / 2;
    fraction * 2f64.powi(half) * 2f64.powi(exponent - half)
}

/// How many bounds the finest schema has between two powers of two.
const FINEST: usize = 1 << SCHEMA_MAX;

/// `2^(2^-schema)` for the schemas up to the finest, by which one bound follows from the one before.
const FACTORS: [f64; SCHEMA_MAX as usize + 1] = [
    2.0,
    // As Go computes it: one unit in the last place below the root.
    consts::SQRT_2.next_down(),
    1.189_207_115_002_721,
    1.090_507_732_665_257_7,
    1.044_273_782_427_413_8,
    1.021_897_148_654_116_6,
    1.010_889_286_051_700_5,
    1.005_429_901_112_802_7,
    1.002_711_275_050_202_5,
];

/// The bounds of the finest schema in `[0.5, 1)`; a coarser one has each second of them, each fourth, and so on.
///
/// These are Prometheus's numbers (model/histogram/generic.go), made as it made them: each schema adds the bounds that
/// the coarser one lacks, each of which is the bound before it times the schema's factor. Some are a few
/// units in the last place beside the root of two that they stand for; the bounds are the same numbers in both programs.
const BOUNDS: [f64; FINEST] = {
    let mut bounds = [0.5; FINEST];
    let mut schema = 1;
    while schema < FACTORS.len() {
        let step = FINEST >> schema;
        let mut at = step;
        while at < FINEST {
            bounds[at] = bounds[at - step] * FACTORS[schema];
            at += 2 * step;
        }
        schema += 1;
    }
    bounds
};

/// The upper bound of bucket `index` of an exponential schema. One finer than there are is read as the finest.
///
/// The bucket that ends at the largest finite float and the one of infinities behind it follow Prometheus: the former's
/// bound would be 2^1024, which is no finite float.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let index = i64::from(index);
    let (part, exponent) = if schema <= 0 {
        (0, (index << schema.unsigned_abs().min(16)) + 1)
    } else {
        let schema = schema.min(SCHEMA_MAX);
        let part = index.rem_euclid(1 << schema) << (SCHEMA_MAX - schema);
        (part as usize, (index >> schema) + 1)
    };
    if part == 0 && exponent == 1025 {
        return f64::MAX;
    }
    scaled(BOUNDS.get(part).copied().unwrap_or(0.5), exponent)
}

impl Histogram {
    /// The upper bound of a bucket of positive values, which is also the lower one of the next.
    pub(super) fn bound(&self, index: i32) -> f64 {
        if !self.is_custom() {
            return exponential_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
        }
    }

    fn positive_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (self.bound(index.saturating_sub(1)), self.bound(index));
        let lower_inclusive = if self.is_custom() { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, lower_inclusive, upper_inclusive: self.is_custom() || upper > 0.0, count }
    }

    fn negative_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (-self.bound(index), -self.bound(index.saturating_sub(1)));
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count }
    }

    /// Buckets of positive values from zero upwards.
    pub fn positive_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.positive.iter().map(|b| self.positive_bucket(b))
    }

    /// Buckets of negative values from zero downwards.
    pub fn negative_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.negative.iter().map(|b| self.negative_bucket(b))
    }

    /// The bucket around zero.
    pub fn zero_bucket(&self) -> Bucket {
        let (lower, upper) = (-self.zero_threshold, self.zero_threshold);
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: true, count: self.zero_count }
    }

    /// All buckets from the lowest to the highest. Buckets that overlap the zero bucket end, or begin, at its bounds;
    /// the zero bucket is there only if it holds anything.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let zero = self.zero_threshold;
        let mut all: Vec<Bucket> = self.negative_buckets().collect();
        all.reverse();
        for bucket in all.iter_mut().filter(|b| b.upper < 0.0 && b.upper > -zero) {
            bucket.upper = -zero;
        }
        if self.zero_count > 0.0 {
            all.push(self.zero_bucket());
        }
        all.extend(self.positive_buckets().map(|mut b| {
            if b.lower > 0.0 && b.lower < zero {
                b.lower = zero;
            }
            b
        }));
        all
    }

    /// The histogram with buckets as coarse as a lower schema.
    #[must_use]
    pub fn with_schema(mut self, schema: i32) -> Self {
        if !self.is_custom() && schema < self.schema {
            let steps = self.schema.saturating_sub(schema).min(40) as u32;
            self.positive = coarser(&self.positive, steps);
            self.negative = coarser(&self.negative, steps);
            self.schema = schema;
        }
        self
    }
}

/// Buckets merged as a schema that is lower by `steps` has them.
fn coarser(buckets: &Buckets, steps: u32) -> Buckets {
    let mut merged: Vec<(i32, f64)> = Vec::new();
    for (index, count) in buckets.iter() {
        let index = ((i64::from(index) - 1) >> steps) + 1;
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        match merged.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => merged.push((index, count)),
        }
    }
    Buckets::from_sorted(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_prometheus_to_the_bit() {
        for (index, schema, want) in [
            (1, 1, consts::SQRT_2.next_down()),
            (3, 2, 1.681_792_830_507_428_8),
            (255, 8, 1.994_592_112_170_939_6),
            (-1, 1, 0.707_106_781_186_547_5),
            (0, 8, 1.0),
            (-3, -1, 0.015_625),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (1024 << 8, 8, f64::MAX),
        ] {
            assert_eq!(exponential_bound(index, schema), want, "{index} of {schema}");
        }
        // Over the bits of Prometheus's whole table.
        let sum = BOUNDS.iter().fold(0u64, |sum, b| (sum ^ b.to_bits()).wrapping_mul(0x100_0000_01b3));
        assert_eq!(sum, 0xe05b_bfaa_c613_ccef);
    }
}
