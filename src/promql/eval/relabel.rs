//! `label_replace` and `label_join`: look at labels only, so their result is derived once per set.

use std::sync::Arc;

use regex::Regex;

use super::column::{Column, SeriesSet};
use super::{EvalError, Evaluator, NodeValue};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::plan::Node;

/// Largest compiled expression of `label_replace`, in bytes.
const REGEX_SIZE_MAX: usize = 8 << 20;

/// The new labels of a series, if any.
type Relabel<'a> = dyn Fn(&Labels) -> Option<Labels> + 'a;

/// Gives the series for which `make` has something new their new labels.
fn relabelled(
    ev: &Evaluator<'_>,
    node: &Node,
    at_ms: i64,
    (target, make): (&str, &Relabel<'_>),
) -> Result<NodeValue, EvalError> {
    let mut column: Column = ev.vector(ev.args(node)[0], at_ms)?;
    column.set = node.cache.set(&column.set, ev.options.delayed_name_removal, || {
        let made: Vec<Option<Labels>> = column.set.labels.iter().map(make).collect();
        // A name that is set anew stays.
        let kept = |i: usize| column.set.is_dropped(i) && !(target == METRIC_NAME && made[i].is_some());
        let dropped = column.set.dropped.is_some().then(|| (0..made.len()).map(kept).collect());
        let labels =
            made.into_iter().zip(column.set.labels.iter()).map(|(new, old)| new.unwrap_or_else(|| old.clone()));
        Arc::new(SeriesSet::derived(labels.collect(), dropped))
    });
    column.unique(&node.span).map(NodeValue::Vector)
}

pub(crate) fn label_replace(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let [target, replacement, source, pattern] =
        [ev.text(args[1])?, ev.text(args[2])?, ev.text(args[3])?, ev.text(args[4])?];
    if target.is_empty() {
        let message = format!("invalid destination label name in label_replace(): {target}");
        return Err(EvalError::parameter(&ev.plan.nodes[args[1]].span, message));
    }
    let compile = || regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_SIZE_MAX).build();
    // Compiled only when labels are derived anew; whether it compiles must be known every time.
    let regex = std::cell::OnceCell::<Option<Regex>>::new();
    let regex = || regex.get_or_init(|| compile().ok()).as_ref();
    if !node.cache.is_filled() && regex().is_none() {
        let message = format!("invalid regular expression in label_replace(): {pattern}");
        return Err(EvalError::parameter(&ev.plan.nodes[args[4]].span, message));
    }
    let make = |labels: &Labels| {
        let value = labels.get(&source).unwrap_or("");
        let captures = regex()?.captures(value)?;
        let mut out = String::new();
        captures.expand(&replacement, &mut out);
        Some(labels.with(&target, &out))
    };
    relabelled(ev, node, at_ms, (&target, &make))
}

pub(crate) fn label_join(ev: &Evaluator<'_>, node: &Node, at_ms: i64) -> Result<NodeValue, EvalError> {
    let args = ev.args(node);
    let (target, separator) = (ev.text(args[1])?, ev.text(args[2])?);
    let sources = args[3..].iter().map(|id| ev.text(*id)).collect::<Result<Vec<_>, _>>()?;
    if let Some(at) = std::iter::once(&target).chain(&sources).position(|name| name.is_empty()) {
        let which = if at == 0 { "destination" } else { "source" };
        return Err(EvalError::parameter(&node.span, format!("invalid {which} label name in label_join(): ")));
    }
    let make = |labels: &Labels| {
        let values: Vec<&str> = sources.iter().map(|s| labels.get(s).unwrap_or("")).collect();
        Some(labels.with(&target, &values.join(&separator)))
    };
    relabelled(ev, node, at_ms, (&target, &make))
}
