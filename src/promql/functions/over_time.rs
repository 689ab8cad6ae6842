//! `…_over_time`: statistics of the points in a window.

use super::exact::Moments;
use super::histograms::{outermost, times};
use super::numeric::{Mean, Sum, Variance, quantile};
use super::{Body, Function, M, S, Said, V, Window, WindowBody, WithHistograms, function, histograms};
use crate::model::SampleValue;
use crate::promql::eval::whole;
use crate::promql::slide::{Incremental, Slid};

type Value = fn(&Window<'_>) -> Option<f64>;

const fn window(value: Value) -> Body {
    body(value, WithHistograms::Ignored, Incremental::No)
}

const fn body(value: Value, histograms: WithHistograms, incremental: Incremental) -> Body {
    Body::Window(WindowBody { value, keeps_name: false, check: |_| None, counter: false, histograms, incremental })
}

/// From the sums of a window.
const fn summed(of: fn(&Slid<'_>) -> Option<Option<f64>>) -> Incremental {
    Incremental::Moments(of)
}

type Own = fn(&Window<'_>, &mut Said) -> Option<SampleValue>;

const fn both(value: Value, own: Own, incremental: Incremental) -> Body {
    body(value, WithHistograms::Own(own), incremental)
}

const fn named(value: Value, own: Own, incremental: Incremental) -> Body {
    let histograms = WithHistograms::Own(own);
    Body::Window(WindowBody { value, keeps_name: true, check: |_| None, counter: false, histograms, incremental })
}

fn count(w: &Window<'_>) -> f64 {
    (w.points.len() + w.histograms.len()) as f64
}

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "avg_over_time",
        &[M],
        V,
        both(avg, |w, said| histograms::sum(w, said, true), summed(|s| s.moments.map(|m| Some(m.mean())))),
    ),
    function(
        "sum_over_time",
        &[M],
        V,
        both(sum, |w, said| histograms::sum(w, said, false), summed(|s| s.moments.map(|m| Some(m.total())))),
    ),
    function("min_over_time", &[M], V, window(|w| Some(extreme(w, |new, best| new < best).value))),
    function("max_over_time", &[M], V, window(|w| Some(extreme(w, |new, best| new > best).value))),
    function(
        "count_over_time",
        &[M],
        V,
        both(
            |w| Some(count(w)),
            |w, _| Some(SampleValue::Float(count(w))),
            Incremental::Ends(|s| Some(Some(s.count as f64))),
        ),
    ),
    function(
        "stddev_over_time",
        &[M],
        V,
        body(
            |w| Some(variance(w).sqrt()),
            WithHistograms::Ignored,
            summed(|s| s.moments.map(|m| Some(m.variance().sqrt()))),
        ),
    ),
    function(
        "stdvar_over_time",
        &[M],
        V,
        body(|w| Some(variance(w)), WithHistograms::Ignored, summed(|s| s.moments.map(|m| Some(m.variance())))),
    ),
    function("quantile_over_time", &[S, M], V, window(quantile_over_time)),
    function("mad_over_time", &[M], V, window(mad)),
    function(
        "last_over_time",
        &[M],
        V,
        named(
            |w| w.points.last().map(|p| p.value),
            |w, _| outermost(w, true),
            Incremental::Ends(|s| Some(Some(s.last.value))),
        ),
    ),
    function(
        "first_over_time",
        &[M],
        V,
        named(
            |w| w.points.first().map(|p| p.value),
            |w, _| outermost(w, false),
            Incremental::Ends(|s| Some(Some(s.first.value))),
        ),
    ),
    function(
        "present_over_time",
        &[M],
        V,
        both(|_| Some(1.0), |_, _| Some(SampleValue::Float(1.0)), Incremental::Ends(|_| Some(Some(1.0)))),
    ),
    function("absent_over_time", &[M], V, Body::Whole(whole::absent_over_time)),
    function("ts_of_min_over_time", &[M], V, window(|w| seconds(extreme(w, |new, best| new <= best).t_ms))),
    function("ts_of_max_over_time", &[M], V, window(|w| seconds(extreme(w, |new, best| new >= best).t_ms))),
    function(
        "ts_of_last_over_time",
        &[M],
        V,
        both(|w| seconds(times(w)?.1), |w, _| seconds(times(w)?.1).map(SampleValue::Float), Incremental::No),
    ),
    function(
        "ts_of_first_over_time",
        &[M],
        V,
        both(|w| seconds(times(w)?.0), |w, _| seconds(times(w)?.0).map(SampleValue::Float), Incremental::No),
    ),
];

/// The exact sums of a window of decimals.
fn moments(w: &Window<'_>) -> Option<Moments> {
    Moments::of(w.points.iter().map(|p| p.value))
}

fn seconds(t_ms: i64) -> Option<f64> {
    Some(t_ms as f64 / 1000.0)
}

fn avg(w: &Window<'_>) -> Option<f64> {
    if let Some(moments) = moments(w) {
        return Some(moments.mean());
    }
    let mut mean = Mean::default();
    w.points.iter().for_each(|p| mean.add(p.value));
    Some(mean.mean())
}

fn sum(w: &Window<'_>) -> Option<f64> {
    if let Some(moments) = moments(w) {
        return Some(moments.total());
    }
    let mut sum = Sum::default();
    w.points.iter().for_each(|p| sum.add(p.value));
    Some(sum.total())
}

fn variance(w: &Window<'_>) -> f64 {
    if let Some(moments) = moments(w) {
        return moments.variance();
    }
    let mut variance = Variance::default();
    w.points.iter().for_each(|p| variance.add(p.value));
    variance.variance()
}

/// The point that `better` prefers; NaN only where there is nothing else.
fn extreme(w: &Window<'_>, better: fn(f64, f64) -> bool) -> crate::model::Point {
    let mut best = w.points[0];
    for point in &w.points[1..] {
        if better(point.value, best.value) || best.value.is_nan() {
            best = *point;
        }
    }
    best
}

fn values(w: &Window<'_>) -> Vec<f64> {
    w.points.iter().map(|p| p.value).collect()
}

fn quantile_over_time(w: &Window<'_>) -> Option<f64> {
    Some(quantile(w.params[0], &mut values(w)))
}

/// Median of the distances from the median; NaN if any value is.
fn mad(w: &Window<'_>) -> Option<f64> {
    let mut values = values(w);
    if values.iter().any(|v| v.is_nan()) {
        return Some(f64::NAN);
    }
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    Some(quantile(0.5, &mut values))
}
