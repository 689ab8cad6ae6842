//! A235: the rate of a sum of counters.

use super::raw_counter::counter;
use super::{Check, Context, Found, Part};
use crate::lint::walk::CALL;
use crate::promql::ast::{AggregateOp, ExprKind};

pub(super) const CHECK: Check = Check::part("A235", CALL, look);

fn look(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let ExprKind::Call(call) = &part.expr.kind else { return };
    if !matches!(call.function.name, "rate" | "increase" | "irate") {
        return;
    }
    let Some(ExprKind::Subquery(subquery)) = call.args.first().map(|arg| &arg.inner().kind) else { return };
    let ExprKind::Aggregate(aggregate) = &subquery.expr.inner().kind else { return };
    let ExprKind::Vector(selector) = &aggregate.expr.inner().kind else { return };
    if aggregate.op != AggregateOp::Sum || counter(selector, context).is_none() {
        return;
    }
    let function = call.function.name;
    let message = format!("`{function}` of a sum takes the restart of one process for a reset of all");
    let found = part.warn("A235", &subquery.expr.span, message).with_label("summed too early");
    out.push(found.with_help(format!("take the rate first: `sum({function}(…[5m]))`")));
}
