//! What the evaluator says beside a result, in Prometheus's words (util/annotations/annotations.go).

use crate::model::float::format_float;
use crate::model::histogram::Shortest;

/// A warning or an info, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub warning: bool,
    pub message: String,
}

/// What was done with histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

const fn warning(message: String) -> Remark {
    Remark { warning: true, message }
}

const fn info(message: String) -> Remark {
    Remark { warning: false, message }
}

/// The metric a remark is about, where it is known.
fn about(mut message: String, metric: &str) -> String {
    if !metric.is_empty() {
        message.push_str(&format!(" for metric name {metric:?}"));
    }
    message
}

/// How the counts of classic buckets were mended where they decreased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mended {
    /// Least and greatest bound whose count was raised.
    pub bounds: (f64, f64),
    /// Greatest decrease.
    pub diff: f64,
}

impl Mended {
    pub fn and(self, other: Self) -> Self {
        let bounds = (self.bounds.0.min(other.bounds.0), self.bounds.1.max(other.bounds.1));
        Self { bounds, diff: self.diff.max(other.diff) }
    }
}

/// The same over the instants of an evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MendedOften {
    pub mended: Mended,
    pub count: usize,
    /// First and last instant.
    pub times_ms: (i64, i64),
}

impl MendedOften {
    /// Adds one more time.
    pub fn and(self, mended: Mended, at_ms: i64) -> Self {
        let times_ms = (self.times_ms.0.min(at_ms), self.times_ms.1.max(at_ms));
        Self { mended: self.mended.and(mended), count: self.count + 1, times_ms }
    }

    pub fn remark(&self, metric: &str) -> Remark {
        let what = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let time = |ms: i64| {
            let time = chrono::DateTime::from_timestamp(ms / 1000, 0).unwrap_or_default();
            time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        info(format!(
            "{}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            about(what.to_owned(), metric),
            Shortest(self.mended.bounds.0),
            Shortest(self.mended.bounds.1),
            format_float(self.mended.diff, 'g', Some(2)),
            self.count,
            time(self.times_ms.0),
            time(self.times_ms.1),
        ))
    }
}

impl Remark {
    pub fn mixed_range(metric: &str) -> Self {
        warning(format!("encountered a mix of histograms and floats for metric name {metric:?}"))
    }

    pub fn mixed_aggregation() -> Self {
        warning("encountered a mix of histograms and floats for aggregation".to_owned())
    }

    pub fn mixed_classic(metric: &str) -> Self {
        warning(about("vector contains a mix of classic and native histograms".to_owned(), metric))
    }

    pub fn mixed_schemas(metric: &str) -> Self {
        let what = "vector contains a mix of histograms with exponential and custom buckets schemas";
        warning(format!("{what} for metric name {metric:?}"))
    }

    pub fn not_a_counter(metric: &str) -> Self {
        warning(format!("this native histogram metric is not a counter: {metric:?}"))
    }

    pub fn not_a_gauge(metric: &str) -> Self {
        warning(format!("this native histogram metric is not a gauge: {metric:?}"))
    }

    pub fn incompatible_layout(operator: &str) -> Self {
        warning(format!("incompatible bucket layout encountered for binary operator {operator}"))
    }

    pub fn colliding_resets(operation: Operation) -> Self {
        warning(format!("conflicting counter resets during histogram {}", operation.as_str()))
    }

    pub fn reconciled_bounds(operation: Operation) -> Self {
        info(format!("mismatched custom buckets were reconciled during {}", operation.as_str()))
    }

    pub fn bad_bucket_label(metric: &str, bound: &str) -> Self {
        warning(about(format!("bucket label \"le\" is missing or has a malformed value of {bound:?}"), metric))
    }

    pub fn sort_in_range() -> Self {
        warning("sort is ineffective for range queries since results are always ordered by labels".to_owned())
    }

    pub fn incompatible_types(left: &str, operator: &str, right: &str) -> Self {
        let what = "incompatible sample types encountered for binary operator";
        info(format!("{what} {operator:?}: {left} {operator} {right}"))
    }

    pub fn ignored_in_aggregation(aggregation: &str) -> Self {
        info(format!("ignored histogram in {aggregation} aggregation"))
    }

    pub fn ignored_in_range(metric: &str) -> Self {
        let what = "ignored histograms in a range containing both floats and histograms";
        info(format!("{what} for metric name {metric:?}"))
    }

    pub fn quantile_nan(metric: &str) -> Self {
        info(about("input to histogram_quantile has NaN observations, result is NaN".to_owned(), metric))
    }

    pub fn quantile_skewed(metric: &str) -> Self {
        info(about("input to histogram_quantile has NaN observations, result is skewed higher".to_owned(), metric))
    }

    pub fn fraction_nan(metric: &str) -> Self {
        let what = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        info(about(what.to_owned(), metric))
    }

    pub fn no_counter_name(metric: &str) -> Self {
        info(format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"))
    }
}
