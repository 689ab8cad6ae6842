//! Functions of windows that hold histograms: slopes, sums, changes, first and last.
//!
//! Beside [`super::rate`] and [`super::over_time`], which have the same functions for numbers. Follows Prometheus 3
//! (promql/functions.go).

use std::sync::Arc;

use super::rate::Extrapolation;
use super::{Said, Window};
use crate::model::histogram::{HistogramSum, Incompatible, Merged, ResetHint};
use crate::model::{Histogram, HistogramPoint, SampleValue};
use crate::promql::ast::Edges;
use crate::promql::remarks::{Operation, Remark};

fn made(histogram: Histogram) -> SampleValue {
    SampleValue::Histogram(Arc::new(histogram))
}

fn is_gauge(point: &HistogramPoint) -> bool {
    point.histogram.reset_hint == ResetHint::Gauge
}

/// Says what two histograms that were combined gave rise to; false where they cannot be.
fn told(merged: Result<Merged, Incompatible>, operation: Operation, w: &Window<'_>, said: &mut Said) -> bool {
    match merged {
        Ok(Merged { reconciled, .. }) => {
            if reconciled {
                said.push(Remark::reconciled_bounds(operation));
            }
            true
        }
        Err(Incompatible) => {
            said.push(Remark::mixed_schemas(w.metric()));
            false
        }
    }
}

/// `rate`, `increase`, `delta`.
pub(super) fn slope(w: &Window<'_>, said: &mut Said, is_counter: bool, per_second: bool) -> Option<SampleValue> {
    if !w.points.is_empty() {
        said.push(Remark::mixed_range(w.metric()));
        return None;
    }
    if w.edges != Edges::Plain {
        return extended_slope(w, said, is_counter, per_second).map(made);
    }
    let [first, .., last] = w.histograms else { return None };
    let mut result = plain_slope(w, said, is_counter)?;
    let extrapolation = Extrapolation {
        first_ms: first.t_ms,
        last_ms: last.t_ms,
        count: w.histograms.len(),
        zero: (is_counter && result.count > 0.0 && first.histogram.count >= 0.0)
            .then(|| first.histogram.count / result.count),
    };
    result.scale(extrapolation.factor((w.from_ms, w.to_ms), per_second));
    result.reset_hint = ResetHint::Gauge;
    Some(made(result))
}

/// What a window's histograms gained from the first to the last.
fn plain_slope(w: &Window<'_>, said: &mut Said, is_counter: bool) -> Option<Histogram> {
    let (points, said_before) = (w.histograms, said.len());
    let (first, second, last) = (&points[0], &points[1], &points[points.len() - 1]);
    if is_counter && (is_gauge(first) || is_gauge(last)) {
        said.push(Remark::not_a_counter(w.metric()));
    }
    let reset = |previous: &HistogramPoint, before: &Histogram, point: &HistogramPoint| {
        w.is_start_reset(previous.t_ms, point.t_ms) || point.histogram.is_reset_since(before)
    };
    let mut previous = Arc::clone(&first.histogram);
    if is_counter && reset(first, &first.histogram, second) {
        // Nothing of the first one counts, its layout neither.
        let schema = second.histogram.schema;
        let custom_values = Arc::clone(&second.histogram.custom_values);
        previous = Arc::new(Histogram { schema, custom_values, ..Histogram::default() });
    }
    let is_custom = previous.is_custom();
    let mut schema = last.histogram.schema.min(previous.schema);
    if last.histogram.is_custom() != is_custom {
        said.push(Remark::mixed_schemas(w.metric()));
        return None;
    }
    for point in points[1..points.len() - 1].iter().filter(|_| is_counter) {
        if is_gauge(point) {
            said.push(Remark::not_a_counter(w.metric()));
        }
        if point.histogram.is_custom() != is_custom {
            said.take_back(said_before);
            said.push(Remark::mixed_schemas(w.metric()));
            return None;
        }
        schema = schema.min(point.histogram.schema);
    }
    let mut gained = Histogram::clone(&last.histogram).with_schema(schema);
    if !told(gained.subtract(&previous), Operation::Subtraction, w, said) {
        return None;
    }
    if is_counter {
        for pair in points.windows(2) {
            if reset(&pair[0], &previous, &pair[1]) && !told(gained.add(&previous), Operation::Addition, w, said) {
                return None;
            }
            previous = Arc::clone(&pair[1].histogram);
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        said.push(Remark::not_a_gauge(w.metric()));
    }
    gained.reset_hint = ResetHint::Gauge;
    gained.compact();
    Some(gained)
}

/// The histogram at an instant between two.
pub(crate) fn interpolated(
    (a, b): (&HistogramPoint, &HistogramPoint),
    t_ms: i64,
    is_counter: bool,
    said: &mut Said,
) -> Result<Histogram, Incompatible> {
    if t_ms == a.t_ms || t_ms == b.t_ms {
        return Ok(Histogram::clone(if t_ms == a.t_ms { &a.histogram } else { &b.histogram }));
    }
    let share = (t_ms - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64;
    let mut result = Histogram::clone(&b.histogram);
    if is_counter && b.histogram.is_reset_since(&a.histogram) {
        // After a reset the counter started from 0.
        result.scale(share);
        return Ok(result);
    }
    let down = result.subtract(&a.histogram)?;
    result.scale(share);
    let up = result.add(&a.histogram)?;
    for (merged, operation) in [(down, Operation::Subtraction), (up, Operation::Addition)] {
        if merged.reconciled {
            said.push(Remark::reconciled_bounds(operation));
        }
    }
    Ok(result)
}

/// A slope of an anchored or smoothed window.
fn extended_slope(w: &Window<'_>, said: &mut Said, is_counter: bool, per_second: bool) -> Option<Histogram> {
    let points = w.histograms;
    let smoothed = w.edges == Edges::Smoothed;
    let (first, last) = super::rate::extended_places(w, points.len(), &|i| points[i].t_ms)?;
    let is_custom = points[first].histogram.is_custom();
    for point in &points[first..=last] {
        if point.histogram.is_custom() != is_custom {
            said.push(Remark::mixed_schemas(w.metric()));
            return None;
        }
        if is_counter && is_gauge(point) {
            said.push(Remark::not_a_counter(w.metric()));
        }
    }
    let at = |said: &mut Said, pair: Option<(&HistogramPoint, &HistogramPoint)>, own: &HistogramPoint, t_ms: i64| {
        let Some(pair) = pair else { return Some(Histogram::clone(&own.histogram)) };
        let found = interpolated(pair, t_ms, is_counter, said);
        found.map_err(|_| said.push(Remark::mixed_schemas(w.metric()))).ok()
    };
    let spans_left = smoothed && points[first].t_ms < w.from_ms;
    let next = points.get(first + 1).filter(|_| spans_left);
    let left = at(said, next.map(|next| (&points[first], next)), &points[first], w.from_ms)?;
    let spans_right = smoothed && last > 0 && points[last].t_ms > w.to_ms;
    let right = at(said, spans_right.then(|| (&points[last - 1], &points[last])), &points[last], w.to_ms)?;
    if !is_counter && (left.reset_hint != ResetHint::Gauge || right.reset_hint != ResetHint::Gauge) {
        said.push(Remark::not_a_gauge(w.metric()));
    }
    let mut result = right.clone();
    if !told(result.subtract(&left), Operation::Subtraction, w, said) {
        return None;
    }
    if is_counter {
        let correction = extended_resets(w, said, (first, last), (&left, &right))?;
        if let Some(correction) = correction
            && !told(result.add(&correction), Operation::Addition, w, said)
        {
            return None;
        }
    }
    if per_second {
        result.divide(w.seconds());
    }
    result.reset_hint = ResetHint::Gauge;
    result.compact();
    Some(result)
}

/// What resets between the two ends took away; the outer option is empty where it cannot be added up.
#[allow(clippy::option_option, reason = "nothing to correct is not the same as no result")]
fn extended_resets(
    w: &Window<'_>,
    said: &mut Said,
    (first, last): (usize, usize),
    (left, right): (&Histogram, &Histogram),
) -> Option<Option<Histogram>> {
    let points = w.histograms;
    // The points at both ends are stood for by the ends themselves.
    let mut inner = first + 1;
    let mut previous = left;
    if w.edges == Edges::Smoothed
        && points[first].t_ms < w.from_ms
        && let Some(next) = points.get(first + 1)
        && next.histogram.is_reset_since(&points[first].histogram)
    {
        // The interpolation at the left end went across this reset and has it in already.
        previous = &next.histogram;
        inner += 1;
    }
    if inner > last {
        return Some(None);
    }
    let mut correction: Option<Histogram> = None;
    let between = points[inner..last].iter().map(|p| &*p.histogram);
    for histogram in between.chain(std::iter::once(right)) {
        if histogram.is_reset_since(previous) {
            match &mut correction {
                None => correction = Some(previous.clone()),
                Some(sum) => {
                    if !told(sum.add(previous), Operation::Addition, w, said) {
                        return None;
                    }
                }
            }
        }
        previous = histogram;
    }
    Some(correction)
}

/// A sample of either kind.
#[derive(Clone)]
struct Either {
    t_ms: i64,
    value: SampleValue,
}

/// All samples in the order of their times.
fn merged<'a>(w: &'a Window<'_>, first_float: usize) -> impl Iterator<Item = Either> + 'a {
    let mut floats = w.points[first_float..].iter().peekable();
    let mut histograms = w.histograms.iter().peekable();
    std::iter::from_fn(move || {
        let earlier = match (floats.peek(), histograms.peek()) {
            (Some(f), Some(h)) => f.t_ms < h.t_ms,
            (f, _) => f.is_some(),
        };
        if earlier {
            return floats.next().map(|p| Either { t_ms: p.t_ms, value: SampleValue::Float(p.value) });
        }
        let histogram = |p: &HistogramPoint| SampleValue::Histogram(Arc::clone(&p.histogram));
        histograms.next().map(|p| Either { t_ms: p.t_ms, value: histogram(p) })
    })
}

/// `irate`, `idelta`.
pub(super) fn last_two(w: &Window<'_>, said: &mut Said, is_rate: bool) -> Option<SampleValue> {
    let all: Vec<Either> = merged(w, 0).collect();
    let [.., previous, last] = all.as_slice() else { return None };
    let interval = last.t_ms - previous.t_ms;
    if interval == 0 {
        return None;
    }
    let seconds = interval as f64 / 1000.0;
    let restarted = w.is_start_reset(previous.t_ms, last.t_ms);
    match (&previous.value, &last.value) {
        (SampleValue::Float(a), SampleValue::Float(b)) => {
            let gained = if is_rate && (b < a || restarted) { *b } else { b - a };
            Some(SampleValue::Float(if is_rate { gained / seconds } else { gained }))
        }
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            let gauges = [a, b].map(|h| h.reset_hint == ResetHint::Gauge);
            if is_rate && gauges != [false, false] {
                said.push(Remark::not_a_counter(w.metric()));
            }
            if !is_rate && gauges != [true, true] {
                said.push(Remark::not_a_gauge(w.metric()));
            }
            let mut result = Histogram::clone(b);
            let is_reset = is_rate && (restarted || b.is_reset_since(a));
            if !is_reset && !told(result.subtract(a), Operation::Subtraction, w, said) {
                return None;
            }
            result.reset_hint = ResetHint::Gauge;
            result.compact();
            if is_rate {
                result.divide(seconds);
            }
            Some(made(result))
        }
        _ => {
            said.push(Remark::mixed_range(w.metric()));
            None
        }
    }
}

/// `sum_over_time`, `avg_over_time`.
pub(super) fn sum(w: &Window<'_>, said: &mut Said, is_mean: bool) -> Option<SampleValue> {
    let (first, rest) = w.histograms.split_first()?;
    if !w.points.is_empty() {
        said.push(Remark::mixed_range(w.metric()));
        return None;
    }
    let mut sum = HistogramSum::new(&first.histogram);
    let mut reconciled = false;
    for point in rest {
        match if is_mean { sum.add_to_mean(&point.histogram) } else { sum.add(&point.histogram) } {
            Ok(merged) => reconciled |= merged.reconciled,
            Err(Incompatible) => {
                said.push(Remark::mixed_schemas(w.metric()));
                return None;
            }
        }
    }
    let hinted = |hint| w.histograms.iter().any(|p| p.histogram.reset_hint == hint);
    if hinted(ResetHint::Reset) && hinted(ResetHint::NotReset) {
        said.push(Remark::colliding_resets(Operation::Aggregation));
    }
    if reconciled {
        said.push(Remark::reconciled_bounds(Operation::Aggregation));
    }
    Some(made(if is_mean { sum.mean() } else { sum.total() }))
}

/// `changes`.
pub(super) fn changes(w: &Window<'_>) -> Option<SampleValue> {
    pairs(w, &|a, b| match (&a.value, &b.value) {
        (SampleValue::Float(a), SampleValue::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => !a.same(b),
        _ => true,
    })
}

/// `resets`.
pub(super) fn resets(w: &Window<'_>) -> Option<SampleValue> {
    pairs(w, &|a, b| match (&a.value, &b.value) {
        (SampleValue::Float(x), SampleValue::Float(y)) => y < x || w.is_start_reset(a.t_ms, b.t_ms),
        (SampleValue::Histogram(x), SampleValue::Histogram(y)) => {
            w.is_start_reset(a.t_ms, b.t_ms) || y.is_reset_since(x)
        }
        _ => true,
    })
}

fn pairs(w: &Window<'_>, counts: &dyn Fn(&Either, &Either) -> bool) -> Option<SampleValue> {
    let first = super::rate::first_counted(w)?;
    let all: Vec<Either> = merged(w, first).collect();
    Some(SampleValue::Float(all.windows(2).filter(|pair| counts(&pair[0], &pair[1])).count() as f64))
}

/// `first_over_time`, `last_over_time`.
pub(super) fn outermost(w: &Window<'_>, is_last: bool) -> Option<SampleValue> {
    let mut all = merged(w, 0);
    if is_last { all.last() } else { all.next() }.map(|e| e.value)
}

/// The times of the first and the last sample.
pub(super) fn times(w: &Window<'_>) -> Option<(i64, i64)> {
    let floats = w.points.first().zip(w.points.last()).map(|(a, b)| (a.t_ms, b.t_ms));
    let histograms = w.histograms.first().zip(w.histograms.last()).map(|(a, b)| (a.t_ms, b.t_ms));
    match (floats, histograms) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (found, None) | (None, found) => found,
    }
}
