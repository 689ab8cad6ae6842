//! A210: a counter compared as it stands.

use super::{Check, Context, Found};
use crate::lint::knowledge::Kind;
use crate::lint::subject::{Formula, Makes, Subject};
use crate::lint::walk::{constant, is_compare, walk};
use crate::promql::ast::{AggregateOp, Expr, ExprKind, Selector};

pub(super) const CHECK: Check = Check::formula("A210", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, context: &Context<'_>, out: &mut Found) {
    if rule.makes != Makes::Alerts {
        return;
    }
    walk(&formula.expr, &mut |expr, _| {
        let ExprKind::Binary(binary) = &expr.kind else { return };
        if !is_compare(binary) {
            return;
        }
        let (side, limit) = match (constant(&binary.left), constant(&binary.right)) {
            (None, Some(limit)) => (&binary.left, limit),
            (Some(limit), None) => (&binary.right, limit),
            _ => return,
        };
        // Whether there has been any at all is a question that a counter answers.
        let Some((at, name)) = raw(side, context).filter(|_| limit != 0.0) else { return };
        let what = if context.knowledge.kind(name).is_some() { "the counter" } else { "a counter by its name," };
        let message = format!("{what} `{name}` is compared as it stands; it only rises until its process restarts");
        let found = rule.warn_in("A210", formula, &at.span, message);
        let help = format!("write `increase({}[5m])`", formula.shown(&at.span));
        out.push(found.with_label("expected `rate` or `increase` around it").with_help(help));
    });
}

/// The counter that an expression gives as it stands, or summed.
fn raw<'e>(expr: &'e Expr, context: &Context<'_>) -> Option<(&'e Expr, &'e str)> {
    match &expr.kind {
        ExprKind::Paren(inner) => raw(inner, context),
        ExprKind::Vector(selector) => counter(selector, context).map(|name| (expr, name)),
        ExprKind::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Sum | AggregateOp::Avg | AggregateOp::Max | AggregateOp::Min => raw(&aggregate.expr, context),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a metric that is a counter: as declared, else by its suffix.
pub(super) fn counter<'e>(selector: &'e Selector, context: &Context<'_>) -> Option<&'e str> {
    let name = selector.name()?;
    let is = match context.knowledge.kind(name) {
        Some(kind) => kind == Kind::Counter,
        None => name.ends_with("_total") && !context.recorded.contains(name) && !name.contains(':'),
    };
    is.then_some(name)
}
