//! A230: `histogram_quantile` of buckets that lost their bound, or that were never made a rate.

use super::{Check, Context, Found, Part};
use crate::lint::flow::flow;
use crate::lint::walk::{CALL, walk};
use crate::promql::ast::{AggregateOp, Expr, ExprKind};

pub(super) const CHECK: Check = Check::part("A230", CALL, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let ExprKind::Call(call) = &part.expr.kind else { return };
    let buckets = match call.function.name {
        "histogram_quantile" => call.args.get(1),
        "histogram_fraction" => call.args.get(2),
        _ => None,
    };
    let Some((buckets, name)) = buckets.and_then(|arg| Some((arg, bucket_name(arg)?))) else { return };
    let below = flow(buckets);
    if !below.may("le") {
        let cut = below.cut.as_ref().unwrap_or(&buckets.span);
        let message = format!("`{}` needs the label `le`, which is dropped here", call.function.name);
        let found = part.warn("A230", cut, message).with_label("`le` is lost");
        out.push(found.with_help("group by it: `sum by (le, …) (rate(…_bucket[5m]))`"));
    } else if is_raw(buckets) {
        let message = format!("`{name}` counts since its process started, and so does the quantile");
        let found = part.warn("A230", &buckets.span, message).with_label("expected `rate`");
        out.push(found.with_help(format!("write `rate({name}[5m])`: the quantile of the last five minutes")));
    }
}

/// The metric of classic buckets that an expression is made of. Native histograms have no `le` to lose.
fn bucket_name(expr: &Expr) -> Option<&str> {
    let mut found = None;
    walk(expr, &mut |node, _| {
        if let ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) = &node.kind {
            found = found.or_else(|| selector.name().filter(|name| name.ends_with("_bucket")));
        }
    });
    found
}

fn is_raw(expr: &Expr) -> bool {
    match &expr.inner().kind {
        ExprKind::Vector(selector) => selector.name().is_some_and(|name| !name.contains(':')),
        ExprKind::Aggregate(aggregate) => aggregate.op == AggregateOp::Sum && is_raw(&aggregate.expr),
        _ => false,
    }
}
