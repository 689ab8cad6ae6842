//! `topk`, `bottomk`, `limitk`, `limit_ratio`: choose series and keep their labels.

use std::sync::Arc;

use super::aggregate::Groups;
use super::column::{ABSENT, Column};
use crate::model::Labels;
use crate::model::histogram::Shortest;
use crate::promql::ast::AggregateOp;

/// What is wrong with the parameter, in Prometheus's words.
pub(super) fn parameter_problem(op: AggregateOp, parameter: f64) -> Option<String> {
    match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
            if parameter.is_nan() {
                return Some("Parameter value is NaN".to_owned());
            }
            // One that is far too small asks for nothing, as 0 does.
            let overflow = parameter >= 9_223_372_036_854_775_807.0;
            overflow.then(|| format!("Scalar value {} overflows int64", Shortest(parameter)))
        }
        AggregateOp::LimitRatio if parameter.is_nan() => Some("Ratio value is NaN".to_owned()),
        _ => None,
    }
}

/// Keeps the chosen series of each group.
pub(super) fn select(op: AggregateOp, parameter: f64, column: Column, groups: &Groups) -> Column {
    let mut kept: Vec<u32> = Vec::new();
    let most = if parameter < 1.0 { 0 } else { parameter as usize };
    let both = matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio);
    for mut members in groups.members(&column, both) {
        match op {
            AggregateOp::LimitRatio => members.retain(|i| is_sampled(&column.set.labels[*i as usize], parameter)),
            AggregateOp::Limitk => members.truncate(most),
            _ => {
                let value = |i: &u32| column.values[*i as usize];
                let top = op == AggregateOp::Topk;
                members.sort_by(|a, b| {
                    let (a, b) = (value(a), value(b));
                    // NaN comes last either way.
                    let by_value = if top { b.total_cmp(&a) } else { a.total_cmp(&b) };
                    a.is_nan().cmp(&b.is_nan()).then(if a == b { std::cmp::Ordering::Equal } else { by_value })
                });
                members.truncate(most);
            }
        }
        kept.extend(members);
    }
    let mut values = vec![ABSENT; column.values.len()];
    kept.iter().for_each(|i| values[*i as usize] = column.values[*i as usize]);
    let mut chosen = Column::new(Arc::clone(&column.set), values);
    if both && column.histograms.is_some() {
        let mut histograms = vec![None; column.values.len()];
        kept.iter().for_each(|i| histograms[*i as usize] = column.histogram(*i as usize).cloned());
        chosen = chosen.with(histograms);
    }
    Column { order: Some(kept.into()), ..chosen }
}

/// Whether a series belongs to the share asked for. The same series belong to it at all times, and a negative ratio
/// gives exactly those that the positive one leaves.
fn is_sampled(labels: &Labels, ratio: f64) -> bool {
    let place = super::sampling::place(labels);
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}
