//! Subqueries: an expression evaluated at steps aligned to the epoch.

use std::sync::Arc;

use ahash::AHashMap;

use super::column::{Column, SeriesSet};
use super::{EvalError, EvalErrorKind, Evaluator, Matrix};
use crate::model::histogram::ResetHint;
use crate::model::{HistogramPoint, Labels, Point};
use crate::promql::plan::{Node, SubqueryOp};

/// Most steps of one subquery.
const SUBQUERY_STEPS_MAX: i64 = 1_000_000;

impl Evaluator<'_> {
    pub(super) fn subquery(&self, op: &SubqueryOp, node: &Node, at_ms: i64) -> Result<Arc<Matrix>, EvalError> {
        let span = &node.span;
        let to_ms = self.shifted(at_ms, op.at, op.offset.as_ref(), span)?;
        let from_ms = to_ms.saturating_sub(self.length_ms(&op.range, span)?);
        let step_ms = op.step.as_ref().map_or(Ok(self.options.subquery_step_ms), |s| self.length_ms(s, span))?;
        if to_ms.saturating_sub(from_ms) / step_ms.max(1) > SUBQUERY_STEPS_MAX {
            let message = format!("subquery has more than {SUBQUERY_STEPS_MAX} steps");
            return Err(EvalError::new(span, EvalErrorKind::Limit(message)));
        }
        let mut gathered = Gathered::default();
        // The window is open on the left.
        let mut t_ms = (from_ms.div_euclid(step_ms) + 1).saturating_mul(step_ms);
        while t_ms <= to_ms {
            let column = self.vector(op.expr, t_ms)?;
            let before = gathered.count;
            gathered.add(&column, t_ms);
            self.count(gathered.count - before, span)?;
            t_ms += step_ms;
        }
        let mut matrix = gathered.matrix(from_ms, to_ms);
        // Steps may leave the very sample out at which a counter was reset, or show it twice.
        let all = matrix.histograms.iter_mut().flatten();
        for point in all.filter(|p| matches!(p.histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset)) {
            Arc::make_mut(&mut point.histogram).reset_hint = ResetHint::Unknown;
        }
        Ok(Arc::new(matrix))
    }
}

/// Points of series found so far, by labels.
#[derive(Default)]
pub(super) struct Gathered {
    index: AHashMap<Labels, usize>,
    labels: Vec<Labels>,
    dropped: Vec<bool>,
    points: Vec<Vec<Point>>,
    histograms: Vec<Vec<HistogramPoint>>,
    pub(super) count: usize,
    /// Places in `points` of the series of the last set: sets rarely change from step to step.
    last: Option<(Arc<SeriesSet>, Vec<usize>)>,
}

impl Gathered {
    /// Adds a column at one instant; the labels of its set must be distinct.
    pub(super) fn add(&mut self, column: &Column, t_ms: i64) {
        let set = &column.set;
        if !matches!(&self.last, Some((known, _)) if Arc::ptr_eq(known, set)) {
            let mut places = Vec::with_capacity(set.len());
            for (i, labels) in set.labels.iter().enumerate() {
                let next = self.points.len();
                let place = *self.index.entry(labels.clone()).or_insert(next);
                if place == next {
                    self.labels.push(labels.clone());
                    self.dropped.push(set.is_dropped(i));
                    self.points.push(Vec::new());
                }
                places.push(place);
            }
            self.last = Some((Arc::clone(set), places));
        }
        let Some((_, places)) = &self.last else { return };
        for (place, value) in places.iter().zip(column.values.iter()) {
            if !super::column::is_absent(*value) {
                self.points[*place].push(Point { t_ms, value: *value });
                self.count += 1;
            }
        }
        for (i, histogram) in column.present_histograms() {
            let Some(place) = places.get(i) else { continue };
            if self.histograms.len() <= *place {
                self.histograms.resize_with(place + 1, Vec::new);
            }
            self.histograms[*place].push(HistogramPoint { t_ms, histogram: Arc::clone(histogram) });
            self.count += histogram.sample_weight();
        }
    }

    /// What was gathered, by labels.
    pub(super) fn matrix(self, from_ms: i64, to_ms: i64) -> Matrix {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order.sort_by(|a, b| self.labels[*a].cmp(&self.labels[*b]));
        let dropped = self.dropped.iter().any(|d| *d).then(|| order.iter().map(|i| self.dropped[*i]).collect());
        let labels = order.iter().map(|i| self.labels[*i].clone()).collect();
        let mut points = self.points;
        let points = order.iter().map(|i| std::mem::take(&mut points[*i])).collect();
        let mut kept = self.histograms;
        let any = !kept.is_empty();
        kept.resize_with(self.labels.len(), Vec::new);
        let histograms = order.iter().filter(|_| any).map(|i| std::mem::take(&mut kept[*i])).collect();
        Matrix { set: Arc::new(SeriesSet { dropped, ..SeriesSet::new(labels) }), points, histograms, from_ms, to_ms }
    }
}
