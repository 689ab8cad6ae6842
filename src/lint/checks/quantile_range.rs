//! A231: a quantile above 1.

use super::{Check, Context, Found, Part};
use crate::lint::walk::{AGGREGATE, CALL};
use crate::promql::ast::{AggregateOp, ExprKind};

pub(super) const CHECK: Check = Check::part("A231", CALL | AGGREGATE, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let share = match &part.expr.kind {
        ExprKind::Call(call) if matches!(call.function.name, "histogram_quantile" | "quantile_over_time") => {
            call.args.first()
        }
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Quantile => aggregate.parameter.as_ref(),
        _ => None,
    };
    let Some((share, value)) = share.and_then(|share| Some((share, share.constant()?))) else { return };
    if (0.0..=1.0).contains(&value) {
        return;
    }
    let end = if value > 1.0 { "+Inf" } else { "-Inf" };
    let found = part.warn("A231", &share.span, format!("a quantile lies between 0 and 1: {value} always gives {end}"));
    let label = if value > 1.0 && value <= 100.0 {
        format!("did you mean {}?", value / 100.0)
    } else {
        "out of range".to_owned()
    };
    out.push(found.with_label(label));
}
