//! A234: `absent` of an aggregation by labels.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::walk;
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::formula("A234", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let ExprKind::Call(call) = &expr.kind else { return };
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
        let found = rule.warn_in("A234", formula, &arg.span, message);
        out.push(found.with_label("expected a selector").with_help(help));
    });
}
