//! A233: an `offset` that reads the future.

use super::{Check, Context, Found, Part};
use crate::lint::walk::{SELECTOR, SUBQUERY, fixed_ms, selector};
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::part("A233", SELECTOR | SUBQUERY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let offset = match &part.expr.kind {
        ExprKind::Subquery(subquery) => subquery.offset.as_ref(),
        _ => selector(part.expr).and_then(|selector| selector.offset.as_ref()),
    };
    if offset.and_then(fixed_ms).is_some_and(|ms| ms < 0) {
        let found = part.warn("A233", &part.expr.span, "a negative `offset` reads what is not measured yet");
        out.push(found.with_label("lies in the future").with_help("make the offset positive: it goes back in time"));
    }
}
