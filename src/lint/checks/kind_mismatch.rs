//! A221: a function that is meant for another kind of metric.

use super::raw_counter::counter;
use super::{Check, Context, Found, Part};
use crate::lint::knowledge::Kind;
use crate::lint::walk::CALL;
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::part("A221", CALL, look);

fn look(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let ExprKind::Call(call) = &part.expr.kind else { return };
    let Some(selector) = call.args.first().and_then(|arg| match &arg.inner().kind {
        ExprKind::Matrix(selector, _) => Some(selector),
        _ => None,
    }) else {
        return;
    };
    let name = selector.name().unwrap_or_default();
    let (message, help) = match call.function.name {
        function @ ("rate" | "irate" | "increase") if context.knowledge.kind(name) == Some(Kind::Gauge) => (
            format!("`{function}` is for counters, and `{name}` is a gauge: each fall counts as a reset"),
            "write `delta(…)` or `deriv(…)`",
        ),
        function @ ("delta" | "idelta" | "deriv" | "predict_linear") if counter(selector, context).is_some() => (
            format!(
                "`{function}` is for gauges, and `{name}` is a counter{}: a reset counts as a fall",
                if context.knowledge.kind(name).is_some() { "" } else { " by its name" }
            ),
            if function == "predict_linear" {
                "predict what is left instead"
            } else {
                "write `increase(…)` or `rate(…)`"
            },
        ),
        _ => return,
    };
    let found = part.warn("A221", &call.name_span, message);
    out.push(found.with_label("the wrong kind of metric").with_help(help));
}
