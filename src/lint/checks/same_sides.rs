//! A238: an operator whose sides are the same.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::{constant, walk};
use crate::promql::ast::{BinaryOp, CompareOp, ExprKind};

pub(super) const CHECK: Check = Check::formula("A238", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let ExprKind::Binary(binary) = &expr.kind else { return };
        if binary.left.inner() != binary.right.inner() || constant(&binary.left).is_some() {
            return;
        }
        let gives = match binary.op {
            BinaryOp::Sub | BinaryOp::Mod => "is always 0",
            BinaryOp::Div => "is always 1",
            BinaryOp::And | BinaryOp::Or => "is that side alone",
            BinaryOp::Unless => "is always empty",
            // `x == x` leaves out what is not a number.
            BinaryOp::Compare(CompareOp::Equal) => return,
            BinaryOp::Compare(_) => "is always the same",
            _ => return,
        };
        let message = format!("both sides of `{}` are the same: the result {gives}", binary.op.as_str());
        let found = rule.warn_in("A238", formula, &binary.right.span, message);
        out.push(found.with_label("the same as on the left"));
    });
}
