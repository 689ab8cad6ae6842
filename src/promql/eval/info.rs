//! `info`: adds the labels of info series (`target_info` and the like) to the series they describe.
//!
//! Follows Prometheus (promql/info.go): series belong together if they agree on `instance` and `job`.

use std::collections::{BTreeMap, BTreeSet};

use super::column::Column;
use super::{EvalError, EvalErrorKind, Evaluator, NodeValue};
use crate::model::labels::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder, is_histogram_mark};
use crate::promql::matcher::{MatchOp, Matcher};
use crate::promql::plan::{Node, NodeId, Op};

/// The info metric that is read where none is named.
pub(crate) const TARGET_INFO: &str = "target_info";

/// The labels by which series find their info series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What the second argument asks for.
struct Wanted {
    /// Conditions on the info metric's name.
    names: Vec<Matcher>,
    /// Conditions on labels; where there are any, only these labels are taken over.
    labels: Vec<Matcher>,
}

/// An info series at the instant.
struct InfoSeries {
    labels: Labels,
    t_ms: i64,
}

pub(crate) fn info(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let base = ev.vector(args[0], at_ms)?;
    let wanted = wanted(ev, args.get(1).copied());
    let is_info = |i: usize| {
        let name = base.set.labels[i].get(METRIC_NAME).unwrap_or("");
        let positive = wanted.names.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex));
        positive && wanted.names.iter().all(|m| m.matches(name))
    };
    let plain: Vec<usize> = base.places().filter(|i| !is_info(*i)).collect();
    let by_name = info_series(ev, node, (&base, &plain), &wanted, at_ms)?;
    let required = wanted.labels.iter().any(|m| !m.matches(""));
    let mut rows = Vec::new();
    for i in base.places() {
        let Some(value) = base.sample(i) else { continue };
        let labels = &base.set.labels[i];
        if is_info(i) {
            rows.push((labels.clone(), value, base.set.is_dropped(i)));
        } else {
            let Some(enriched) = enrich(labels, &by_name, (&wanted, required), node)? else { continue };
            rows.push((enriched, value, base.set.is_dropped(i)));
        }
    }
    Column::of_samples(rows, base.set.dropped.is_some()).unique(&node.span).map(NodeValue::Vector)
}

fn wanted(ev: &Evaluator<'_>, arg: Option<NodeId>) -> Wanted {
    let matchers = match arg.map(|id| &ev.plan.nodes[id].op) {
        Some(Op::Vector(selector)) => ev.plan.selectors[*selector].matchers.to_vec(),
        _ => Vec::new(),
    };
    let (mut names, labels): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name == METRIC_NAME);
    if names.is_empty() {
        names.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
    }
    Wanted { names, labels }
}

/// The instant at which the argument reads its samples: info series are read at the same.
fn reference_ms(ev: &Evaluator<'_>, id: NodeId, at_ms: i64) -> Result<Option<i64>, EvalError> {
    let node = &ev.plan.nodes[id];
    let children: Vec<NodeId> = match &node.op {
        Op::Vector(s) | Op::Matrix(s) => {
            let selector = &ev.plan.selectors[*s];
            return ev.shifted(at_ms, selector.at, selector.offset.as_ref(), &node.span).map(Some);
        }
        Op::Subquery(s) => {
            let at_ms = ev.shifted(at_ms, s.at, s.offset.as_ref(), &node.span)?;
            return reference_ms(ev, s.expr, at_ms);
        }
        Op::Number(_) | Op::Text(_) => Vec::new(),
        Op::Negate(inner) => vec![*inner],
        Op::Scalars(_, left, right) => vec![*left, *right],
        Op::VectorScalar(op) => vec![op.vector],
        Op::Vectors(op) => vec![op.left, op.right],
        Op::Aggregate { expr, .. } => vec![*expr],
        Op::Call { args, .. } => args.clone(),
    };
    for child in children {
        if let Some(found) = reference_ms(ev, child, at_ms)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

type ByName = BTreeMap<String, BTreeMap<Labels, InfoSeries>>;

fn signature(labels: &Labels) -> Labels {
    labels.filtered(|n| IDENTIFYING.contains(&n))
}

/// The info series that may describe the given series: by metric name and identifying labels, the newest of each.
fn info_series(
    ev: &Evaluator<'_>,
    node: &Node,
    (base, plain): (&Column, &[usize]),
    wanted: &Wanted,
    at_ms: i64,
) -> Result<ByName, EvalError> {
    let mut by_name = ByName::new();
    let mut matchers: Vec<Matcher> = wanted.names.iter().chain(&wanted.labels).cloned().collect();
    let mut identified = false;
    for label in IDENTIFYING {
        let value = |i: &usize| base.set.labels[*i].get(label);
        let values: BTreeSet<String> = plain.iter().filter_map(value).map(regex::escape).collect();
        if !values.is_empty() {
            let pattern = values.into_iter().collect::<Vec<_>>().join("|");
            // Too many values for one expression: the signatures below do the same.
            matchers.extend(Matcher::new(label, MatchOp::Regex, pattern).ok());
            identified = true;
        }
    }
    if !identified {
        return Ok(by_name);
    }
    let failed = |error| EvalError::new(&node.span, EvalErrorKind::Source(error));
    let reference = reference_ms(ev, ev.args(node)[0], at_ms)?.unwrap_or(at_ms);
    let selection = ev.source.select(&matchers).map_err(failed)?;
    let mut points = Vec::new();
    ev.source.instant(&selection, reference, ev.options.lookback_ms, &mut points).map_err(failed)?;
    ev.count(points.len(), &node.span)?;
    // Only names to leave out are given: of everything that looks like an info metric.
    let negative_only = !wanted.names.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex));
    for (labels, point) in selection.series.iter().zip(points) {
        let Some(point) = point else { continue };
        if is_histogram_mark(point.value) {
            let message = format!("this should be an info metric, with float samples: {labels}");
            return Err(EvalError::new(&node.span, EvalErrorKind::Matching(message)));
        }
        let name = labels.metric_name().unwrap_or("").to_owned();
        if negative_only && !(name.ends_with("_info") && name.len() > "_info".len()) {
            continue;
        }
        let known = by_name.entry(name).or_default();
        let key = signature(labels);
        match known.get(&key) {
            Some(other) if other.t_ms > point.t_ms => {}
            Some(other) if other.t_ms == point.t_ms => {
                let message = format!(
                    "found duplicate series for info metric: existing {} @ {}, new {labels} @ {}",
                    other.labels, other.t_ms, point.t_ms
                );
                return Err(EvalError::new(&node.span, EvalErrorKind::Matching(message)));
            }
            _ => {
                known.insert(key, InfoSeries { labels: labels.clone(), t_ms: point.t_ms });
            }
        }
    }
    Ok(by_name)
}

/// The labels of a series with those of its info series; `None` where a label that must be there is not.
fn enrich(
    labels: &Labels,
    by_name: &ByName,
    (wanted, required): (&Wanted, bool),
    node: &Node,
) -> Result<Option<Labels>, EvalError> {
    let key = signature(labels);
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = false;
    for series in by_name.values().filter_map(|known| known.get(&key)) {
        found = true;
        for (name, value) in series.labels.iter().filter(|(n, _)| *n != METRIC_NAME) {
            if !wanted.labels.is_empty() && !wanted.labels.iter().any(|m| m.name == name) {
                continue;
            }
            if added.get(name).is_some_and(|v| *v != value) {
                let message = format!("conflicting label: {name}");
                return Err(EvalError::new(&node.span, EvalErrorKind::Matching(message)));
            }
            if labels.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    if !found && required {
        return Ok(None);
    }
    let mut builder = LabelsBuilder::from(labels);
    added.into_iter().for_each(|(name, value)| {
        builder.set(name, value);
    });
    Ok(Some(builder.build()))
}
