//! Aggregations: groups are derived once per set, values run through one pass over the column.

use std::ops::Range;
use std::sync::Arc;

use ahash::AHashMap;

use super::column::{ABSENT, Column, SeriesSet, is_absent};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::float::format_float;
use crate::model::histogram::{HistogramSum, ResetHint, Shortest};
use crate::model::labels::METRIC_NAME;
use crate::model::{Histogram, Labels, SampleValue};
use crate::promql::ast::{AggregateOp, Grouping};
use crate::promql::functions::numeric::{Mean, Sum, quantile, quantile_warning};
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, NodeId, Op};
use crate::promql::remarks::{Operation, Remark};

/// The groups of a set.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Group of each series.
    pub of: Vec<u32>,
    /// The groups' labels, sorted.
    pub set: Arc<SeriesSet>,
}

impl Groups {
    fn new(input: &SeriesSet, grouping: &Grouping) -> Self {
        let listed = |n: &str| grouping.labels.iter().any(|l| l == n);
        let mut index: AHashMap<Labels, u32> = AHashMap::new();
        let mut found: Vec<(Labels, bool)> = Vec::new();
        let mut of: Vec<u32> = Vec::with_capacity(input.len());
        for (i, labels) in input.labels.iter().enumerate() {
            let group = if grouping.without {
                labels.filtered(|n| n != METRIC_NAME && !listed(n))
            } else {
                labels.filtered(listed)
            };
            let next = found.len() as u32;
            let place = *index.entry(group.clone()).or_insert(next);
            if place == next {
                found.push((group, false));
            }
            found[place as usize].1 |= input.is_dropped(i);
            of.push(place);
        }
        let mut order: Vec<u32> = (0..found.len() as u32).collect();
        order.sort_by(|a, b| found[*a as usize].0.cmp(&found[*b as usize].0));
        let mut rank = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            rank[*old as usize] = new as u32;
        }
        of.iter_mut().for_each(|g| *g = rank[*g as usize]);
        let labels = order.iter().map(|i| found[*i as usize].0.clone()).collect();
        let any = input.dropped.is_some();
        let dropped = any.then(|| order.iter().map(|i| found[*i as usize].1).collect());
        Self { of, set: Arc::new(SeriesSet { dropped, ..SeriesSet::new(labels) }) }
    }

    /// The series of each group, in order: those with a number, or those with a histogram too.
    pub fn members(&self, column: &Column, both: bool) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.set.len()];
        let counts = |i: &usize| both || !is_absent(column.values[*i]);
        for i in column.places().filter(counts) {
            members[self.of[i] as usize].push(i as u32);
        }
        members
    }
}

/// The running value of a group of plain statistics.
#[derive(Clone, Copy)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let Op::Aggregate { op, parameter, expr, grouping } = &node.op else { return Ok(Column::empty()) };
        let parameter_span = parameter.map_or(&node.span, |p| &self.plan.nodes[p].span);
        let parameter = parameter.map(|p| self.node(p, at_ms)).transpose()?;
        let number = match &parameter {
            Some(NodeValue::Scalar(n)) => *n,
            _ => f64::NAN,
        };
        if let Some(problem) = super::rank::parameter_problem(*op, number) {
            return Err(EvalError::parameter(parameter_span, problem));
        }
        let column = self.vector(*expr, at_ms)?;
        let delayed = self.options.delayed_name_removal;
        let make = || Derived::Groups(Arc::new(Groups::new(&column.set, grouping)));
        let Derived::Groups(groups) = node.cache.get(&column.set, None, delayed, make) else {
            return Ok(Column::empty());
        };
        if column.histograms.is_some()
            && let Some(result) = self.histograms_aggregated(*op, &column, &groups, (node, *expr))
        {
            return Ok(result);
        }
        match op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                if *op == AggregateOp::LimitRatio && number.abs() > 1.0 {
                    let message = "ratio value should be between -1 and 1, got";
                    let capped = number.signum();
                    let message = format!("{message} {}, capping to {capped}", Shortest(number));
                    self.warn(parameter_span, message);
                }
                Ok(super::rank::select(*op, number, column, &groups))
            }
            AggregateOp::CountValues => match parameter {
                Some(NodeValue::Text(label)) if !label.is_empty() => {
                    Ok(count_values(&label, &column, &groups, grouping))
                }
                Some(_) => Err(EvalError::parameter(parameter_span, "invalid label name \"\"")),
                _ => Ok(Column::empty()),
            },
            AggregateOp::Quantile => {
                if let Some(message) = quantile_warning(number) {
                    self.warn(parameter_span, message);
                }
                let quantile = |members: &Vec<u32>| {
                    let mut values: Vec<f64> = members.iter().map(|i| column.values[*i as usize]).collect();
                    if values.is_empty() { ABSENT } else { quantile(number, &mut values) }
                };
                let values = groups.members(&column, false).iter().map(quantile).collect();
                Ok(Column::new(Arc::clone(&groups.set), values))
            }
            _ => Ok(Column::new(Arc::clone(&groups.set), statistics(*op, &column.values, &groups))),
        }
    }
}

/// The histograms of a group added up so far.
#[derive(Default)]
struct HistogramGroup {
    sum: Option<HistogramSum>,
    incompatible: bool,
    /// Whether one said that its counter was reset, and whether one said that it was not.
    hints: (bool, bool),
}

impl HistogramGroup {
    fn add(&mut self, histogram: &Histogram, is_mean: bool) -> Option<Remark> {
        self.hints.0 |= histogram.reset_hint == ResetHint::Reset;
        self.hints.1 |= histogram.reset_hint == ResetHint::NotReset;
        let Some(sum) = &mut self.sum else {
            self.sum = Some(HistogramSum::new(histogram));
            return None;
        };
        match if is_mean { sum.add_to_mean(histogram) } else { sum.add(histogram) } {
            Ok(merged) => merged.reconciled.then(|| Remark::reconciled_bounds(Operation::Aggregation)),
            Err(_) => {
                self.incompatible = true;
                None
            }
        }
    }
}

impl Evaluator<'_> {
    /// An aggregation of a vector that holds histograms; `None` where it works as it does on numbers.
    fn histograms_aggregated(
        &self,
        op: AggregateOp,
        column: &Column,
        groups: &Groups,
        (node, expr): (&Node, NodeId),
    ) -> Option<Column> {
        let inner = &self.plan.nodes[expr].span;
        match op {
            AggregateOp::Sum | AggregateOp::Avg => Some(self.histogram_sums(op, column, groups, inner)),
            AggregateOp::Count | AggregateOp::Group => {
                let present = |i: usize| if column.is_present(i) { 1.0 } else { ABSENT };
                let values: Vec<f64> = (0..column.values.len()).map(present).collect();
                Some(Column::new(Arc::clone(&groups.set), statistics(op, &values, groups)))
            }
            AggregateOp::Limitk | AggregateOp::LimitRatio | AggregateOp::CountValues => None,
            AggregateOp::Topk | AggregateOp::Bottomk => {
                self.remark(&node.span, Remark::ignored_in_aggregation(op.as_str()));
                None
            }
            _ => {
                self.remark(inner, Remark::ignored_in_aggregation(op.as_str()));
                None
            }
        }
    }

    /// Sums or means: numbers and histograms of one group cannot be added.
    fn histogram_sums(&self, op: AggregateOp, column: &Column, groups: &Groups, inner: &Range<usize>) -> Column {
        let mut values = statistics(op, &column.values, groups);
        let mut sums: Vec<HistogramGroup> = (0..groups.set.len()).map(|_| HistogramGroup::default()).collect();
        for (i, histogram) in column.present_histograms() {
            let group = &mut sums[groups.of[i] as usize];
            if group.incompatible {
                continue;
            }
            if let Some(remark) = group.add(histogram, op == AggregateOp::Avg) {
                self.remark(inner, remark);
            }
            if group.incompatible {
                let metric = column.set.labels[i].metric_name().unwrap_or("");
                self.remark(inner, Remark::mixed_schemas(metric));
            }
        }
        let mut histograms = vec![None; groups.set.len()];
        for ((group, value), out) in sums.into_iter().zip(&mut values).zip(&mut histograms) {
            let Some(sum) = group.sum else { continue };
            if !is_absent(*value) {
                *value = ABSENT;
                self.remark(inner, Remark::mixed_aggregation());
            } else if !group.incompatible {
                if group.hints == (true, true) {
                    self.remark(inner, Remark::colliding_resets(Operation::Aggregation));
                }
                let mut made = if op == AggregateOp::Avg { sum.mean() } else { sum.total() };
                made.compact();
                *out = Some(Arc::new(made));
            }
        }
        Column::mixed(Arc::clone(&groups.set), values, histograms)
    }
}

/// How often each value occurs in each group; the value becomes a label.
fn count_values(label: &str, column: &Column, groups: &Groups, grouping: &Grouping) -> Column {
    let mut counts: std::collections::BTreeMap<Labels, f64> = std::collections::BTreeMap::new();
    let listed = grouping.labels.iter().any(|l| l == label);
    for i in column.places() {
        let value = match column.sample(i) {
            Some(SampleValue::Float(value)) => format_float(value, 'f', None),
            Some(SampleValue::Histogram(histogram)) => histogram.to_string(),
            None => continue,
        };
        let group = &groups.set.labels[groups.of[i] as usize];
        // The label takes the place of one that was grouped by: groups may fall together.
        let group = if listed { group.filtered(|n| n != label) } else { group.clone() };
        *counts.entry(group.with(label, &value)).or_insert(0.0) += 1.0;
    }
    Column::of(counts.into_iter().collect())
}

/// One value per group; groups without any are [`ABSENT`].
fn statistics(op: AggregateOp, values: &[f64], groups: &Groups) -> Vec<f64> {
    let present = || values.iter().zip(&groups.of).filter(|(v, _)| !is_absent(**v)).map(|(v, g)| (*v, *g as usize));
    let size = groups.set.len();
    let mut seen = vec![false; size];
    present().for_each(|(_, g)| seen[g] = true);
    let mut out = match op {
        AggregateOp::Sum => {
            let mut sums = vec![Sum::default(); size];
            present().for_each(|(v, g)| sums[g].add(v));
            sums.into_iter().map(Sum::total).collect()
        }
        AggregateOp::Avg => {
            let mut means = vec![Mean::default(); size];
            present().for_each(|(v, g)| means[g].add(v));
            means.into_iter().map(Mean::mean).collect()
        }
        AggregateOp::Min => fold(size, present(), |best, v| v < best || best.is_nan()),
        AggregateOp::Max => fold(size, present(), |best, v| v > best || best.is_nan()),
        AggregateOp::Count => {
            let mut counts = vec![0.0; size];
            present().for_each(|(_, g)| counts[g] += 1.0);
            counts
        }
        AggregateOp::Stddev => spread(size, present()).into_iter().map(f64::sqrt).collect(),
        AggregateOp::Stdvar => spread(size, present()),
        _ => vec![1.0; size],
    };
    for (value, seen) in out.iter_mut().zip(&seen) {
        if !seen {
            *value = ABSENT;
        }
    }
    out
}

fn fold(size: usize, values: impl Iterator<Item = (f64, usize)>, replaces: fn(f64, f64) -> bool) -> Vec<f64> {
    let mut best = vec![f64::NAN; size];
    for (value, group) in values {
        if replaces(best[group], value) {
            best[group] = value;
        }
    }
    best
}

/// Population variance (Welford); NaN as soon as one value is not finite.
fn spread(size: usize, values: impl Iterator<Item = (f64, usize)>) -> Vec<f64> {
    let mut groups = vec![Spread { count: 0.0, mean: 0.0, squares: 0.0 }; size];
    for (value, group) in values {
        let s = &mut groups[group];
        s.count += 1.0;
        let delta = value - s.mean;
        s.mean += delta / s.count;
        s.squares += delta * (value - s.mean);
    }
    groups.into_iter().map(|s| s.squares / s.count).collect()
}
