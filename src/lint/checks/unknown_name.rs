//! A236, A237: metrics and labels that are not among those that are known.

use super::{Check, Context, Found, Part};
use crate::diag::suggest;
use crate::lint::walk::{SELECTOR, selector};
use crate::model::labels::METRIC_NAME;

pub(super) const METRIC: Check = Check::part("A236", SELECTOR, metric);
pub(super) const LABEL: Check = Check::part("A237", SELECTOR, label);

/// Series that alertd makes itself.
const OWN: [&str; 3] = ["ALERTS", "ALERTS_FOR_STATE", "up"];

fn metric(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let knowledge = context.knowledge;
    if !knowledge.is_complete_for(part.rule.get("source").is_some(), part.rule.rule.source.as_deref()) {
        return;
    }
    let Some((selector, name)) = selector(part.expr).and_then(|s| Some((s, s.name()?))) else { return };
    let absent = part.above.iter().any(|above| matches!(&above.kind, crate::promql::ast::ExprKind::Call(call) if call.function.name.starts_with("absent")));
    // A detector publishes the series `NAME:value` and its like.
    let own = OWN.contains(&name) || context.recorded.contains(name) || name.contains(':');
    if absent || own || knowledge.metrics.contains_key(name) {
        return;
    }
    let at = selector.matchers.iter().position(|m| m.name == METRIC_NAME);
    let span = at.map_or(&part.expr.span, |i| &selector.matcher_spans[i]);
    let known = knowledge.metrics.keys().map(String::as_str);
    let label = match suggest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "nothing of this name".to_owned(),
    };
    let found = part.warn("A236", span, format!("there is no metric `{name}` in {}", knowledge.place()));
    out.push(found.with_label(label));
}

fn label(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let Some(selector) = selector(part.expr) else { return };
    let Some(known) = selector.name().and_then(|name| context.knowledge.metrics.get(name)) else { return };
    if known.labels.is_empty() {
        return;
    }
    for (matcher, span) in selector.matchers.iter().zip(&selector.matcher_spans) {
        // A matcher that holds for a missing label says that it may be missing.
        if matcher.name == METRIC_NAME || matcher.matches("") || known.labels.contains(&matcher.name) {
            continue;
        }
        let name = selector.name().unwrap_or_default();
        let label = match suggest(&matcher.name, known.labels.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no series has it".to_owned(),
        };
        let message = format!("no series of `{name}` has the label `{}`", matcher.name);
        out.push(part.warn("A237", &part.formula.word(span, &matcher.name), message).with_label(label));
    }
}
