//! `sort` and its kin: the order of an instant result.

use std::cmp::Ordering;

use super::column::Column;
use super::{EvalError, Evaluator, NodeValue};
use crate::promql::plan::Node;
use crate::promql::remarks::Remark;

fn sorted(
    ev: &Evaluator<'_>,
    node: &Node,
    at_ms: i64,
    (histograms, compare): (bool, impl Fn(&Column, usize, usize) -> Ordering),
) -> Result<NodeValue, EvalError> {
    let mut column = ev.vector(ev.args(node)[0], at_ms)?;
    if !histograms {
        column.histograms = None;
    }
    if ev.is_range() {
        ev.remark(&node.span, Remark::sort_in_range());
    }
    let mut order: Vec<u32> = column.places().map(|i| i as u32).collect();
    order.sort_by(|a, b| compare(&column, *a as usize, *b as usize));
    column.order = Some(order.into());
    Ok(NodeValue::Vector(column))
}

/// NaN comes last in both directions.
fn by_value(column: &Column, a: usize, b: usize, descending: bool) -> Ordering {
    let (a, b) = (column.values[a], column.values[b]);
    let by_value = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    a.is_nan().cmp(&b.is_nan()).then(if descending { by_value.reverse() } else { by_value })
}

pub(crate) fn ascending(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    sorted(ev, node, at_ms, (false, |c, a, b| by_value(c, a, b, false)))
}

pub(crate) fn descending(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    sorted(ev, node, at_ms, (false, |c, a, b| by_value(c, a, b, true)))
}

pub(crate) fn by_label(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    labels_sorted(ev, node, at_ms, false)
}

pub(crate) fn by_label_descending(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    labels_sorted(ev, node, at_ms, true)
}

fn labels_sorted(ev: &Evaluator<'_>, node: &Node, at_ms: i64, descending: bool) -> Result<NodeValue, EvalError> {
    let names = ev.args(node)[1..].iter().map(|id| ev.text(*id)).collect::<Result<Vec<_>, _>>()?;
    let compare = |column: &Column, a: usize, b: usize| {
        let (a, b) = (&column.set.labels[a], &column.set.labels[b]);
        let value = |labels: &crate::model::Labels, name: &str| labels.get(name).unwrap_or("").to_owned();
        let by_labels = names.iter().map(|n| natural(&value(a, n), &value(b, n))).find(|o| o.is_ne());
        let order = by_labels.unwrap_or_else(|| a.cmp(b));
        if descending { order.reverse() } else { order }
    };
    sorted(ev, node, at_ms, (true, compare))
}

/// Natural order: runs of digits compare as numbers, so that `node9` comes before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, y) = (run(a), run(b));
        if x.is_empty() || y.is_empty() {
            return a.len().cmp(&b.len());
        }
        let digits = |t: &str| t.as_bytes()[0].is_ascii_digit();
        let order = if digits(x) && digits(y) {
            let (n, m) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            n.len().cmp(&m.len()).then(n.cmp(m)).then(y.len().cmp(&x.len()))
        } else {
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[x.len()..], &b[y.len()..]);
    }
}

/// The leading run of digits or of anything else.
fn run(text: &str) -> &str {
    let Some(first) = text.bytes().next() else { return "" };
    let digits = first.is_ascii_digit();
    let end = text.bytes().position(|b| b.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}
