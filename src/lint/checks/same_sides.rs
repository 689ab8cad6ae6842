//! A238: an operator whose sides are the same.

use super::{Check, Context, Found, Part};
use crate::lint::walk::BINARY;
use crate::promql::ast::{BinaryOp, CompareOp, ExprKind};

pub(super) const CHECK: Check = Check::part("A238", BINARY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let ExprKind::Binary(binary) = &part.expr.kind else { return };
    if binary.left.inner() != binary.right.inner() || binary.left.constant().is_some() {
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
    let found = part.warn("A238", &binary.right.span, message);
    out.push(found.with_label("the same as on the left"));
}
