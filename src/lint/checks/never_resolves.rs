//! A452: an alert that cannot resolve once it fires.

use super::{Check, Context, Found};
use crate::lint::bounds::{Bounds, Verdict, bounds};
use crate::lint::subject::{Formula, Makes, Role, Subject};
use crate::lint::walk::is_compare;
use crate::promql::CompareOp;
use crate::promql::ast::{BinaryOp, Expr, ExprKind};
use crate::rule::{Condition, Threshold};

pub(super) const CHECK: Check = Check::rule("A452", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    if rule.makes != Makes::Alerts {
        return;
    }
    let Some(formula) = rule.formulas.first() else { return };
    if let Condition::Threshold { levels, .. } = &rule.rule.condition {
        let never =
            levels.first().and_then(|level| level.recover).filter(|recover| impossible(bounds(formula.expr), *recover));
        if let (Some(recover), Some(node)) = (never, rule.get("recover")) {
            let message = format!("the alert never resolves: its signal is never `{recover}`");
            out.push(
                rule.warn_at("A452", node, message)
                    .with_label("cannot be")
                    .with_help("recover at a value that the signal can have"),
            );
        }
    }
    if formula.role == Role::Condition && past(formula.expr) {
        out.push(passed(rule, formula));
    }
}

fn passed(rule: &Subject<'_>, formula: &Formula<'_>) -> crate::diag::Diagnostic {
    let message = "the condition is a point in time: once it has passed, it holds for ever";
    let found = rule.warn_in("A452", formula, &formula.expr.span, message).with_label("never stops");
    found.with_help("compare with the age of something: `time() - x > 3600`")
}

fn impossible(signal: Bounds, recover: Threshold) -> bool {
    let never = |op, limit| signal.compared(op, Bounds { low: limit, high: limit }) == Verdict::Never;
    match recover {
        Threshold::Above(limit) => never(CompareOp::Greater, limit),
        Threshold::AtLeast(limit) => never(CompareOp::GreaterOrEqual, limit),
        Threshold::Below(limit) => never(CompareOp::Less, limit),
        Threshold::AtMost(limit) => never(CompareOp::LessOrEqual, limit),
        Threshold::Equals(limit) => never(CompareOp::Equal, limit),
        Threshold::Inside(low, high) => signal.and(Bounds { low, high }).is_empty(),
        Threshold::Differs(_) | Threshold::Outside(..) => false,
    }
}

/// `vector(time()) > 1700000000`
fn past(expr: &Expr) -> bool {
    let ExprKind::Binary(binary) = &expr.inner().kind else { return false };
    if !is_compare(binary) || binary.return_bool {
        return false;
    }
    let BinaryOp::Compare(op) = binary.op else { return false };
    let rises = matches!(op, CompareOp::Greater | CompareOp::GreaterOrEqual);
    let clock = |expr: &Expr| match &expr.inner().kind {
        ExprKind::Call(call) if call.function.name == "vector" => call.args.first().is_some_and(is_time),
        _ => is_time(expr),
    };
    rises && clock(&binary.left) && binary.right.constant().is_some()
}

fn is_time(expr: &Expr) -> bool {
    matches!(&expr.inner().kind, ExprKind::Call(call) if call.function.name == "time")
}
