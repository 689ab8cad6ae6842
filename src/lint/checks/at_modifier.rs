//! A232: `@` with a fixed instant in a rule.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::{selector, walk};
use crate::promql::ast::{At, ExprKind};

pub(super) const CHECK: Check = Check::formula("A232", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let at = match &expr.kind {
            ExprKind::Subquery(subquery) => subquery.at,
            _ => selector(expr).and_then(|selector| selector.at),
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
        let found = rule.warn_in("A232", formula, &expr.span, message);
        out.push(found.with_label("does not move with time").with_help(help));
    });
}
