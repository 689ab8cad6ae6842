//! Selectors, and functions of their windows: each window is read once, from the store's own memory.

use std::ops::Range;
use std::sync::Arc;

use super::ahead::Read;
use super::column::{ABSENT, Column, SeriesSet, is_absent};
use super::{EvalError, Evaluator, Matrix, NodeValue};
use crate::model::{Point, is_stale};
use crate::promql::ast::{Edges, ValueType};
use crate::promql::error::EvalErrorKind;
use crate::promql::functions::numeric::quantile_warning;
use crate::promql::functions::rate::extend;
use crate::promql::functions::{Window, WindowBody};
use crate::promql::plan::{Node, NodeId, Op, SelectorOp};
use crate::promql::slide::Ask;
use crate::promql::source::{Selection, SourceError};

/// The window of a selector at an instant.
struct Bounds {
    from_ms: i64,
    to_ms: i64,
    edges: Edges,
}

impl Evaluator<'_> {
    fn source_error(span: &Range<usize>) -> impl Fn(SourceError) -> EvalError + '_ {
        |error| EvalError::new(span, EvalErrorKind::Source(error))
    }

    pub(super) fn select(&self, selector: &SelectorOp, span: &Range<usize>) -> Result<Selection, EvalError> {
        if let Some(selection) = self.slot.selection(selector.key) {
            return Ok(selection);
        }
        let selection = self.source.select(&selector.matchers).map_err(Self::source_error(span))?;
        self.slot.keep_selection(selector.key, &selection);
        Ok(selection)
    }

    /// The newest point of each series at an instant.
    pub(super) fn points_at(
        &self,
        selector: usize,
        node: &Node,
        at_ms: i64,
    ) -> Result<(Arc<SeriesSet>, Vec<Option<Point>>), EvalError> {
        let (place, is_step) = (selector, self.step_ms > 0 && at_ms == self.shared_ms.get());
        let selector = &self.plan.selectors[selector];
        let asked_ms = at_ms;
        let at_ms = self.shifted(at_ms, selector.at, selector.offset.as_ref(), &node.span)?;
        let selection = self.select(selector, &node.span)?;
        let set = selector.cache.set(&selection.series);
        let mut points = Vec::with_capacity(selection.len());
        if selector.edges == Edges::Smoothed {
            self.smoothed(&selection, node, at_ms, &mut points)?;
        } else if is_step && selector.at.is_none() {
            let end_ms = self.end_ms.saturating_add(at_ms.saturating_sub(asked_ms));
            let (lookback_ms, step_ms) = (self.options.lookback_ms, self.step_ms);
            let read = Read { selection: &selection, at_ms, lookback_ms, step_ms, end_ms };
            let mut ahead = self.ahead.borrow_mut();
            ahead.instant(place, self.source, &read, &mut points).map_err(Self::source_error(&node.span))?;
        } else {
            let lookback = self.options.lookback_ms;
            self.source.instant(&selection, at_ms, lookback, &mut points).map_err(Self::source_error(&node.span))?;
        }
        points.resize(set.len(), None);
        self.count(points.len(), &node.span)?;
        Ok((set, points))
    }

    /// Values interpolated between the points before and after an instant; without one after, the one before.
    fn smoothed(
        &self,
        selection: &Selection,
        node: &Node,
        at_ms: i64,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), EvalError> {
        let lookback = self.options.lookback_ms;
        out.resize(selection.len(), None);
        let mut visit = |i: usize, points: &[Point]| {
            let mut real = points.iter().filter(|p| !is_stale(p.value));
            let before = real.clone().take_while(|p| p.t_ms <= at_ms).last();
            let after = real.find(|p| p.t_ms > at_ms);
            let value = match (before, after) {
                (Some(a), Some(b)) if a.t_ms < at_ms => {
                    a.value + (b.value - a.value) * (at_ms - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64
                }
                (Some(a), _) => a.value,
                (None, _) => return,
            };
            if let Some(slot) = out.get_mut(i) {
                *slot = Some(Point { t_ms: at_ms, value });
            }
        };
        let (from, to) = (at_ms.saturating_sub(lookback), at_ms.saturating_add(lookback));
        self.source.range(selection, from, to, &mut visit).map_err(Self::source_error(&node.span))
    }

    pub(super) fn instant_selector(&self, selector: usize, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let (set, points) = self.points_at(selector, node, at_ms)?;
        let values = points.iter().map(|p| p.map_or(ABSENT, |p| p.value)).collect();
        Ok(Column::new(set, values))
    }

    fn bounds(&self, selector: &SelectorOp, node: &Node, at_ms: i64) -> Result<Bounds, EvalError> {
        let to_ms = self.shifted(at_ms, selector.at, selector.offset.as_ref(), &node.span)?;
        let length = selector.range.as_ref().map_or(Ok(0), |r| self.length_ms(r, &node.span))?;
        Ok(Bounds { from_ms: to_ms.saturating_sub(length), to_ms, edges: selector.edges })
    }

    /// Hands each series' points, marks removed, to `visit`; series without any are left out.
    fn windows(
        &self,
        selector: &SelectorOp,
        (node, bounds): (&Node, &Bounds),
        visit: &mut dyn FnMut(usize, &[Point]),
    ) -> Result<Arc<SeriesSet>, EvalError> {
        let selection = self.select(selector, &node.span)?;
        let set = selector.cache.set(&selection.series);
        let around = self.options.lookback_ms;
        let from = if bounds.edges == Edges::Plain { 0 } else { around };
        let to = if bounds.edges == Edges::Smoothed { around } else { 0 };
        let mut scratch = Vec::new();
        let mut read = 0;
        let mut each = |i: usize, points: &[Point]| {
            read += points.len();
            if !points.iter().any(|p| is_stale(p.value)) {
                if !points.is_empty() {
                    visit(i, points);
                }
                return;
            }
            scratch.clear();
            scratch.extend(points.iter().filter(|p| !is_stale(p.value)));
            if !scratch.is_empty() {
                visit(i, &scratch);
            }
        };
        let (from, to) = (bounds.from_ms.saturating_sub(from), bounds.to_ms.saturating_add(to));
        self.source.range(&selection, from, to, &mut each).map_err(Self::source_error(&node.span))?;
        self.count(read, &node.span)?;
        Ok(set)
    }

    pub(super) fn range_selector(&self, selector: usize, node: &Node, at_ms: i64) -> Result<Arc<Matrix>, EvalError> {
        let selector = &self.plan.selectors[selector];
        let bounds = self.bounds(selector, node, at_ms)?;
        let mut read: Vec<(usize, Vec<Point>)> = Vec::new();
        let inside = |p: &&Point| p.t_ms > bounds.from_ms && p.t_ms <= bounds.to_ms;
        let Bounds { from_ms, to_ms, edges } = bounds;
        let mut visit = |i: usize, points: &[Point]| {
            let window = Window { points, from_ms, to_ms, at_ms, params: &[], edges };
            let found = match edges {
                Edges::Plain => points.iter().filter(inside).copied().collect(),
                Edges::Anchored | Edges::Smoothed => extend(&window),
            };
            read.push((i, found));
        };
        let set = self.windows(selector, (node, &bounds), &mut visit)?;
        let mut points = vec![Vec::new(); set.len()];
        for (i, series) in read {
            points[i] = series;
        }
        Ok(Arc::new(Matrix { set, points, from_ms: bounds.from_ms, to_ms: bounds.to_ms }))
    }

    /// A function of each series' window.
    pub(super) fn window_call(
        &self,
        (body, args): (&WindowBody, &[NodeId]),
        node: &Node,
        at_ms: i64,
    ) -> Result<Column, EvalError> {
        let is_matrix = |id: &&NodeId| self.plan.nodes[**id].value_type == ValueType::Matrix;
        let Some(matrix) = args.iter().find(is_matrix) else { return Ok(Column::empty()) };
        let scalar_ids: Vec<NodeId> = args.iter().copied().filter(|id| id != matrix).collect();
        let params = self.scalars(&scalar_ids, at_ms)?;
        self.check_params(body, node, &params)?;
        let arg = &self.plan.nodes[*matrix];
        let column = match &arg.op {
            Op::Matrix(selector) => {
                let selector = &self.plan.selectors[*selector];
                let Bounds { from_ms, to_ms, edges } = self.bounds(selector, arg, at_ms)?;
                if let Some(column) = self.slid(body, (selector, arg), &params, at_ms)? {
                    if body.counter && column.values.iter().any(|v| !is_absent(*v)) {
                        self.note_counter(selector, arg);
                    }
                    return if body.keeps_name { column.unique(&node.span) } else { self.unnamed(column, node) };
                }
                let mut values: Vec<f64> = Vec::new();
                let mut visit = |i: usize, points: &[Point]| {
                    let window = Window { points, from_ms, to_ms, at_ms, params: &params, edges };
                    if let Some(value) = (body.value)(&window) {
                        // Grows to the last series that has a value; the rest is filled below.
                        if values.len() <= i {
                            values.resize(i + 1, ABSENT);
                        }
                        values[i] = value;
                    }
                };
                let set = self.windows(selector, (arg, &Bounds { from_ms, to_ms, edges }), &mut visit)?;
                if body.counter && !values.is_empty() {
                    self.note_counter(selector, arg);
                }
                values.resize(set.len(), ABSENT);
                Column::new(set, values)
            }
            _ => {
                let NodeValue::Matrix(matrix) = self.node(*matrix, at_ms)? else { return Ok(Column::empty()) };
                let (from_ms, to_ms) = (matrix.from_ms, matrix.to_ms);
                let value = |points: &Vec<Point>| {
                    let edges = Edges::Plain;
                    let window = Window { points, from_ms, to_ms, at_ms, params: &params, edges };
                    if points.is_empty() { ABSENT } else { (body.value)(&window).unwrap_or(ABSENT) }
                };
                Column::new(Arc::clone(&matrix.set), matrix.points.iter().map(value).collect())
            }
        };
        if body.keeps_name { column.unique(&node.span) } else { self.unnamed(column, node) }
    }

    /// As [`Self::window_call`], by a window that goes on from the slot before; `None` where there is none.
    fn slid(
        &self,
        body: &WindowBody,
        (selector, arg): (&SelectorOp, &Node),
        params: &[f64],
        at_ms: i64,
    ) -> Result<Option<Column>, EvalError> {
        let Some((slide, moments)) = body.incremental.body() else { return Ok(None) };
        let (Some(slides), Some(source)) = (self.slot.slides(), self.source.advancing()) else { return Ok(None) };
        let Bounds { from_ms, to_ms, edges } = self.bounds(selector, arg, at_ms)?;
        // The steps of a subquery go to and fro.
        if edges != Edges::Plain || selector.at.is_some() || self.step_ms != 0 || at_ms != self.shared_ms.get() {
            return Ok(None);
        }
        let selection = self.select(selector, &arg.span)?;
        let set = selector.cache.set(&selection.series);
        let whole = |points: &[Point]| (body.value)(&Window { points, from_ms, to_ms, at_ms, params, edges });
        let ask = Ask { source, selection: &selection, from_ms, to_ms, moments, body: slide, whole: &whole };
        let Some((values, read)) = slides.values(arg.key, &ask).map_err(Self::source_error(&arg.span))? else {
            return Ok(None);
        };
        self.count(read, &arg.span)?;
        Ok(Some(Column::new(set, values)))
    }

    fn check_params(&self, body: &WindowBody, node: &Node, params: &[f64]) -> Result<(), EvalError> {
        if let Some(message) = (body.check)(params) {
            return Err(EvalError::parameter(&node.span, message));
        }
        if let (Op::Call { function, args }, [q]) = (&node.op, params)
            && function.name == "quantile_over_time"
            && let Some(message) = quantile_warning(*q)
        {
            self.warn(&self.plan.nodes[args[0]].span, message);
        }
        Ok(())
    }

    /// Says that a name does not look like a counter's, as Prometheus does.
    fn note_counter(&self, selector: &SelectorOp, arg: &Node) {
        let name = selector.matchers.iter().find(|m| m.name == "__name__" && m.op.as_str() == "=");
        let Some(name) = name.map(|m| m.value.as_str()) else { return };
        if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            let message =
                format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}");
            self.inform(&arg.span, message);
        }
    }
}
