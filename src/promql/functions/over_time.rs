//! `…_over_time`: statistics of the points in a window.

use super::exact::Moments;
use super::numeric::{Mean, Sum, Variance, quantile};
use super::{Body, Function, M, S, V, Window, WindowBody, function};
use crate::promql::eval::whole;
use crate::promql::slide::{Incremental, Slid};

type Value = fn(&Window<'_>) -> Option<f64>;

const fn window(value: Value) -> Body {
    following(value, Incremental::No)
}

const fn following(value: Value, incremental: Incremental) -> Body {
    Body::Window(WindowBody { value, keeps_name: false, check: |_| None, counter: false, incremental })
}

/// A function of the sums of a window.
const fn summing(value: Value, of: fn(&Slid<'_>) -> Option<Option<f64>>) -> Body {
    following(value, Incremental::Moments(of))
}

const fn named(value: Value, incremental: Incremental) -> Body {
    Body::Window(WindowBody { value, keeps_name: true, check: |_| None, counter: false, incremental })
}

pub(super) static FUNCTIONS: &[Function] = &[
    function("avg_over_time", &[M], V, summing(avg, |s| s.moments.map(|m| Some(m.mean())))),
    function("sum_over_time", &[M], V, summing(sum, |s| s.moments.map(|m| Some(m.total())))),
    function("min_over_time", &[M], V, window(|w| Some(extreme(w, |new, best| new < best).value))),
    function("max_over_time", &[M], V, window(|w| Some(extreme(w, |new, best| new > best).value))),
    function(
        "count_over_time",
        &[M],
        V,
        following(|w| Some(w.points.len() as f64), Incremental::Ends(|s| Some(Some(s.count as f64)))),
    ),
    function(
        "stddev_over_time",
        &[M],
        V,
        summing(|w| Some(variance(w).sqrt()), |s| s.moments.map(|m| Some(m.variance().sqrt()))),
    ),
    function("stdvar_over_time", &[M], V, summing(|w| Some(variance(w)), |s| s.moments.map(|m| Some(m.variance())))),
    function("quantile_over_time", &[S, M], V, window(quantile_over_time)),
    function("mad_over_time", &[M], V, window(mad)),
    function("last_over_time", &[M], V, named(|w| w.points.last().map(|p| p.value), LAST)),
    function("first_over_time", &[M], V, named(|w| w.points.first().map(|p| p.value), FIRST)),
    function("present_over_time", &[M], V, following(|_| Some(1.0), Incremental::Ends(|_| Some(Some(1.0))))),
    function("absent_over_time", &[M], V, Body::Whole(whole::absent_over_time)),
    function("ts_of_min_over_time", &[M], V, window(|w| seconds(extreme(w, |new, best| new <= best).t_ms))),
    function("ts_of_max_over_time", &[M], V, window(|w| seconds(extreme(w, |new, best| new >= best).t_ms))),
    function("ts_of_last_over_time", &[M], V, window(|w| seconds(w.points.last()?.t_ms))),
    function("ts_of_first_over_time", &[M], V, window(|w| seconds(w.points.first()?.t_ms))),
];

const FIRST: Incremental = Incremental::Ends(|s| Some(Some(s.first.value)));
const LAST: Incremental = Incremental::Ends(|s| Some(Some(s.last.value)));

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
