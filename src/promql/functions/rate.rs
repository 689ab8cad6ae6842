//! Slopes: `rate` and its kin, regression, smoothing, counting of changes.
//!
//! Extrapolation and corrections follow Prometheus 3 (promql/functions.go: extrapolatedRate, extendedRate).

use super::numeric::Sum;
use super::{Body, Function, M, S, Said, V, Window, WindowBody, WithHistograms, function, histograms};
use crate::model::{Point, SampleValue};
use crate::promql::ast::Edges;
use crate::promql::slide::{Incremental, Slid};

type Value = fn(&Window<'_>) -> Option<f64>;

const fn window(value: Value) -> Body {
    let (histograms, incremental) = (WithHistograms::Ignored, Incremental::No);
    Body::Window(WindowBody { value, keeps_name: false, check: |_| None, counter: false, histograms, incremental })
}

type Own = fn(&Window<'_>, &mut Said) -> Option<SampleValue>;

const fn both(value: Value, own: Own, counter: bool, incremental: Incremental) -> Body {
    let histograms = WithHistograms::Own(own);
    Body::Window(WindowBody { value, keeps_name: false, check: |_| None, counter, histograms, incremental })
}

const NO: Incremental = Incremental::No;

const SMOOTHING: Body = Body::Window(WindowBody {
    value: smoothing,
    keeps_name: false,
    check: |params| {
        let outside = |v: f64| v <= 0.0 || v >= 1.0;
        match params {
            [sf, _] if outside(*sf) => Some(format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {sf:.6}")),
            [_, tf] if outside(*tf) => Some(format!("invalid trend factor. Expected: 0 < tf < 1, got: {tf:.6}")),
            _ => None,
        }
    },
    counter: false,
    histograms: WithHistograms::Ignored,
    incremental: NO,
});

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "rate",
        &[M],
        V,
        both(
            |w| slope(w, true, true),
            |w, s| histograms::slope(w, s, true, true),
            true,
            Incremental::Ends(|s| steady(s, true, true)),
        ),
    ),
    function(
        "increase",
        &[M],
        V,
        both(
            |w| slope(w, true, false),
            |w, s| histograms::slope(w, s, true, false),
            true,
            Incremental::Ends(|s| steady(s, true, false)),
        ),
    ),
    function(
        "delta",
        &[M],
        V,
        both(
            |w| slope(w, false, false),
            |w, s| histograms::slope(w, s, false, false),
            false,
            Incremental::Ends(|s| steady(s, false, false)),
        ),
    ),
    function("irate", &[M], V, both(|w| last_two(w, true), |w, s| histograms::last_two(w, s, true), false, NO)),
    function("idelta", &[M], V, both(|w| last_two(w, false), |w, s| histograms::last_two(w, s, false), false, NO)),
    function("deriv", &[M], V, window(|w| regression(w, w.points[0].t_ms).map(|(slope, _)| slope))),
    function("predict_linear", &[M, S], V, window(predict_linear)),
    function(
        "changes",
        &[M],
        V,
        both(|w| count(w, |a, b| a != b && !(a.is_nan() && b.is_nan())), |w, _| histograms::changes(w), false, NO),
    ),
    function(
        "resets",
        &[M],
        V,
        both(resets, |w, _| histograms::resets(w), false, Incremental::Ends(|s| Some(Some(f64::from(s.resets))))),
    ),
    function("double_exponential_smoothing", &[M, S, S], V, SMOOTHING),
    // The name before Prometheus 3.
    function("holt_winters", &[M, S, S], V, SMOOTHING),
];

fn slope(w: &Window<'_>, is_counter: bool, per_second: bool) -> Option<f64> {
    if w.edges != Edges::Plain {
        return extended(w, is_counter, per_second);
    }
    let (first, last) = (w.points.first()?, w.points.last()?);
    if w.points.len() < 2 {
        return None;
    }
    let mut result = last.value - first.value;
    if is_counter {
        let mut previous = first.value;
        for point in &w.points[1..] {
            if point.value < previous {
                result += previous;
            }
            previous = point.value;
        }
        let known = w.points.windows(2).filter(|_| !w.starts.is_empty());
        for pair in known.filter(|p| p[1].value >= p[0].value && w.is_start_reset(p[0].t_ms, p[1].t_ms)) {
            result += pair[0].value;
        }
    }
    let zero = (is_counter && result > 0.0 && first.value >= 0.0).then(|| first.value / result);
    let ends = Extrapolation { first_ms: first.t_ms, last_ms: last.t_ms, count: w.points.len(), zero };
    Some(result * ends.factor((w.from_ms, w.to_ms), per_second))
}

/// As [`slope`], of a window that advances, in which the counter was never reset.
fn steady(s: &Slid<'_>, is_counter: bool, per_second: bool) -> Option<Option<f64>> {
    if is_counter && s.resets > 0 {
        return None;
    }
    if s.count < 2 {
        return Some(None);
    }
    let (first, result) = (s.first, s.last.value - s.first.value);
    let zero = (is_counter && result > 0.0 && first.value >= 0.0).then(|| first.value / result);
    let ends = Extrapolation { first_ms: first.t_ms, last_ms: s.last.t_ms, count: s.count, zero };
    Some(Some(result * ends.factor((s.from_ms, s.to_ms), per_second)))
}

/// The first and the last sample of a window, from which it is extrapolated to the window's ends.
pub(super) struct Extrapolation {
    pub first_ms: i64,
    pub last_ms: i64,
    pub count: usize,
    /// Of a counter: its first value divided by what it gained, which tells when it would have been 0.
    pub zero: Option<f64>,
}

impl Extrapolation {
    /// By what a gain between the two samples is to be multiplied.
    pub fn factor(&self, (from_ms, to_ms): (i64, i64), per_second: bool) -> f64 {
        let mut to_start = (self.first_ms - from_ms) as f64 / 1000.0;
        let mut to_end = (to_ms - self.last_ms) as f64 / 1000.0;
        let sampled = (self.last_ms - self.first_ms) as f64 / 1000.0;
        let between = sampled / (self.count - 1) as f64;
        // Further away than this the series is taken to begin or end inside the window.
        let threshold = between * 1.1;
        if to_start >= threshold {
            to_start = between / 2.0;
        }
        if let Some(zero) = self.zero {
            // A counter cannot have been below zero.
            to_start = to_start.min(sampled * zero);
        }
        if to_end >= threshold {
            to_end = between / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        if per_second { factor / ((to_ms - from_ms) as f64 / 1000.0) } else { factor }
    }
}

fn interpolate(a: Point, b: Point, t_ms: i64, is_counter: bool) -> f64 {
    // After a reset the counter started from 0.
    let start = if is_counter && b.value < a.value { 0.0 } else { a.value };
    start + (b.value - start) * (t_ms - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64
}

/// First and last point that count for an anchored or smoothed window, as indices; `None` if there is nothing in it.
fn extended_bounds(w: &Window<'_>) -> Option<(usize, usize)> {
    extended_places(w, w.points.len(), &|i| w.points[i].t_ms)
}

/// The same for any list of samples: how many there are, and the time of each.
pub(super) fn extended_places(w: &Window<'_>, count: usize, time: &dyn Fn(usize) -> i64) -> Option<(usize, usize)> {
    let mut last = count.checked_sub(1)?;
    let first = times_below(last, &|i| time(i) <= w.from_ms).saturating_sub(1);
    if w.edges == Edges::Smoothed {
        last = times_below(last, &|i| time(i) < w.to_ms);
        if time(first) > w.to_ms {
            return None;
        }
    }
    (time(last) > w.from_ms).then_some((first, last))
}

/// How many of the first `count` places, which ascend by time, `below` holds for.
fn times_below(count: usize, below: &dyn Fn(usize) -> bool) -> usize {
    let (mut begin, mut end) = (0, count);
    while begin < end {
        let middle = begin.midpoint(end);
        if below(middle) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    begin
}

/// The points of an anchored or smoothed window with values for both of its ends.
pub(crate) fn extend(w: &Window<'_>) -> Vec<Point> {
    let Some((first, last)) = extended_bounds(w) else { return Vec::new() };
    let (left, right) = ends(w, (first, last), false);
    let inside = w.points.iter().filter(|p| p.t_ms > w.from_ms && p.t_ms < w.to_ms);
    let start = std::iter::once(Point { t_ms: w.from_ms, value: left });
    start.chain(inside.copied()).chain(std::iter::once(Point { t_ms: w.to_ms, value: right })).collect()
}

/// The values at both ends of an extended window.
fn ends(w: &Window<'_>, (first, last): (usize, usize), is_counter: bool) -> (f64, f64) {
    let points = w.points;
    let smoothed = w.edges == Edges::Smoothed;
    let left = match points.get(first + 1) {
        Some(next) if smoothed && points[first].t_ms < w.from_ms => {
            interpolate(points[first], *next, w.from_ms, is_counter)
        }
        _ => points[first].value,
    };
    let right = if smoothed && last > 0 && points[last].t_ms > w.to_ms {
        interpolate(points[last - 1], points[last], w.to_ms, is_counter)
    } else {
        points[last].value
    };
    (left, right)
}

fn extended(w: &Window<'_>, is_counter: bool, per_second: bool) -> Option<f64> {
    let points = w.points;
    let (mut first, mut last) = extended_bounds(w)?;
    let (left, right) = ends(w, (first, last), is_counter);
    let mut result = right - left;
    if is_counter {
        // The ends stand for the samples on or beyond them; resets are counted between.
        first += usize::from(points[first].t_ms <= w.from_ms);
        let end = last + usize::from(points[last].t_ms < w.to_ms);
        last = end.max(first);
        let mut previous = left;
        for value in points[first..last].iter().map(|p| p.value).chain(std::iter::once(right)) {
            if value < previous {
                result += previous;
            }
            previous = value;
        }
    }
    Some(if per_second { result / w.seconds() } else { result })
}

fn last_two(w: &Window<'_>, is_rate: bool) -> Option<f64> {
    let [.., previous, last] = w.points else { return None };
    let interval = last.t_ms - previous.t_ms;
    if interval == 0 {
        return None;
    }
    if !is_rate {
        return Some(last.value - previous.value);
    }
    // After a reset the counter counted from 0.
    let restarted = last.value < previous.value || w.is_start_reset(previous.t_ms, last.t_ms);
    let gained = if restarted { last.value } else { last.value - previous.value };
    Some(gained / (interval as f64 / 1000.0))
}

/// Least squares: slope per second and value at `origin_ms`.
fn regression(w: &Window<'_>, origin_ms: i64) -> Option<(f64, f64)> {
    let first = w.points[0].value;
    if w.points.len() < 2 {
        return None;
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Sum::default(); 4];
    let mut constant = true;
    for point in w.points {
        constant &= point.value == first;
        let x = (point.t_ms - origin_ms) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(point.value);
        xy_sum.add(x * point.value);
        xx_sum.add(x * x);
    }
    if constant {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let n = w.points.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = xx_sum.total() - x * x / n;
    let slope = covariance / variance;
    Some((slope, y / n - slope * x / n))
}

fn predict_linear(w: &Window<'_>) -> Option<f64> {
    let (slope, intercept) = regression(w, w.at_ms)?;
    Some(slope * w.params[0] + intercept)
}

/// Where counting begins: of an anchored window at the sample before it. `None` if nothing is in the window.
pub(super) fn first_counted(w: &Window<'_>) -> Option<usize> {
    if w.edges != Edges::Anchored {
        return Some(0);
    }
    let inside = w.points.partition_point(|p| p.t_ms <= w.from_ms);
    (inside < w.points.len()).then(|| inside.saturating_sub(1))
}

fn count(w: &Window<'_>, counts: fn(f64, f64) -> bool) -> Option<f64> {
    let pairs = w.points[first_counted(w)?..].windows(2);
    Some(pairs.filter(|pair| counts(pair[0].value, pair[1].value)).count() as f64)
}

fn resets(w: &Window<'_>) -> Option<f64> {
    let pairs = w.points[first_counted(w)?..].windows(2);
    let is_reset = |pair: &&[Point]| pair[1].value < pair[0].value || w.is_start_reset(pair[0].t_ms, pair[1].t_ms);
    Some(pairs.filter(is_reset).count() as f64)
}

/// Double exponential smoothing; the two parameters are the smoothing and the trend factor.
fn smoothing(w: &Window<'_>) -> Option<f64> {
    let [smoothing, trend] = w.params else { return None };
    let [first, second, ..] = w.points else { return None };
    let (mut before, mut level, mut slope) = (0.0, first.value, second.value - first.value);
    for (i, point) in w.points[1..].iter().enumerate() {
        if i > 0 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * point.value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Some(level)
}
