//! Native histograms: many buckets in one sample, as Prometheus has them.
//!
//! Place in the flow: a value beside a float wherever samples travel ([`SampleValue`]). The semantics are those of
//! Prometheus's float histogram (prometheus.io/docs/specs/native_histograms); integer histograms of the wire become
//! floats when they are read. Nothing here panics on a histogram that breaks the rules: what reads buckets stops where
//! spans and counts disagree, and [`Histogram::validate`] says what is wrong.
//!
//! Exponential schemas (−4 to 8): bucket `i` holds `(2^((i-1)·2^-schema), 2^(i·2^-schema)]`; negative buckets mirror
//! that. Custom buckets (schema −53): bucket `i` holds `(bound[i-1], bound[i]]`, the last one everything above.

mod arithmetic;
mod bounds;
mod compensated;
mod reset;
#[cfg(test)]
mod tests;
mod text;
mod trim;

use std::sync::Arc;

pub use arithmetic::{Incompatible, Merged};
pub use bounds::Bucket;
pub use compensated::HistogramSum;
#[cfg(test)]
pub(crate) use tests::hostile;
pub(crate) use text::Shortest;
use thiserror::Error;

/// Coarsest exponential schema.
pub const SCHEMA_MIN: i32 = -4;
/// Finest exponential schema.
pub const SCHEMA_MAX: i32 = 8;
/// The schema of histograms whose bounds are listed.
pub const SCHEMA_CUSTOM: i32 = -53;
/// Most buckets of one histogram that is taken from outside.
pub const HISTOGRAM_BUCKETS_MAX: usize = 100_000;

/// The value of a sample: a float, or a histogram shared by all who hold the sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number, or one of the marks of [`crate::model::sample`].
    Float(f64),
    /// A histogram. The end of a series of histograms is a float mark, as that of any series.
    Histogram(Arc<Histogram>),
}

impl SampleValue {
    /// The number or mark; of a histogram [`HISTOGRAM_NAN`](super::HISTOGRAM_NAN), as it stands in a stream of points.
    pub fn float(&self) -> f64 {
        match self {
            Self::Float(value) => *value,
            Self::Histogram(_) => super::HISTOGRAM_NAN,
        }
    }
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// What is known about a reset of the counter between the sample before and this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Nothing: the buckets must be compared.
    #[default]
    Unknown,
    /// The counter was reset right before this sample.
    Reset,
    /// It was not.
    NotReset,
    /// The histogram is a gauge: it has no resets.
    Gauge,
}

/// A run of buckets without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Of the first span the index of its first bucket, of the others the number of buckets left out before it.
    pub offset: i32,
    /// How many buckets there are.
    pub length: u32,
}

/// The buckets of one sign: where they are, and the observations in each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Which buckets there are.
    pub spans: Vec<Span>,
    /// Observations per bucket (not cumulative), one for each bucket of the spans.
    pub counts: Vec<f64>,
}

/// A histogram of floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is known about a counter reset.
    pub reset_hint: ResetHint,
    /// Resolution, [`SCHEMA_MIN`] to [`SCHEMA_MAX`], or [`SCHEMA_CUSTOM`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations, those of the value NaN included, which are in no bucket.
    pub count: f64,
    /// Sum of the observed values.
    pub sum: f64,
    /// Buckets of positive values; of custom buckets all.
    pub positive: Buckets,
    /// Buckets of negative values, index 0 nearest to zero; none with custom buckets.
    pub negative: Buckets,
    /// Upper bounds of custom buckets without the last one, which is infinite.
    pub custom_values: Arc<[f64]>,
}

/// What is wrong with a histogram.
#[derive(Clone, Debug, Error, PartialEq)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum HistogramError {
    #[error(
        "histogram has schema {0}, which must be between {SCHEMA_MIN} and {SCHEMA_MAX}, or {SCHEMA_CUSTOM} for custom buckets"
    )]
    Schema(i32),
    #[error("histogram has a span whose offset is negative")]
    NegativeOffset,
    #[error("histogram spans specify {spans} buckets but {counts} are provided")]
    Mismatch { spans: u64, counts: usize },
    #[error("histogram has {0} buckets, more than {HISTOGRAM_BUCKETS_MAX}")]
    TooMany(usize),
    #[error("histogram has a bucket beyond the range of indexes")]
    IndexRange,
    #[error("histogram has a bucket whose observation count is negative: {0}")]
    NegativeBucket(f64),
    #[error("histogram's observation count is negative: {0}")]
    NegativeCount(f64),
    #[error("histogram has the zero threshold {0}, which must be a finite number of at least 0")]
    ZeroThreshold(f64),
    #[error("histogram custom bounds must be finite and in strictly increasing order: {0}")]
    CustomBound(f64),
    #[error("histogram with {bounds} custom bounds has {buckets} buckets, more than one above the bounds")]
    CustomTooFew { bounds: usize, buckets: u64 },
    #[error("histogram with custom buckets must have neither a zero bucket nor negative buckets")]
    CustomExtra,
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialBounds,
}

impl ResetHint {
    /// As written in the notation of test files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reset => "reset",
            Self::NotReset => "not_reset",
            Self::Gauge => "gauge",
        }
    }
}

impl Buckets {
    /// Buckets of one run that begins at an index.
    pub fn run(offset: i32, counts: Vec<f64>) -> Self {
        let length = counts.len() as u32;
        let spans = if counts.is_empty() { Vec::new() } else { vec![Span { offset, length }] };
        Self { spans, counts }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Index and count of each bucket, in ascending order of the index. Ends where spans and counts disagree or an
    /// index would not fit.
    pub fn iter(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut next: i64 = 0;
        let indexes = self.spans.iter().flat_map(move |span| {
            let from = next.saturating_add(i64::from(span.offset));
            next = from.saturating_add(i64::from(span.length));
            from..next
        });
        indexes.map_while(|i| i32::try_from(i).ok()).zip(self.counts.iter().copied())
    }

    /// Buckets from ascending indexes; empty ones are left out.
    pub fn from_sorted(buckets: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut made = Self::default();
        let mut next = 0i64;
        for (index, count) in buckets {
            if count == 0.0 {
                continue;
            }
            let offset = i64::from(index) - next;
            match made.spans.last_mut() {
                Some(span) if offset == 0 => span.length += 1,
                _ => made.spans.push(Span { offset: i32::try_from(offset).unwrap_or(i32::MAX), length: 1 }),
            }
            made.counts.push(count);
            next = i64::from(index) + 1;
        }
        made
    }

    /// Whether both list the same buckets with the same counts to the bit; spans of no length count for nothing.
    pub fn same(&self, other: &Self) -> bool {
        self.counts.len() == other.counts.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && a.1.to_bits() == b.1.to_bits())
    }

    fn check(&self) -> Result<(), HistogramError> {
        let mut listed = 0u64;
        let mut end = 0i64;
        for (n, span) in self.spans.iter().enumerate() {
            if n > 0 && span.offset < 0 {
                return Err(HistogramError::NegativeOffset);
            }
            listed += u64::from(span.length);
            end = end.saturating_add(i64::from(span.offset)).saturating_add(i64::from(span.length));
        }
        if listed != self.counts.len() as u64 {
            return Err(HistogramError::Mismatch { spans: listed, counts: self.counts.len() });
        }
        if self.counts.len() > HISTOGRAM_BUCKETS_MAX {
            return Err(HistogramError::TooMany(self.counts.len()));
        }
        if i32::try_from(end).is_err() {
            return Err(HistogramError::IndexRange);
        }
        match self.counts.iter().find(|c| **c < 0.0) {
            Some(count) => Err(HistogramError::NegativeBucket(*count)),
            None => Ok(()),
        }
    }
}

impl Histogram {
    /// Whether the bounds are listed.
    pub fn is_custom(&self) -> bool {
        self.schema == SCHEMA_CUSTOM
    }

    /// Says what is wrong, if anything. Counts may be fractions and NaN; that they add up is not asked, because
    /// rounding would make that false.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.is_custom() {
            self.check_custom()?;
        } else if (SCHEMA_MIN..=SCHEMA_MAX).contains(&self.schema) {
            if !self.custom_values.is_empty() {
                return Err(HistogramError::ExponentialBounds);
            }
            if !(self.zero_threshold.is_finite() && self.zero_threshold >= 0.0) {
                return Err(HistogramError::ZeroThreshold(self.zero_threshold));
            }
        } else {
            return Err(HistogramError::Schema(self.schema));
        }
        self.positive.check()?;
        self.negative.check()?;
        if self.zero_count < 0.0 {
            return Err(HistogramError::NegativeBucket(self.zero_count));
        }
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(self.count));
        }
        Ok(())
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        let bounds = &self.custom_values;
        let mut previous = f64::NEG_INFINITY;
        for bound in bounds.iter() {
            if !bound.is_finite() || *bound <= previous {
                return Err(HistogramError::CustomBound(*bound));
            }
            previous = *bound;
        }
        if self.zero_count != 0.0 || self.zero_threshold != 0.0 || !self.negative.spans.is_empty() {
            return Err(HistogramError::CustomExtra);
        }
        if !self.negative.is_empty() {
            return Err(HistogramError::CustomExtra);
        }
        if self.positive.spans.first().is_some_and(|s| s.offset < 0) {
            return Err(HistogramError::NegativeOffset);
        }
        let reach = |s: &Span| u64::from(s.length) + u64::from(s.offset.unsigned_abs());
        let buckets = self.positive.spans.iter().map(reach).fold(0u64, u64::saturating_add);
        if buckets > bounds.len() as u64 + 1 {
            return Err(HistogramError::CustomTooFew { bounds: bounds.len(), buckets });
        }
        Ok(())
    }

    /// Whether both hold the same data to the bit; hints are no data.
    pub fn same(&self, other: &Self) -> bool {
        let bits = |h: &Self| [h.count, h.sum, h.zero_count].map(f64::to_bits);
        self.schema == other.schema
            && bits(self) == bits(other)
            && self.zero_threshold == other.zero_threshold
            && self.custom_values == other.custom_values
            && self.positive.same(&other.positive)
            && self.negative.same(&other.negative)
    }

    /// Roughly how many bytes it takes, for limits and counters.
    pub fn byte_len(&self) -> usize {
        let buckets = |b: &Buckets| b.spans.len() * size_of::<Span>() + b.counts.len() * size_of::<f64>();
        size_of::<Self>()
            + buckets(&self.positive)
            + buckets(&self.negative)
            + self.custom_values.len() * size_of::<f64>()
    }

    /// How many float samples it counts for against limits of samples, as in Prometheus.
    pub fn sample_weight(&self) -> usize {
        (self.byte_len() / 16).max(1)
    }
}
