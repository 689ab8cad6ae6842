//! A224: a condition that every value satisfies.

use super::never_true::range_of;
use super::{Check, Context, Found};
use crate::lint::bounds::{Verdict, bounds};
use crate::lint::subject::{Formula, Makes, Role, Subject};
use crate::promql::ast::{BinaryOp, Expr, ExprKind};

pub(super) const CHECK: Check = Check::formula("A224", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    if rule.makes != Makes::Alerts || formula.role != Role::Condition {
        return;
    }
    let Some(message) = always(formula, formula.expr.inner()) else { return };
    let found = rule.warn_in("A224", formula, &formula.expr.span, message);
    out.push(
        found
            .with_label("fires as long as the series is there")
            .with_help("compare with a value that separates good from bad"),
    );
}

fn always(formula: &Formula<'_>, expr: &Expr) -> Option<String> {
    let ExprKind::Binary(binary) = &expr.kind else { return None };
    match binary.op {
        BinaryOp::Compare(op) if !binary.return_bool => {
            let (left, right) = (bounds(&binary.left), bounds(&binary.right));
            // What is there or not (`absent(x) == 1`, `count(x) > 0`) is a condition by itself.
            let existence = left.is_one() || left.low == 1.0 || right.is_one() && right.low.is_nan();
            let is = !existence && left.compared(op, right) == Verdict::Always;
            is.then(|| format!("the comparison is always true: `{}`", formula.shown(&expr.span)))
        }
        BinaryOp::Or => {
            let ((left, range), (right, other)) = (range_of(&binary.left)?, range_of(&binary.right)?);
            let all = |a: crate::lint::bounds::Bounds, b: crate::lint::bounds::Bounds| {
                a.low == f64::NEG_INFINITY && b.high == f64::INFINITY && b.low <= a.high.next_up()
            };
            let is = left == right && (all(range, other) || all(other, range));
            is.then(|| format!("one side of `or` always holds: both are about `{}`", formula.shown(&left.span)))
        }
        _ => None,
    }
}
