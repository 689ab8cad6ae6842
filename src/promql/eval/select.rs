//! Selectors, and functions of their windows: each window is read once, from the store's own memory.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::ahead::Read;
use super::column::{ABSENT, Column, SeriesSet};
use super::{EvalError, Evaluator, Matrix, NodeValue};
use crate::model::histogram::ResetHint;
use crate::model::{Histogram, HistogramPoint, Labels, Point, SampleValue, is_histogram_mark, is_mark};
use crate::promql::ast::{Edges, ValueType};
use crate::promql::error::EvalErrorKind;
use crate::promql::functions::numeric::quantile_warning;
use crate::promql::functions::rate::extend;
use crate::promql::functions::{Said, Window, WindowBody};
use crate::promql::plan::{Node, NodeId, Op, SelectorOp};
use crate::promql::remarks::Remark;
use crate::promql::slide::Ask;
use crate::promql::source::{Selection, SourceError};

/// The window of a selector at an instant.
pub(super) struct Bounds {
    pub from_ms: i64,
    pub to_ms: i64,
    pub edges: Edges,
}

/// The samples of one series in a window, marks removed.
pub(super) struct Samples<'a> {
    pub points: &'a [Point],
    pub histograms: &'a [HistogramPoint],
    pub starts: &'a [(i64, i64)],
    pub labels: &'a Labels,
}

/// What is left of histograms of which only counts and sums are asked for. Where nothing is known about a reset, it is
/// found out from the sample before.
fn totals_only(points: &mut [HistogramPoint]) {
    let mut before: Option<Arc<Histogram>> = None;
    for point in points {
        let whole = Arc::clone(&point.histogram);
        let mut hint = whole.reset_hint;
        if let (ResetHint::Unknown, Some(before)) = (hint, &before) {
            hint = if whole.is_reset_since(before) { ResetHint::Reset } else { ResetHint::NotReset };
        }
        let (schema, count, sum) = (whole.schema, whole.count, whole.sum);
        point.histogram = Arc::new(Histogram { reset_hint: hint, schema, count, sum, ..Histogram::default() });
        before = Some(whole);
    }
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
        self.count(selection.len(), &node.span)?;
        let mut points = Vec::with_capacity(selection.len());
        if is_step && selector.at.is_none() {
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
        Ok((set, points))
    }

    /// The histograms of one series in a window.
    fn read_histograms(
        &self,
        (selection, series): (&Selection, usize),
        (from_ms, to_ms): (i64, i64),
        totals: bool,
        out: &mut Vec<HistogramPoint>,
    ) -> Result<(), SourceError> {
        self.source.histograms(selection, series, (from_ms, to_ms), out)?;
        if totals {
            totals_only(out);
        }
        Ok(())
    }

    /// The histogram of one series at the time of its sample.
    fn histogram_at(
        &self,
        (selection, series): (&Selection, usize),
        t_ms: i64,
        totals: bool,
    ) -> Result<Option<Arc<Histogram>>, SourceError> {
        let mut read = Vec::new();
        self.read_histograms((selection, series), (t_ms - 1, t_ms), totals, &mut read)?;
        let unknown = read.last().is_some_and(|p| p.histogram.reset_hint == ResetHint::Unknown);
        if totals && unknown {
            // Found out from the sample before, which may be as old as any that is looked at.
            read.clear();
            let from_ms = t_ms.saturating_sub(self.options.lookback_ms);
            self.source.histograms(selection, series, (from_ms, t_ms), &mut read)?;
            read.drain(..read.len().saturating_sub(2));
            totals_only(&mut read);
        }
        Ok(read.pop().map(|p| p.histogram))
    }

    pub(super) fn instant_selector(&self, selector: usize, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let op = &self.plan.selectors[selector];
        if op.edges == Edges::Smoothed {
            return self.smoothed(op, node, at_ms);
        }
        let (set, points) = self.points_at(selector, node, at_ms)?;
        let mut marked = false;
        let value = |p: &Option<Point>| match p {
            Some(p) if is_histogram_mark(p.value) => {
                marked = true;
                ABSENT
            }
            Some(p) => p.value,
            None => ABSENT,
        };
        let values = points.iter().map(value).collect();
        if !marked {
            return Ok(Column::new(set, values));
        }
        let selection = self.select(op, &node.span)?;
        let mut histograms = vec![None; points.len()];
        for (i, point) in points.iter().enumerate() {
            let Some(point) = point.filter(|p| is_histogram_mark(p.value)) else { continue };
            let found = self.histogram_at((&selection, i), point.t_ms, op.totals);
            histograms[i] = found.map_err(Self::source_error(&node.span))?;
            self.count(histograms[i].as_ref().map_or(0, |h| h.sample_weight()), &node.span)?;
        }
        Ok(Column::mixed(set, values, histograms))
    }

    fn bounds(&self, selector: &SelectorOp, node: &Node, at_ms: i64) -> Result<Bounds, EvalError> {
        let to_ms = self.shifted(at_ms, selector.at, selector.offset.as_ref(), &node.span)?;
        let length = selector.range.as_ref().map_or(Ok(0), |r| self.length_ms(r, &node.span))?;
        Ok(Bounds { from_ms: to_ms.saturating_sub(length), to_ms, edges: selector.edges })
    }

    /// Hands each series' samples, marks removed, to `visit`; series without any are left out.
    pub(super) fn windows(
        &self,
        selector: &SelectorOp,
        (node, bounds): (&Node, &Bounds),
        visit: &mut dyn FnMut(usize, &Samples<'_>),
    ) -> Result<Arc<SeriesSet>, EvalError> {
        let selection = self.select(selector, &node.span)?;
        self.windows_of(&selection, selector, (node, bounds), visit)?;
        Ok(selector.cache.set(&selection.series))
    }

    /// As [`Self::windows`], of some series.
    fn windows_of(
        &self,
        selection: &Selection,
        selector: &SelectorOp,
        (node, bounds): (&Node, &Bounds),
        visit: &mut dyn FnMut(usize, &Samples<'_>),
    ) -> Result<(), EvalError> {
        let around = self.options.lookback_ms;
        let before = if bounds.edges == Edges::Plain { 0 } else { around };
        let after = if bounds.edges == Edges::Smoothed { around } else { 0 };
        let (from, to) = (bounds.from_ms.saturating_sub(before), bounds.to_ms.saturating_add(after));
        let (mut scratch, mut histograms, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = 0;
        let mut failure = None;
        let keeps_starts = self.source.keeps_starts();
        let most = self.options.samples_max.saturating_sub(self.samples.get());
        let mut each = |i: usize, points: &[Point]| {
            read += points.len();
            if read > most {
                return ControlFlow::Break(());
            }
            if points.is_empty() {
                return ControlFlow::Continue(());
            }
            let labels = &selection.series[i];
            if keeps_starts {
                starts.clear();
                self.source.starts(selection, i, (from, to), &mut starts);
            }
            if !points.iter().any(|p| is_mark(p.value)) {
                visit(i, &Samples { points, histograms: &[], starts: &starts, labels });
                return ControlFlow::Continue(());
            }
            scratch.clear();
            scratch.extend(points.iter().filter(|p| !is_mark(p.value)));
            histograms.clear();
            if points.iter().any(|p| is_histogram_mark(p.value)) {
                let found = self.read_histograms((selection, i), (from, to), selector.totals, &mut histograms);
                failure = failure.take().or(found.err());
                read += histograms.iter().map(|p| p.histogram.sample_weight()).sum::<usize>();
            }
            if !scratch.is_empty() || !histograms.is_empty() {
                visit(i, &Samples { points: &scratch, histograms: &histograms, starts: &starts, labels });
            }
            if failure.is_some() || read > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.source.range(selection, from, to, &mut each).map_err(Self::source_error(&node.span))?;
        if let Some(error) = failure {
            return Err(Self::source_error(&node.span)(error));
        }
        self.count(read, &node.span)
    }

    /// The results of a function by windows that go on from the slot before; false where there are none. Series with
    /// histograms are read whole.
    fn slid(
        &self,
        body: &WindowBody,
        (selector, arg): (&SelectorOp, &Node),
        (bounds, at_ms): (&Bounds, i64),
        results: &mut Results,
    ) -> Result<bool, EvalError> {
        let Some((slide, moments)) = body.incremental.body() else { return Ok(false) };
        let (Some((slides, slot_ms)), Some(source)) = (self.slot.slides(), self.source.advancing()) else {
            return Ok(false);
        };
        let Bounds { from_ms, to_ms, edges } = *bounds;
        // The steps of a subquery go to and fro; starts of counters are resets that no value shows.
        let is_slot = self.step_ms == 0 && at_ms == self.shared_ms.get();
        if edges != Edges::Plain || selector.at.is_some() || !is_slot || self.source.keeps_starts() {
            return Ok(false);
        }
        let selection = self.select(selector, &arg.span)?;
        let none = Labels::empty();
        let whole = |points: &[Point]| {
            let samples = Samples { points, histograms: &[], starts: &[], labels: &none };
            (body.value)(&window(&samples, bounds, (at_ms, &[])))
        };
        let behind_ms = slot_ms.saturating_sub(at_ms);
        let (selection, whole) = (&selection, &whole);
        let ask = Ask { source, selection, from_ms, to_ms, slot_ms, behind_ms, moments, body: slide, whole };
        let Some(slid) = slides.values(arg.key, &ask).map_err(Self::source_error(&arg.span))? else {
            return Ok(false);
        };
        self.count(slid.read, &arg.span)?;
        results.values = slid.values;
        if !slid.odd.is_empty() {
            let part = selection.part(&slid.odd);
            self.windows_of(&part, selector, (arg, bounds), &mut |n, s| {
                results.add(slid.odd[n], body, &window(s, bounds, (at_ms, &[])));
            })?;
        }
        Ok(true)
    }

    pub(super) fn range_selector(&self, selector: usize, node: &Node, at_ms: i64) -> Result<Arc<Matrix>, EvalError> {
        let selector = &self.plan.selectors[selector];
        let bounds = self.bounds(selector, node, at_ms)?;
        let mut read: Vec<(usize, Vec<Point>, Vec<HistogramPoint>)> = Vec::new();
        let Bounds { from_ms, to_ms, edges } = bounds;
        let mut extended_histograms = false;
        let mut visit = |i: usize, s: &Samples<'_>| {
            let found = match edges {
                Edges::Plain => s.points.to_vec(),
                Edges::Anchored | Edges::Smoothed => {
                    extended_histograms |= !s.histograms.is_empty();
                    extend(&window(s, &bounds, (at_ms, &[])))
                }
            };
            read.push((i, found, s.histograms.to_vec()));
        };
        let set = self.windows(selector, (node, &bounds), &mut visit)?;
        if extended_histograms {
            let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
            let message = format!("{word} modifier is not supported with histograms");
            return Err(EvalError::parameter(&node.span, message));
        }
        let mut points = vec![Vec::new(); set.len()];
        let any = read.iter().any(|(_, _, histograms)| !histograms.is_empty());
        let mut histograms = vec![Vec::new(); if any { set.len() } else { 0 }];
        for (i, series, of_series) in read {
            points[i] = series;
            if any {
                histograms[i] = of_series;
            }
        }
        Ok(Arc::new(Matrix { set, points, histograms, from_ms, to_ms }))
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
        let mut results = Results::default();
        let set = match &arg.op {
            Op::Matrix(selector) => {
                let selector = &self.plan.selectors[*selector];
                let bounds = self.bounds(selector, arg, at_ms)?;
                if self.slid(body, (selector, arg), (&bounds, at_ms), &mut results)? {
                    selector.cache.set(&self.select(selector, &arg.span)?.series)
                } else {
                    let mut visit = |i: usize, s: &Samples<'_>| {
                        results.add(i, body, &window(s, &bounds, (at_ms, &params)));
                    };
                    self.windows(selector, (arg, &bounds), &mut visit)?
                }
            }
            _ => {
                let NodeValue::Matrix(matrix) = self.node(*matrix, at_ms)? else { return Ok(Column::empty()) };
                let bounds = Bounds { from_ms: matrix.from_ms, to_ms: matrix.to_ms, edges: Edges::Plain };
                for (i, points) in matrix.points.iter().enumerate() {
                    let histograms = matrix.histograms.get(i).map_or(&[][..], Vec::as_slice);
                    if !points.is_empty() || !histograms.is_empty() {
                        let s = Samples { points, histograms, starts: &[], labels: &matrix.set.labels[i] };
                        results.add(i, body, &window(&s, &bounds, (at_ms, &params)));
                    }
                }
                Arc::clone(&matrix.set)
            }
        };
        let said_at = &self.plan.nodes[args[0]].span;
        std::mem::take(&mut results.said).all().into_iter().for_each(|remark| self.remark(said_at, remark));
        let column = results.column(set);
        if body.counter {
            self.note_counters(&column, said_at);
        }
        if body.keeps_name { column.unique(&node.span) } else { self.unnamed(column, node) }
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

    /// Says which names do not look like those of counters, as Prometheus does.
    fn note_counters(&self, column: &Column, span: &Range<usize>) {
        let is_odd = |name: &str| !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
        let mut last = "";
        for (i, _) in column.present() {
            let name = column.set.labels[i].metric_name().unwrap_or("");
            if name != last && !name.is_empty() && is_odd(name) {
                self.remark(span, Remark::no_counter_name(name));
            }
            last = name;
        }
    }
}

fn window<'a>(s: &Samples<'a>, bounds: &Bounds, (at_ms, params): (i64, &'a [f64])) -> Window<'a> {
    Window {
        points: s.points,
        histograms: s.histograms,
        starts: s.starts,
        labels: s.labels,
        from_ms: bounds.from_ms,
        to_ms: bounds.to_ms,
        at_ms,
        params,
        edges: bounds.edges,
    }
}

/// The results of a function of windows.
#[derive(Default)]
struct Results {
    /// Up to the last series that has one.
    values: Vec<f64>,
    /// The same for histograms.
    histograms: Vec<Option<Arc<Histogram>>>,
    said: Said,
}

impl Results {
    fn add(&mut self, i: usize, body: &WindowBody, w: &Window<'_>) {
        let value = if w.histograms.is_empty() {
            (body.value)(w)
        } else {
            match body.sample(w, &mut self.said) {
                Some(SampleValue::Histogram(histogram)) => {
                    self.histograms.resize(self.histograms.len().max(i + 1), None);
                    self.histograms[i] = Some(histogram);
                    None
                }
                Some(SampleValue::Float(value)) => Some(value),
                None => None,
            }
        };
        let Some(value) = value else { return };
        if self.values.len() <= i {
            self.values.resize(i + 1, ABSENT);
        }
        self.values[i] = value;
    }

    fn column(mut self, set: Arc<SeriesSet>) -> Column {
        self.values.resize(set.len(), ABSENT);
        if self.histograms.is_empty() {
            return Column::new(set, self.values);
        }
        self.histograms.resize(set.len(), None);
        Column::mixed(set, self.values, self.histograms)
    }
}
