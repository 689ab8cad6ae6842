//! A233: an `offset` that reads the future.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::{fixed_ms, selector, walk};
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::formula("A233", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let offset = match &expr.kind {
            ExprKind::Subquery(subquery) => subquery.offset.as_ref(),
            _ => selector(expr).and_then(|selector| selector.offset.as_ref()),
        };
        if offset.and_then(fixed_ms).is_some_and(|ms| ms < 0) {
            let found = rule.warn_in("A233", formula, &expr.span, "a negative `offset` reads what is not measured yet");
            out.push(
                found.with_label("lies in the future").with_help("make the offset positive: it goes back in time"),
            );
        }
    });
}
