//! A225: two sides whose series never match.

use super::{Check, Context, Found, Part};
use crate::lint::flow::flow;
use crate::lint::walk::BINARY;
use crate::promql::ast::{Binary, BinaryOp, ExprKind, ValueType};

pub(super) const CHECK: Check = Check::part("A225", BINARY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let ExprKind::Binary(binary) = &part.expr.kind else { return };
    let vectors = [&binary.left, &binary.right].iter().all(|side| side.value_type() == ValueType::Vector);
    let filled = binary.matching.as_ref().is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
    if binary.op == BinaryOp::Or || !vectors || filled {
        return;
    }
    let Some((label, has, lacks)) = unmatched(binary) else { return };
    let op = binary.op.as_str();
    let what = if binary.op == BinaryOp::Unless { "so nothing is ever taken away" } else { "so no series match" };
    let message = format!("the {has} side of `{op}` has the label `{label}` and the {lacks} side does not, {what}");
    let side = if lacks == "left" { &binary.left } else { &binary.right };
    let found = part.warn("A225", &side.span, message).with_label(format!("no label `{label}` here"));
    out.push(found.with_help(help(binary, &label)));
}

/// A label that one side is sure to have and the other cannot have.
fn unmatched(binary: &Binary) -> Option<(String, &'static str, &'static str)> {
    let (left, right) = (flow(&binary.left), flow(&binary.right));
    let counts = |label: &str| match &binary.matching {
        None => true,
        Some(matching) => matching.labels.iter().any(|l| l == label) == matching.on,
    };
    let first = left.sure.iter().find(|label| counts(label) && !right.may(label));
    if let Some(label) = first {
        return Some(((*label).to_owned(), "left", "right"));
    }
    let other = right.sure.iter().find(|label| counts(label) && !left.may(label));
    other.map(|label| ((*label).to_owned(), "right", "left"))
}

fn help(binary: &Binary, label: &str) -> String {
    let op = binary.op.as_str();
    match &binary.matching {
        Some(matching) if matching.on => format!("keep `{label}` on both sides, or leave it out of `on`"),
        // What is matched with one side of a set keeps its own labels.
        _ if binary.op.is_set() => {
            format!("write `{op} ignoring ({label}) …`, or `{op} on (…)` with the labels of both")
        }
        _ => format!("group both sides by the same labels, or write `{op} ignoring ({label}) …`"),
    }
}
