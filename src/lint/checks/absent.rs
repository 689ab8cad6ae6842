//! A234: `absent` of an aggregation by labels.

use super::{Check, Context, Found, Part};
use crate::lint::walk::CALL;
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::part("A234", CALL, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let ExprKind::Call(call) = &part.expr.kind else { return };
    if call.function.name != "absent" {
        return;
    }
    let Some(arg) = call.args.first() else { return };
    let ExprKind::Aggregate(aggregate) = &arg.inner().kind else { return };
    if aggregate.grouping.labels.is_empty() {
        return;
    }
    let message = "`absent` gives one result without labels, and only where all groups are gone";
    let help = "for each group that is gone write `group by (…) (x offset 1h) unless group by (…) (x)`";
    let found = part.warn("A234", &arg.span, message);
    out.push(found.with_label("expected a selector").with_help(help));
}
