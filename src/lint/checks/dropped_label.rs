//! A226: a label that is named where an aggregation below has dropped it.

use super::{Check, Context, Found};
use crate::lint::flow::{Flow, flow};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::walk;
use crate::promql::ast::{ExprKind, Side};

pub(super) const CHECK: Check = Check::formula("A226", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let mut report = |labels: &[String], below: &Flow<'_>, what: &str| {
            for label in labels.iter().filter(|label| !below.may(label)) {
                let cut = below.cut.as_ref().map(|cut| formula.shown(cut)).unwrap_or_default();
                let message = format!("{what} the label `{label}`, which `{cut}` has dropped");
                let found = rule.warn_in("A226", formula, &formula.word(&expr.span, label), message);
                let help = format!("keep it there: add `{label}` to its `by`, or leave it out here");
                out.push(found.with_label("is never there").with_help(help));
            }
        };
        match &expr.kind {
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
    });
}
