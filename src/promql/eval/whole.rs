//! Functions that look at a vector as a whole: conversion, absence, timestamps, clamping.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::column::{ABSENT, Column, is_absent};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::functions::numeric::{max, min};
use crate::promql::matcher::MatchOp;
use crate::promql::plan::{Node, NodeId, Op};

/// The one value of a vector of one series, NaN otherwise.
pub(crate) fn scalar(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let column = ev.vector(ev.args(node)[0], at_ms)?;
    let mut present = column.present();
    let (first, second) = (present.next(), present.next());
    Ok(NodeValue::Scalar(match (first, second) {
        (Some((_, value)), None) => value,
        _ => f64::NAN,
    }))
}

pub(crate) fn vector(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let value = ev.scalar(ev.args(node)[0], at_ms)?;
    Ok(NodeValue::Vector(Column::single(value)))
}

/// The time of each sample; of anything but a selector, that of the evaluation.
pub(crate) fn timestamp(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let arg = &ev.plan.nodes[ev.args(node)[0]];
    let column = if let Op::Vector(selector) = &arg.op {
        let (set, points) = ev.points_at(*selector, arg, at_ms)?;
        let seconds = points.iter().map(|p| p.map_or(ABSENT, |p| p.t_ms as f64 / 1000.0));
        Column::new(set, seconds.collect())
    } else {
        let column = ev.vector(ev.args(node)[0], at_ms)?;
        let at = |i: usize| if column.is_present(i) { at_ms as f64 / 1000.0 } else { ABSENT };
        Column::new(Arc::clone(&column.set), (0..column.values.len()).map(at).collect())
    };
    ev.unnamed(column, node).map(NodeValue::Vector)
}

pub(crate) fn clamp(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let (low, high) = (ev.scalar(args[1], at_ms)?, ev.scalar(args[2], at_ms)?);
    let column = ev.vector(args[0], at_ms)?;
    let column = column.map(|v| if high < low { ABSENT } else { max(low, min(high, v)) });
    ev.unnamed(column, node).map(NodeValue::Vector)
}

pub(crate) fn absent(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let arg = ev.args(node)[0];
    let column = ev.vector(arg, at_ms)?;
    let found = column.histograms.is_some() || column.values.iter().any(|v| !is_absent(*v));
    Ok(NodeValue::Vector(if found { Column::empty() } else { one(ev, arg) }))
}

pub(crate) fn absent_over_time(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let arg = ev.args(node)[0];
    let found = match ev.node(arg, at_ms)? {
        NodeValue::Matrix(matrix) => {
            matrix.points.iter().any(|p| !p.is_empty()) || matrix.histograms.iter().any(|p| !p.is_empty())
        }
        _ => false,
    };
    Ok(NodeValue::Vector(if found { Column::empty() } else { one(ev, arg) }))
}

/// `1` with the labels that the selector fixes by one equality each.
fn one(ev: &Evaluator<'_>, arg: NodeId) -> Column {
    let matchers = match &ev.plan.nodes[arg].op {
        Op::Vector(selector) | Op::Matrix(selector) => &ev.plan.selectors[*selector].matchers[..],
        _ => &[],
    };
    let mut fixed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut equalities: BTreeSet<&str> = BTreeSet::new();
    for m in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        // As in Prometheus: any further condition on a label takes it out again.
        if m.op == MatchOp::Equal && equalities.insert(&m.name) {
            fixed.insert(&m.name, &m.value);
        } else {
            fixed.remove(m.name.as_str());
        }
    }
    let labels = Labels::from_pairs(fixed);
    Column::of(vec![(labels, 1.0)])
}
