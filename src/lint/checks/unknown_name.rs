//! A236, A237: metrics and labels that are not among those that are known.

use super::{Check, Context, Found};
use crate::diag::suggest;
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::{selector, walk};
use crate::model::labels::METRIC_NAME;

pub(super) const METRIC: Check = Check::formula("A236", metric);
pub(super) const LABEL: Check = Check::formula("A237", label);

/// Series that alertd makes itself.
const OWN: [&str; 3] = ["ALERTS", "ALERTS_FOR_STATE", "up"];

fn metric(rule: &Subject<'_>, formula: &Formula<'_>, context: &Context<'_>, out: &mut Found) {
    let knowledge = context.knowledge;
    if !knowledge.complete {
        return;
    }
    walk(&formula.expr, &mut |expr, path| {
        let Some((selector, name)) = selector(expr).and_then(|s| Some((s, s.name()?))) else { return };
        let absent = path.iter().any(|above| matches!(&above.kind, crate::promql::ast::ExprKind::Call(call) if call.function.name.starts_with("absent")));
        // A detector publishes the series `NAME:value` and its like.
        let own = OWN.contains(&name) || context.recorded.contains(name) || name.contains(':');
        if absent || own || knowledge.metrics.contains_key(name) {
            return;
        }
        let at = selector.matchers.iter().position(|m| m.name == METRIC_NAME);
        let span = at.map_or(&expr.span, |i| &selector.matcher_spans[i]);
        let known = knowledge.metrics.keys().map(String::as_str);
        let label = match suggest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no sample of this name".to_owned(),
        };
        let found = rule.warn_in("A236", formula, span, format!("there is no metric `{name}` in the data"));
        out.push(found.with_label(label));
    });
}

fn label(rule: &Subject<'_>, formula: &Formula<'_>, context: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let Some(selector) = selector(expr) else { return };
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
            out.push(rule.warn_in("A237", formula, &formula.word(span, &matcher.name), message).with_label(label));
        }
    });
}
