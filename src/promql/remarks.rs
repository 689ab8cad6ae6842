//! What the evaluator says beside a result, in Prometheus's words (util/annotations/annotations.go).

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
