//! A226: a label that is named where an aggregation below has dropped it.

use super::{Check, Context, Found, Part};
use crate::lint::flow::{Flow, flow};
use crate::lint::walk::{AGGREGATE, BINARY};
use crate::promql::ast::{ExprKind, Side};

pub(super) const CHECK: Check = Check::part("A226", AGGREGATE | BINARY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let mut report = |labels: &[String], below: &Flow<'_>, what: &str| {
        for label in labels.iter().filter(|label| !below.may(label)) {
            let cut = below.cut.as_ref().map(|cut| part.formula.shown(cut)).unwrap_or_default();
            let message = format!("{what} the label `{label}`, which `{cut}` has dropped");
            let found = part.warn("A226", &part.formula.word(&part.expr.span, label), message);
            let help = format!("keep it there: add `{label}` to its `by`, or leave it out here");
            out.push(found.with_label("is never there").with_help(help));
        }
    };
    match &part.expr.kind {
        ExprKind::Aggregate(aggregate) if !aggregate.grouping.without => {
            report(&aggregate.grouping.labels, &flow(&aggregate.expr), "groups by");
        }
        ExprKind::Binary(binary) => {
            let Some((side, labels)) = binary.matching.as_ref().and_then(|m| m.group.as_ref()) else { return };
            let one = if *side == Side::Left { &binary.right } else { &binary.left };
            report(labels, &flow(one), "takes over");
        }
        _ => {}
    }
}
