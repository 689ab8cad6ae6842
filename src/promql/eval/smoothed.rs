//! `metric smoothed`: the value at an instant, interpolated between the samples before and after it.

use std::sync::Arc;

use super::column::{Column, SeriesSet};
use super::select::{Bounds, Samples};
use super::{EvalError, Evaluator};
use crate::model::histogram::ResetHint;
use crate::model::{Histogram, HistogramPoint, Labels, SampleValue};
use crate::promql::ast::Edges;
use crate::promql::functions::Said;
use crate::promql::functions::histograms::interpolated;
use crate::promql::plan::{Node, SelectorOp};
use crate::promql::remarks::Remark;

impl Evaluator<'_> {
    /// Without a sample after the instant the one before counts, without one before there is nothing.
    pub(super) fn smoothed(&self, selector: &SelectorOp, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let at_ms = self.shifted(at_ms, selector.at, selector.offset.as_ref(), &node.span)?;
        // A smoothed window of no length reaches as far to both sides.
        let bounds = Bounds { from_ms: at_ms, to_ms: at_ms, edges: Edges::Smoothed };
        let mut said = Said::default();
        let mut rows: Vec<(usize, SampleValue)> = Vec::new();
        let mut visit = |i: usize, s: &Samples<'_>| {
            let value = if s.histograms.is_empty() {
                float_at(s, at_ms).map(SampleValue::Float)
            } else if s.points.is_empty() {
                histogram_at(s.histograms, at_ms, s.labels, &mut said)
            } else {
                said.push(Remark::mixed_range(s.labels.metric_name().unwrap_or("")));
                None
            };
            rows.extend(value.map(|value| (i, value)));
        };
        let set: Arc<SeriesSet> = self.windows(selector, (node, &bounds), &mut visit)?;
        said.all().into_iter().for_each(|remark| self.remark(&node.span, remark));
        Ok(Column::placed(set, rows))
    }
}

fn float_at(s: &Samples<'_>, at_ms: i64) -> Option<f64> {
    let next = s.points.partition_point(|p| p.t_ms <= at_ms);
    let a = s.points.get(next.checked_sub(1)?)?;
    Some(match s.points.get(next) {
        Some(b) if a.t_ms < at_ms => a.value + (b.value - a.value) * (at_ms - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64,
        _ => a.value,
    })
}

fn histogram_at(points: &[HistogramPoint], at_ms: i64, labels: &Labels, said: &mut Said) -> Option<SampleValue> {
    let next = points.partition_point(|p| p.t_ms <= at_ms);
    let a = points.get(next.checked_sub(1)?)?;
    let histogram = match points.get(next) {
        _ if a.t_ms == at_ms => Histogram::clone(&a.histogram),
        Some(b) => {
            let is_gauge = |p: &HistogramPoint| p.histogram.reset_hint == ResetHint::Gauge;
            let mixed = a.histogram.is_custom() != b.histogram.is_custom();
            let found = if mixed { None } else { interpolated((a, b), at_ms, !is_gauge(a) || !is_gauge(b), said).ok() };
            if found.is_none() {
                said.push(Remark::mixed_schemas(labels.metric_name().unwrap_or("")));
            }
            found?
        }
        // The hint is about the sample before, not about the value.
        None => Histogram { reset_hint: ResetHint::Unknown, ..Histogram::clone(&a.histogram) },
    };
    Some(SampleValue::Histogram(Arc::new(histogram)))
}
