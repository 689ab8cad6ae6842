//! Functions of histograms, classic and native. The buckets of classic ones are found once per set.

use std::sync::Arc;

use ahash::AHashMap;

use super::column::{ABSENT, Column, SeriesSet, is_absent};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::float::format_float;
use crate::model::{Histogram, Labels, SampleValue};
use crate::promql::functions::buckets::{Bucket, bucket_fraction, bucket_quantile};
use crate::promql::functions::native::{self, NanEffect};
use crate::promql::functions::numeric::quantile_warning;
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, NodeId};
use crate::promql::remarks::{MendedOften, Remark};

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// Which series of a set are buckets of which histogram.
#[derive(Debug)]
pub(crate) struct Histograms {
    /// Histogram and upper bound of each series; `None` for series without a bound that can be read.
    of: Vec<Option<(u32, f64)>>,
    /// The histograms' labels, names removed.
    set: Arc<SeriesSet>,
    /// The same with names.
    raw: Arc<[Labels]>,
    /// Their places.
    index: AHashMap<Labels, u32>,
}

impl Histograms {
    fn new(input: &SeriesSet, delayed: bool) -> Self {
        let mut index: AHashMap<Labels, u32> = AHashMap::new();
        let mut found: Vec<Labels> = Vec::new();
        let place = |labels: &Labels| {
            let bound = labels.get(BOUND)?.parse().ok()?;
            let rest = labels.filtered(|n| n != BOUND);
            let next = found.len() as u32;
            let place = *index.entry(rest.clone()).or_insert(next);
            if place == next {
                found.push(rest);
            }
            Some((place, bound))
        };
        let of = input.labels.iter().map(place).collect();
        let raw: Arc<[Labels]> = found.into();
        let set = Arc::new(SeriesSet::new(Arc::clone(&raw)));
        Self { of, set: SeriesSet::without_names(&set, delayed), raw, index }
    }
}

/// The histograms of a vector: classic ones by their buckets, native ones by their places.
struct Found {
    column: Column,
    classic: Arc<Histograms>,
    /// One list per classic histogram.
    buckets: Vec<Vec<Bucket>>,
    /// Places of native ones that no classic one contradicts.
    native: Vec<usize>,
}

impl Evaluator<'_> {
    /// The histograms of a vector. Of a classic and a native one with the same labels neither counts.
    fn histograms_in(&self, vector: NodeId, node: &Node, at_ms: i64) -> Result<Found, EvalError> {
        let column = self.vector(vector, at_ms)?;
        let span = &self.plan.nodes[vector].span;
        let delayed = self.options.delayed_name_removal;
        let make = || Derived::Histograms(Arc::new(Histograms::new(&column.set, delayed)));
        let classic = match node.cache.get(&column.set, None, delayed, make) {
            Derived::Histograms(histograms) => histograms,
            _ => Arc::new(Histograms::new(&column.set, delayed)),
        };
        let mut buckets = vec![Vec::new(); classic.set.len()];
        for (i, count) in column.present() {
            match classic.of[i] {
                Some((histogram, upper)) => buckets[histogram as usize].push(Bucket { upper, count }),
                None => {
                    let labels = &column.set.labels[i];
                    let (metric, bound) = (labels.metric_name().unwrap_or(""), labels.get(BOUND).unwrap_or(""));
                    self.remark(span, Remark::bad_bucket_label(metric, bound));
                }
            }
        }
        let mut native = Vec::new();
        if column.histograms.is_some() {
            for (i, _) in column.present_histograms() {
                let rest = column.set.labels[i].filtered(|n| n != BOUND);
                let rival = classic.index.get(&rest).map(|c| *c as usize).filter(|c| !buckets[*c].is_empty());
                match rival {
                    None => native.push(i),
                    Some(rival) => {
                        self.remark(span, Remark::mixed_classic(rest.metric_name().unwrap_or("")));
                        buckets[rival].clear();
                    }
                }
            }
        }
        Ok(Found { column, classic, buckets, native })
    }

    fn quantile_of(&self, q: f64, (buckets, metric): (&mut Vec<Bucket>, &str), (vector, at_ms): (NodeId, i64)) -> f64 {
        let (value, mended) = bucket_quantile(q, buckets);
        if let Some(mended) = mended {
            let metric = if self.options.delayed_name_removal { metric } else { "" };
            let key = (self.plan.nodes[vector].span.start, metric.to_owned());
            let once = MendedOften { mended, count: 1, times_ms: (at_ms, at_ms) };
            let mut all = self.mended.borrow_mut();
            all.entry(key).and_modify(|so_far| *so_far = so_far.and(mended, at_ms)).or_insert(once);
        }
        value
    }

    fn native_quantile(&self, q: f64, (h, metric): (&Histogram, &str), vector: NodeId) -> f64 {
        let (value, effect) = native::quantile(q, h);
        let span = &self.plan.nodes[vector].span;
        match effect {
            NanEffect::None => {}
            NanEffect::Nan => self.remark(span, Remark::quantile_nan(metric)),
            NanEffect::Skewed => self.remark(span, Remark::quantile_skewed(metric)),
        }
        value
    }

    /// One value per histogram.
    fn per_histogram(
        &self,
        vector: NodeId,
        node: &Node,
        at_ms: i64,
        (classic, native): (&Classic<'_>, &Native<'_>),
    ) -> Result<NodeValue, EvalError> {
        let Found { column, classic: index, mut buckets, native: places } = self.histograms_in(vector, node, at_ms)?;
        let raw = |i: usize| index.raw[i].metric_name().unwrap_or("");
        let mut value = |(i, b): (usize, &mut Vec<Bucket>)| if b.is_empty() { ABSENT } else { classic(b, raw(i)) };
        let values: Vec<f64> = buckets.iter_mut().enumerate().map(&mut value).collect();
        if places.is_empty() {
            return Column::new(Arc::clone(&index.set), values).unique(&node.span).map(NodeValue::Vector);
        }
        let delayed = self.options.delayed_name_removal;
        let unnamed = SeriesSet::without_names(&column.set, delayed);
        let found = places.iter().filter_map(|i| {
            let metric = column.set.labels[*i].metric_name().unwrap_or("");
            Some((unnamed.labels[*i].clone(), SampleValue::Float(native(column.histogram(*i)?, metric)), true))
        });
        let kept = (0..values.len()).filter(|i| !is_absent(values[*i]));
        let others = kept.map(|i| (index.set.labels[i].clone(), SampleValue::Float(values[i]), true));
        let rows = found.chain(others).collect();
        Column::of_samples(rows, delayed).unique(&node.span).map(NodeValue::Vector)
    }

    fn check_quantile(&self, q: f64, arg: NodeId) {
        if let Some(message) = quantile_warning(q) {
            self.warn(&self.plan.nodes[arg].span, message);
        }
    }

    /// One number per native histogram; numbers are left out.
    fn of_native(&self, node: &Node, at_ms: i64, value: fn(&Histogram) -> f64) -> Result<NodeValue, EvalError> {
        let column = self.vector(self.args(node)[0], at_ms)?;
        let mut values = vec![ABSENT; column.values.len()];
        for (i, histogram) in column.present_histograms() {
            values[i] = value(histogram);
        }
        self.unnamed(Column::new(Arc::clone(&column.set), values), node).map(NodeValue::Vector)
    }
}

type Classic<'a> = dyn Fn(&mut Vec<Bucket>, &str) -> f64 + 'a;
type Native<'a> = dyn Fn(&Histogram, &str) -> f64 + 'a;

pub(crate) fn quantile(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let q = ev.scalar(args[0], at_ms)?;
    ev.check_quantile(q, args[0]);
    let classic = |b: &mut Vec<Bucket>, metric: &str| ev.quantile_of(q, (b, metric), (args[1], at_ms));
    ev.per_histogram(args[1], node, at_ms, (&classic, &|h, metric| ev.native_quantile(q, (h, metric), args[1])))
}

pub(crate) fn fraction(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let (low, high) = (ev.scalar(args[0], at_ms)?, ev.scalar(args[1], at_ms)?);
    let native = |h: &Histogram, metric: &str| {
        let (value, effect) = native::fraction(low, high, h);
        if effect != NanEffect::None {
            ev.remark(&ev.plan.nodes[args[2]].span, Remark::fraction_nan(metric));
        }
        value
    };
    ev.per_histogram(args[2], node, at_ms, (&|buckets, _| bucket_fraction(low, high, buckets), &native))
}

/// Several quantiles at once, told apart by a label.
pub(crate) fn quantiles(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let label = ev.text(args[1])?;
    let qs = ev.scalars(&args[2..], at_ms)?;
    let mut found = ev.histograms_in(args[0], node, at_ms)?;
    let delayed = ev.options.delayed_name_removal;
    let unnamed = SeriesSet::without_names(&found.column.set, delayed);
    let mut rows = Vec::new();
    for (q, arg) in qs.iter().zip(&args[2..]) {
        ev.check_quantile(*q, *arg);
        let mut push = |labels: &Labels, value: f64| {
            rows.push((labels.with(&label, &open_metrics(*q)), SampleValue::Float(value), true));
        };
        for i in &found.native {
            let metric = found.column.set.labels[*i].metric_name().unwrap_or("");
            let Some(histogram) = found.column.histogram(*i) else { continue };
            push(&unnamed.labels[*i], ev.native_quantile(*q, (histogram, metric), args[0]));
        }
        for (i, buckets) in found.buckets.iter_mut().enumerate().filter(|(_, b)| !b.is_empty()) {
            let metric = found.classic.raw[i].metric_name().unwrap_or("");
            let value = ev.quantile_of(*q, (buckets, metric), (args[0], at_ms));
            push(&found.classic.set.labels[i], value);
        }
    }
    Column::of_samples(rows, delayed).unique(&node.span).map(NodeValue::Vector)
}

pub(crate) fn count(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    ev.of_native(node, at_ms, |h| h.count)
}

pub(crate) fn sum(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    ev.of_native(node, at_ms, |h| h.sum)
}

pub(crate) fn mean(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    ev.of_native(node, at_ms, |h| h.sum / h.count)
}

pub(crate) fn deviation(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    ev.of_native(node, at_ms, |h| native::variance(h).sqrt())
}

pub(crate) fn variance(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    ev.of_native(node, at_ms, native::variance)
}

/// A float as OpenMetrics writes it: always with a point or an exponent.
fn open_metrics(value: f64) -> String {
    let text = format_float(value, 'f', None);
    if value.is_finite() && !text.contains('.') { format!("{text}.0") } else { text }
}
