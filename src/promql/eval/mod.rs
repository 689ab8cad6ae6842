//! Evaluates a plan at an instant, or at the steps of a range.
//!
//! Place in the flow: reads a [`Source`], gives a [`Value`]. Works on columns (see [`column`]); what depends on label
//! sets only is derived once and kept in the plan. Never reads a clock: the instant is an argument.

pub(crate) mod aggregate;
mod ahead;
pub(crate) mod binary;
pub(crate) mod cache;
pub(crate) mod column;
pub(crate) mod combine;
pub(crate) mod histogram;
#[cfg(test)]
mod hostile_tests;
pub(crate) mod info;
pub(crate) mod matching;
pub(crate) mod rank;
pub(crate) mod relabel;
mod sampling;
pub(crate) mod select;
mod smoothed;
pub(crate) mod sort;
pub(crate) mod subquery;
#[cfg(test)]
mod tests;
pub(crate) mod value;
pub(crate) mod whole;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ahead::Ahead;
use cache::SlotCache;
use column::{Column, SeriesSet};
use subquery::Gathered;
use value::{EvalOptions, Notes, Value, VectorSample};

use super::ast::{At, BinaryOp, Duration};
use super::error::{EvalError, EvalErrorKind};
use super::functions::{Body, QueryTimes, date};
use super::plan::{Inner, Node, NodeId, Op, Plan};
use super::remarks::{MendedOften, Remark};
use super::source::Source;
use crate::model::{HistogramPoint, Labels, Point, SampleValue, SeriesPoints};

/// Most steps of one range evaluation.
pub const STEPS_MAX: i64 = 1_000_000;

/// Points per series, sorted by labels.
pub type Series = Vec<SeriesPoints>;

/// The result of a node at an instant; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    Scalar(f64),
    Text(Arc<str>),
    Vector(Column),
    Matrix(Arc<Matrix>),
}

/// Points of many series in a window.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub set: Arc<SeriesSet>,
    /// One list per series of the set, without marks.
    pub points: Vec<Vec<Point>>,
    /// The same for histograms; empty where there is none at all.
    pub histograms: Vec<Vec<HistogramPoint>>,
    pub from_ms: i64,
    pub to_ms: i64,
}

pub(crate) struct Evaluator<'a> {
    pub plan: &'a Inner,
    pub source: &'a dyn Source,
    pub options: &'a EvalOptions,
    slot: &'a SlotCache,
    /// The instant whose results are shared: not those of the steps of a subquery.
    shared_ms: Cell<i64>,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    samples: Cell<usize>,
    notes: RefCell<Notes>,
    /// Classic histograms whose counts decreased, by place and metric.
    mended: RefCell<BTreeMap<(usize, String), MendedOften>>,
    /// Points read ahead for the selectors of a range.
    ahead: RefCell<Ahead>,
}

/// Evaluates a plan at an instant.
///
/// `cache` is shared by the evaluations of one slot: one store, one instant, one set of options.
pub fn eval_instant(
    plan: &Plan,
    source: &dyn Source,
    at_ms: i64,
    options: &EvalOptions,
    cache: &SlotCache,
) -> Result<Value, EvalError> {
    eval_instant_noting(plan, source, at_ms, options, cache).0
}

/// As [`eval_instant`], with Prometheus's warnings and infos beside the result.
pub fn eval_instant_noting(
    plan: &Plan,
    source: &dyn Source,
    at_ms: i64,
    options: &EvalOptions,
    cache: &SlotCache,
) -> (Result<Value, EvalError>, Notes) {
    let evaluator = Evaluator {
        plan: &plan.inner,
        source,
        options,
        slot: cache,
        shared_ms: Cell::new(at_ms),
        start_ms: at_ms,
        end_ms: at_ms,
        step_ms: 0,
        samples: Cell::new(0),
        notes: RefCell::default(),
        mended: RefCell::default(),
        ahead: RefCell::default(),
    };
    let result = evaluator.root(plan.root, at_ms);
    (result, evaluator.all_notes())
}

/// Evaluates a plan at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; series sorted by labels.
///
/// A scalar gives one series without labels. A text or range vector as result, a step of 0 or less, and more than
/// [`STEPS_MAX`] steps are errors.
#[allow(clippy::too_many_arguments, reason = "three of the six are one triple of times")]
pub fn eval_range(
    plan: &Plan,
    source: &dyn Source,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    options: &EvalOptions,
) -> Result<Series, EvalError> {
    eval_range_noting(plan, source, (start_ms, end_ms, step_ms), options).0
}

/// As [`eval_range`] for `(start, end, step)`, with Prometheus's warnings and infos beside the result.
pub fn eval_range_noting(
    plan: &Plan,
    source: &dyn Source,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
    options: &EvalOptions,
) -> (Result<Series, EvalError>, Notes) {
    let cache = SlotCache::new();
    let evaluator = Evaluator {
        plan: &plan.inner,
        source,
        options,
        slot: &cache,
        shared_ms: Cell::new(start_ms),
        start_ms,
        end_ms,
        step_ms,
        samples: Cell::new(0),
        notes: RefCell::default(),
        mended: RefCell::default(),
        ahead: RefCell::default(),
    };
    let result = evaluator.range(plan.root);
    (result, evaluator.all_notes())
}

impl Matrix {
    /// Its series as results show them, without those that have no points.
    fn series(&self) -> Series {
        let one = |i: usize| SeriesPoints {
            labels: self.set.shown(i),
            points: self.points[i].clone(),
            histograms: self.histograms.get(i).cloned().unwrap_or_default(),
        };
        (0..self.set.len()).map(one).filter(|s| !s.is_empty()).collect()
    }
}

impl Evaluator<'_> {
    fn root(&self, id: NodeId, at_ms: i64) -> Result<Value, EvalError> {
        Ok(match self.node(id, at_ms)? {
            NodeValue::Scalar(v) => Value::Scalar(v),
            NodeValue::Text(text) => Value::String(text.to_string()),
            NodeValue::Vector(column) => Value::Vector(self.samples_of(&column, at_ms, &self.plan.nodes[id].span)?),
            NodeValue::Matrix(matrix) => {
                let mut series = matrix.series();
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(series)
            }
        })
    }

    fn samples_of(&self, column: &Column, t_ms: i64, span: &Range<usize>) -> Result<Vec<VectorSample>, EvalError> {
        let sample = |i| {
            let labels = column.set.shown(i);
            match column.sample(i)? {
                SampleValue::Float(value) => Some(VectorSample { labels, t_ms, value, histogram: None }),
                SampleValue::Histogram(h) => Some(VectorSample { labels, t_ms, value: f64::NAN, histogram: Some(h) }),
            }
        };
        let mut samples: Vec<_> = column.places().filter_map(sample).collect();
        if column.order.is_none() && !column.set.is_ascending() {
            samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            if samples.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
                return Err(EvalError::new(span, EvalErrorKind::DuplicateSeries));
            }
        }
        Ok(samples)
    }

    fn range(&self, id: NodeId) -> Result<Series, EvalError> {
        let span = &self.plan.nodes[id].span;
        let steps = self.end_ms.saturating_sub(self.start_ms).checked_div(self.step_ms).unwrap_or(-1);
        if self.step_ms <= 0 || !(0..STEPS_MAX).contains(&steps) {
            let message = format!("a range needs a step above 0, an end after its start and at most {STEPS_MAX} steps");
            return Err(EvalError::parameter(span, message));
        }
        let mut series = Gathered::default();
        let scalar = Arc::new(SeriesSet::new(Arc::from([Labels::empty()])));
        for step in 0..=steps {
            let t_ms = self.start_ms + step * self.step_ms;
            self.samples.set(series.count);
            self.slot.forget_values();
            self.shared_ms.set(t_ms);
            match self.node(id, t_ms)? {
                NodeValue::Scalar(value) => series.add(&Column::new(Arc::clone(&scalar), vec![value]), t_ms),
                // Most sets stay the same from step to step, and their series are then known by their places.
                NodeValue::Vector(column) if column.set.first_of.is_none() && column.set.dropped.is_none() => {
                    series.add(&column, t_ms);
                }
                NodeValue::Vector(mut column) => {
                    column.order = None;
                    let samples = self.samples_of(&column, t_ms, span)?;
                    let rows = samples.into_iter().map(|s| {
                        let value = s.histogram.map_or(SampleValue::Float(s.value), SampleValue::Histogram);
                        (s.labels, value, false)
                    });
                    series.add(&Column::of_samples(rows.collect(), false), t_ms);
                }
                NodeValue::Text(_) | NodeValue::Matrix(_) => {
                    let message = "a range needs an expression of type scalar or instant vector";
                    return Err(EvalError::parameter(span, message));
                }
            }
        }
        Ok(series.matrix(self.start_ms, self.end_ms).series())
    }

    /// Counts samples read or held against the limit.
    pub(crate) fn count(&self, samples: usize, span: &Range<usize>) -> Result<(), EvalError> {
        let total = self.samples.get().saturating_add(samples);
        self.samples.set(total);
        self.notes.borrow_mut().1 += samples;
        if total > self.options.samples_max {
            let message = format!("query reads more than {} samples", self.options.samples_max);
            return Err(EvalError::new(span, EvalErrorKind::Limit(message)));
        }
        Ok(())
    }

    pub(crate) fn warn(&self, span: &Range<usize>, message: String) {
        self.notes.borrow_mut().add(true, span, message);
    }

    /// Everything that was said.
    fn all_notes(self) -> Notes {
        let mut notes = self.notes.into_inner();
        for ((start, metric), often) in self.mended.into_inner() {
            let remark = often.remark(&metric);
            notes.add(remark.warning, &(start..start), remark.message);
        }
        notes
    }

    /// Says something about a part of the expression.
    pub(crate) fn remark(&self, span: &Range<usize>, remark: Remark) {
        self.notes.borrow_mut().add(remark.warning, span, remark.message);
    }

    /// Whether there are steps, rather than one instant.
    pub(crate) fn is_range(&self) -> bool {
        self.start_ms != self.end_ms
    }

    pub(crate) fn times(&self, at_ms: i64) -> QueryTimes {
        QueryTimes { start_ms: self.start_ms, end_ms: self.end_ms, step_ms: self.step_ms, at_ms }
    }

    /// A duration in milliseconds.
    pub(crate) fn duration_ms(&self, duration: &Duration, span: &Range<usize>) -> Result<i64, EvalError> {
        match duration {
            Duration::Fixed(ms) => Ok(*ms),
            Duration::Computed(expr) => {
                let range = self.end_ms.saturating_sub(self.start_ms) as f64 / 1000.0;
                let ms = (expr.seconds(self.step_ms as f64 / 1000.0, range) * 1000.0).round();
                if ms.is_finite() && ms.abs() < 9.2e15 {
                    return Ok(ms as i64);
                }
                Err(EvalError::parameter(span, "duration is out of range"))
            }
        }
    }

    /// The length of a window or step: more than nothing.
    pub(crate) fn length_ms(&self, duration: &Duration, span: &Range<usize>) -> Result<i64, EvalError> {
        let ms = self.duration_ms(duration, span)?;
        if ms <= 0 {
            return Err(EvalError::parameter(span, "duration must be greater than 0"));
        }
        Ok(ms)
    }

    /// The instant that `@` and `offset` point to.
    pub(crate) fn shifted(
        &self,
        at_ms: i64,
        at: Option<At>,
        offset: Option<&Duration>,
        span: &Range<usize>,
    ) -> Result<i64, EvalError> {
        let base = match at {
            Some(At::Time(ms)) => ms,
            Some(At::Start) => self.start_ms,
            Some(At::End) => self.end_ms,
            None => at_ms,
        };
        let offset = offset.map_or(Ok(0), |o| self.duration_ms(o, span))?;
        Ok(base.saturating_sub(offset))
    }

    pub(crate) fn node(&self, id: NodeId, at_ms: i64) -> Result<NodeValue, EvalError> {
        let node = &self.plan.nodes[id];
        // Cheap nodes are not worth a look-up.
        let worth = match &node.op {
            Op::Vector(_) | Op::Aggregate { .. } | Op::Vectors(_) | Op::Subquery(_) => true,
            Op::Call { function, .. } => matches!(function.body, Body::Window(_)),
            _ => false,
        };
        let shared = worth && at_ms == self.shared_ms.get();
        if let Some(value) = shared.then(|| self.slot.value(node.key, at_ms)).flatten() {
            return Ok(value);
        }
        let value = self.compute(node, at_ms)?;
        if shared {
            self.slot.keep_value(node.key, at_ms, &value);
        }
        Ok(value)
    }

    fn compute(&self, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
        match &node.op {
            Op::Number(n) => Ok(NodeValue::Scalar(*n)),
            Op::Text(text) => Ok(NodeValue::Text(Arc::clone(text))),
            Op::Vector(selector) => self.instant_selector(*selector, node, at_ms).map(NodeValue::Vector),
            Op::Matrix(selector) => self.range_selector(*selector, node, at_ms).map(NodeValue::Matrix),
            Op::Subquery(subquery) => self.subquery(subquery, node, at_ms).map(NodeValue::Matrix),
            Op::Negate(inner) => match self.node(*inner, at_ms)? {
                NodeValue::Vector(column) => self.unnamed(combine::negated(column), node).map(NodeValue::Vector),
                NodeValue::Scalar(v) => Ok(NodeValue::Scalar(-v)),
                other => Ok(other),
            },
            Op::Scalars(op, left, right) => {
                let (left, right) = (self.scalar(*left, at_ms)?, self.scalar(*right, at_ms)?);
                Ok(NodeValue::Scalar(match op {
                    BinaryOp::Compare(compare) => f64::from(u8::from(compare.holds(left, right))),
                    _ => op.apply(left, right),
                }))
            }
            Op::VectorScalar(op) => self.vector_scalar(op, node, at_ms).map(NodeValue::Vector),
            Op::Vectors(op) => self.vectors(op, node, at_ms).map(NodeValue::Vector),
            Op::Aggregate { .. } => self.aggregate(node, at_ms).map(NodeValue::Vector),
            Op::Call { function, args } => self.call((&function.body, args), node, at_ms),
        }
    }

    fn call(&self, (body, args): (&Body, &[NodeId]), node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
        match body {
            Body::Window(body) => self.window_call((body, args), node, at_ms).map(NodeValue::Vector),
            Body::Whole(body) => body(self, node, at_ms),
            Body::Scalar(body) => Ok(NodeValue::Scalar(body(&self.times(at_ms), &self.scalars(args, at_ms)?))),
            Body::Map(body) => {
                let params = self.scalars(args.get(1..).unwrap_or_default(), at_ms)?;
                let column = self.vector(args[0], at_ms)?;
                self.unnamed(column.map(|v| body(v, &params)), node).map(NodeValue::Vector)
            }
            Body::Date(body) => {
                let Some(arg) = args.first() else {
                    let value = date::apply(*body, at_ms.div_euclid(1000) as f64);
                    return Ok(NodeValue::Vector(Column::single(value)));
                };
                let column = self.vector(*arg, at_ms)?;
                self.unnamed(column.map(|v| date::apply(*body, v)), node).map(NodeValue::Vector)
            }
        }
    }

    /// The column without metric names, checked for labels that became equal.
    pub(crate) fn unnamed(&self, mut column: Column, node: &Node) -> Result<Column, EvalError> {
        let delayed = self.options.delayed_name_removal;
        column.set = node.cache.set(&column.set, delayed, || SeriesSet::without_names(&column.set, delayed));
        column.unique(&node.span)
    }

    /// A node that the type checker knows to be a vector.
    pub(crate) fn vector(&self, id: NodeId, at_ms: i64) -> Result<Column, EvalError> {
        match self.node(id, at_ms)? {
            NodeValue::Vector(column) => Ok(column),
            NodeValue::Scalar(v) => Ok(Column::single(v)),
            _ => Err(EvalError::parameter(&self.plan.nodes[id].span, "not an instant vector")),
        }
    }

    /// A node that the type checker knows to be a scalar.
    pub(crate) fn scalar(&self, id: NodeId, at_ms: i64) -> Result<f64, EvalError> {
        match self.node(id, at_ms)? {
            NodeValue::Scalar(v) => Ok(v),
            _ => Err(EvalError::parameter(&self.plan.nodes[id].span, "not a scalar")),
        }
    }

    pub(crate) fn scalars(&self, ids: &[NodeId], at_ms: i64) -> Result<Vec<f64>, EvalError> {
        ids.iter().map(|id| self.scalar(*id, at_ms)).collect()
    }

    /// A node that the type checker knows to be a text.
    pub(crate) fn text(&self, id: NodeId) -> Result<Arc<str>, EvalError> {
        match &self.plan.nodes[id].op {
            Op::Text(text) => Ok(Arc::clone(text)),
            _ => Err(EvalError::parameter(&self.plan.nodes[id].span, "not a string")),
        }
    }

    /// The arguments of a call.
    pub(crate) fn args<'n>(&self, node: &'n Node) -> &'n [NodeId] {
        match &node.op {
            Op::Call { args, .. } => args,
            _ => &[],
        }
    }
}
