//! The functions of PromQL: one family per file, each one literal table.
//!
//! A table names argument types, result type and body. A body is plain arithmetic on numbers or on one window; only
//! those that look at series as a whole (`Body::Whole`) see the evaluator.

pub(crate) mod buckets;
pub(crate) mod date;
pub(crate) mod exact;
pub(crate) mod histograms;
pub(crate) mod instant;
pub(crate) mod math;
pub(crate) mod native;
pub(crate) mod numeric;
pub(crate) mod over_time;
pub(crate) mod rate;

use super::ast::{Edges, ValueType};
use super::error::EvalError;
use super::eval::{Evaluator, NodeValue};
use super::plan::Node;
use super::remarks::Remark;
use super::slide::Incremental;
use crate::model::{HistogramPoint, Labels, Point, SampleValue};

/// A function of PromQL.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments.
    pub args: &'static [ValueType],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be repeated.
    pub repeats: bool,
    /// Type of its result.
    pub result: ValueType,
    pub(crate) body: Body,
}

/// What a function does.
pub(crate) enum Body {
    /// One value from each series' window.
    Window(WindowBody),
    /// One value from each value, given the scalar arguments.
    Map(fn(f64, &[f64]) -> f64),
    /// One value from a date, that of the evaluation without argument.
    Date(fn(&chrono::DateTime<chrono::Utc>) -> f64),
    /// A number.
    Scalar(fn(&QueryTimes, &[f64]) -> f64),
    /// Anything else.
    Whole(fn(&Evaluator<'_>, &Node, i64) -> Result<NodeValue, EvalError>),
}

/// A function of windows.
pub(crate) struct WindowBody {
    pub value: fn(&Window<'_>) -> Option<f64>,
    /// Whether the result keeps the metric's name.
    pub keeps_name: bool,
    /// What is wrong with the scalar arguments, if anything.
    pub check: fn(&[f64]) -> Option<String>,
    /// Whether the function is meant for counters.
    pub counter: bool,
    /// What it makes of a window with histograms.
    pub histograms: WithHistograms,
    /// How it follows a window of numbers that advances. The results are those of `value`, to the bit.
    pub incremental: Incremental,
}

/// What a function of windows makes of histograms.
pub(crate) enum WithHistograms {
    /// It looks at numbers only, and says so where a window has both.
    Ignored,
    /// It has a value of its own.
    Own(fn(&Window<'_>, &mut Said) -> Option<SampleValue>),
}

/// What is said about windows, gathered.
#[derive(Default)]
pub(crate) struct Said(Vec<Remark>);

impl Said {
    pub fn push(&mut self, remark: Remark) {
        if !self.0.contains(&remark) {
            self.0.push(remark);
        }
    }

    /// How much was said.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back what was said since [`Self::len`] was `len`: of other series it stays.
    pub fn take_back(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub fn all(self) -> Vec<Remark> {
        self.0
    }
}

impl WindowBody {
    /// The value of a window that may hold histograms.
    pub fn sample(&self, w: &Window<'_>, said: &mut Said) -> Option<SampleValue> {
        match &self.histograms {
            WithHistograms::Own(body) => body(w, said),
            WithHistograms::Ignored => {
                if w.points.is_empty() {
                    return None;
                }
                if !w.histograms.is_empty() {
                    said.push(Remark::ignored_in_range(w.metric()));
                }
                (self.value)(w).map(SampleValue::Float)
            }
        }
    }
}

/// One series' points in a window, without marks.
pub(crate) struct Window<'a> {
    /// Oldest first, at least one where there is no histogram. With [`Edges::Anchored`] and [`Edges::Smoothed`] some
    /// lie outside.
    pub points: &'a [Point],
    /// Oldest first.
    pub histograms: &'a [HistogramPoint],
    /// Times of samples and the times since which their counters count, where known; oldest first.
    pub starts: &'a [(i64, i64)],
    /// The series.
    pub labels: &'a Labels,
    /// Left end, not part of the window.
    pub from_ms: i64,
    /// Right end, part of the window.
    pub to_ms: i64,
    /// Instant of the evaluation.
    pub at_ms: i64,
    /// The scalar arguments in order.
    pub params: &'a [f64],
    pub edges: Edges,
}

impl Window<'_> {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        (self.to_ms - self.from_ms) as f64 / 1000.0
    }

    /// The metric's name.
    pub fn metric(&self) -> &str {
        self.labels.metric_name().unwrap_or("")
    }

    /// Whether the counter is known to have begun anew between two samples.
    pub fn is_start_reset(&self, previous_ms: i64, t_ms: i64) -> bool {
        if self.starts.is_empty() {
            return false;
        }
        let place = |t: i64| self.starts.binary_search_by_key(&t, |(at, _)| *at).ok();
        let start = |t: i64| place(t).and_then(|i| self.starts.get(i)).map_or(0, |(_, start)| *start);
        let begun = start(t_ms);
        if begun == 0 || begun > t_ms || begun < previous_ms {
            return false;
        }
        // A start at the very time of the sample before is that of a delta, if the one before has a start too.
        begun > previous_ms || start(previous_ms) != 0
    }
}

/// The times of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryTimes {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
    /// The instant being evaluated.
    pub at_ms: i64,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.signature())
    }
}

impl Function {
    /// The least and the greatest number of arguments.
    pub fn argument_counts(&self) -> (usize, Option<usize>) {
        (self.args.len() - self.optional, (!self.repeats).then_some(self.args.len()))
    }

    /// The call in words: `rate(range vector)`.
    pub fn signature(&self) -> String {
        let mut args: Vec<String> = Vec::new();
        for (i, arg) in self.args.iter().enumerate() {
            let optional = if i >= self.args.len() - self.optional { "?" } else { "" };
            args.push(format!("{}{optional}", arg.as_str()));
        }
        if self.repeats {
            args.push("…".to_owned());
        }
        format!("{}({})", self.name, args.join(", "))
    }
}

pub(crate) const S: ValueType = ValueType::Scalar;
pub(crate) const V: ValueType = ValueType::Vector;
pub(crate) const M: ValueType = ValueType::Matrix;
pub(crate) const T: ValueType = ValueType::String;

/// A table entry without optional arguments.
pub(crate) const fn function(
    name: &'static str,
    args: &'static [ValueType],
    result: ValueType,
    body: Body,
) -> Function {
    Function { name, args, optional: 0, repeats: false, result, body }
}

/// All families.
const FAMILIES: [&[Function]; 6] =
    [over_time::FUNCTIONS, rate::FUNCTIONS, math::FUNCTIONS, date::FUNCTIONS, instant::FUNCTIONS, buckets::FUNCTIONS];

/// All functions, family by family.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// Finds a function by its exact name.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name == name)
}

/// The function or aggregation that a misspelt name was likely meant to be.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    // Long names may be off by more than short ones; computing distances of absurdly long ones is waste.
    let name = name.get(..64).unwrap_or(name).to_ascii_lowercase();
    let names = all().map(|f| f.name).chain(super::ast::AggregateOp::ALL.iter().map(|(n, _)| *n));
    let distance = |n: &&str| strsim::damerau_levenshtein(n, &name);
    let near = names.min_by_key(distance)?;
    (distance(&near) <= 1 + name.len() / 4).then_some(near)
}

/// The function or aggregation that a misspelt name can alone stand for: one slip away, and no other as near.
pub(crate) fn certain(name: &str) -> Option<&'static str> {
    let name = name.get(..64).unwrap_or(name);
    let names = all().map(|f| f.name).chain(super::ast::AggregateOp::ALL.iter().map(|(n, _)| *n));
    let near: Vec<&str> = names.filter(|n| strsim::damerau_levenshtein(n, name) == 1).collect();
    match near.as_slice() {
        [only] if name.len() >= 3 => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_its_own_name_and_is_found_by_it() {
        let names: Vec<_> = all().map(|f| f.name).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(names.iter().all(|n| find(n).is_some_and(|f| f.name == *n)));
        assert!(names.iter().all(|n| crate::promql::AggregateOp::find(n).is_none()));
    }

    #[test]
    fn signatures_show_what_may_be_left_out_or_repeated() {
        let signature = |name| find(name).map(Function::signature);
        assert_eq!(signature("rate").as_deref(), Some("rate(range vector)"));
        assert_eq!(signature("round").as_deref(), Some("round(instant vector, scalar?)"));
        assert_eq!(signature("sort_by_label").as_deref(), Some("sort_by_label(instant vector, string?, …)"));
    }
}
