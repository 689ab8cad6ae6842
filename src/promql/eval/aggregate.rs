//! Aggregations: groups are derived once per set, values run through one pass over the column.

use std::sync::Arc;

use ahash::AHashMap;

use super::column::{ABSENT, Column, SeriesSet, is_absent};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::{AggregateOp, Grouping};
use crate::promql::functions::numeric::{Mean, Sum, go_float, quantile, quantile_warning};
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, Op};

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
                found.push((group, input.is_dropped(i)));
            }
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

    /// The series of each group, in order.
    pub fn members(&self, column: &Column) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.set.len()];
        for (i, _) in column.present() {
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
        match op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                if *op == AggregateOp::LimitRatio && number.abs() > 1.0 {
                    let message = "ratio value should be between -1 and 1, got";
                    let capped = number.signum();
                    let message = format!("{message} {}, capping to {capped}", go_float(number));
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
                let values = groups.members(&column).iter().map(quantile).collect();
                Ok(Column::new(Arc::clone(&groups.set), values))
            }
            _ => Ok(Column::new(Arc::clone(&groups.set), statistics(*op, &column.values, &groups))),
        }
    }
}

/// How often each value occurs in each group; the value becomes a label.
fn count_values(label: &str, column: &Column, groups: &Groups, grouping: &Grouping) -> Column {
    let mut counts: std::collections::BTreeMap<Labels, f64> = std::collections::BTreeMap::new();
    let listed = grouping.labels.iter().any(|l| l == label);
    for (i, value) in column.present() {
        let group = &groups.set.labels[groups.of[i] as usize];
        // The label takes the place of one that was grouped by: groups may fall together.
        let group = if listed { group.filtered(|n| n != label) } else { group.clone() };
        *counts.entry(group.with(label, &go_float(value))).or_insert(0.0) += 1.0;
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
