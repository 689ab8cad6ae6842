//! A232: `@` with a fixed instant in a rule.

use super::{Check, Context, Found, Part};
use crate::lint::walk::{SELECTOR, SUBQUERY, selector};
use crate::promql::ast::{At, ExprKind};

pub(super) const CHECK: Check = Check::part("A232", SELECTOR | SUBQUERY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let at = match &part.expr.kind {
        ExprKind::Subquery(subquery) => subquery.at,
        _ => selector(part.expr).and_then(|selector| selector.at),
    };
    let (message, help) = match at {
        Some(At::Time(_)) => (
            "`@` with a fixed instant always reads the same samples: the value never changes".to_owned(),
            "remove `@`, or use `offset`",
        ),
        Some(At::Start | At::End) => {
            ("a rule is evaluated at one instant, so `@` names what is read anyway".to_owned(), "remove `@`")
        }
        None => return,
    };
    let found = part.warn("A232", &part.expr.span, message);
    out.push(found.with_label("does not move with time").with_help(help));
}
