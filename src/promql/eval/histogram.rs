//! Classic histograms: the buckets of each histogram are found once per set.

use std::sync::Arc;

use ahash::AHashMap;

use super::column::{ABSENT, Column, SeriesSet};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::Labels;
use crate::promql::functions::buckets::{Bucket, bucket_fraction, bucket_quantile};
use crate::promql::functions::numeric::quantile_warning;
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, NodeId};

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// Which series of a set are buckets of which histogram.
#[derive(Debug)]
pub(crate) struct Histograms {
    /// Histogram and upper bound of each series; `None` for series without a bound that can be read.
    of: Vec<Option<(u32, f64)>>,
    /// The histograms' labels, names removed.
    set: Arc<SeriesSet>,
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
        let set = Arc::new(SeriesSet::new(found.into()));
        Self { of, set: SeriesSet::without_names(&set, delayed) }
    }
}

impl Evaluator<'_> {
    /// The buckets of each histogram in a vector.
    fn buckets(
        &self,
        vector: NodeId,
        node: &Node,
        at_ms: i64,
    ) -> Result<(Arc<Histograms>, Vec<Vec<Bucket>>), EvalError> {
        let column = self.vector(vector, at_ms)?;
        let delayed = self.options.delayed_name_removal;
        let make = || Derived::Histograms(Arc::new(Histograms::new(&column.set, delayed)));
        let histograms = match node.cache.get(&column.set, None, delayed, make) {
            Derived::Histograms(histograms) => histograms,
            _ => Arc::new(Histograms::new(&column.set, delayed)),
        };
        let mut buckets = vec![Vec::new(); histograms.set.len()];
        for (i, count) in column.present() {
            match histograms.of[i] {
                Some((histogram, upper)) => buckets[histogram as usize].push(Bucket { upper, count }),
                None => {
                    let bound = column.set.labels[i].get(BOUND).unwrap_or("");
                    let message = format!("bucket label \"le\" is missing or has a malformed value of {bound:?}");
                    self.warn(&self.plan.nodes[vector].span, message);
                }
            }
        }
        Ok((histograms, buckets))
    }

    fn quantile_of(&self, q: f64, buckets: &mut Vec<Bucket>, vector: NodeId) -> f64 {
        let (value, forced) = bucket_quantile(q, buckets);
        if forced {
            let message = "input to histogram_quantile needed to be fixed for monotonicity (see \
                           https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
            self.inform(&self.plan.nodes[vector].span, message.to_owned());
        }
        value
    }

    /// One value per histogram that has buckets.
    fn per_histogram(
        &self,
        vector: NodeId,
        node: &Node,
        at_ms: i64,
        value: impl Fn(&mut Vec<Bucket>) -> f64,
    ) -> Result<NodeValue, EvalError> {
        let (histograms, mut buckets) = self.buckets(vector, node, at_ms)?;
        let values = buckets.iter_mut().map(|b| if b.is_empty() { ABSENT } else { value(b) }).collect();
        Column::new(Arc::clone(&histograms.set), values).unique(&node.span).map(NodeValue::Vector)
    }

    fn check_quantile(&self, q: f64, arg: NodeId) {
        if let Some(message) = quantile_warning(q) {
            self.warn(&self.plan.nodes[arg].span, message);
        }
    }
}

pub(crate) fn quantile(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let q = ev.scalar(args[0], at_ms)?;
    ev.check_quantile(q, args[0]);
    ev.per_histogram(args[1], node, at_ms, |buckets| ev.quantile_of(q, buckets, args[1]))
}

pub(crate) fn fraction(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let (low, high) = (ev.scalar(args[0], at_ms)?, ev.scalar(args[1], at_ms)?);
    ev.per_histogram(args[2], node, at_ms, |buckets| bucket_fraction(low, high, buckets))
}

/// Several quantiles at once, told apart by a label.
pub(crate) fn quantiles(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let label = ev.text(args[1])?;
    let qs = ev.scalars(&args[2..], at_ms)?;
    let (histograms, buckets) = ev.buckets(args[0], node, at_ms)?;
    let mut rows = Vec::new();
    let mut dropped = Vec::new();
    for (q, arg) in qs.iter().zip(&args[2..]) {
        ev.check_quantile(*q, *arg);
        for (i, buckets) in buckets.iter().enumerate().filter(|(_, b)| !b.is_empty()) {
            let value = ev.quantile_of(*q, &mut buckets.clone(), args[0]);
            rows.push((histograms.set.labels[i].with(&label, &open_metrics(*q)), value));
            dropped.push(histograms.set.is_dropped(i));
        }
    }
    let (labels, values) = rows.into_iter().unzip();
    let set = SeriesSet::derived(labels, histograms.set.dropped.is_some().then(|| dropped.into()));
    Column::new(Arc::new(set), values).unique(&node.span).map(NodeValue::Vector)
}

/// A float as OpenMetrics writes it: always with a point or an exponent.
fn open_metrics(value: f64) -> String {
    let text = crate::promql::functions::numeric::go_float(value);
    if value.is_finite() && !text.contains('.') { format!("{text}.0") } else { text }
}
