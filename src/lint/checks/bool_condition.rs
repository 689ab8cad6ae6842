//! A239: a condition that yields 0 and 1 instead of leaving out.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Makes, Role, Subject};
use crate::promql::ast::{Expr, ExprKind};

pub(super) const CHECK: Check = Check::formula("A239", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    let condition = matches!(formula.role, Role::Condition | Role::Recovery);
    if rule.makes != Makes::Alerts || !condition || !yields_bool(formula.expr) {
        return;
    }
    let message = "a comparison with `bool` yields 0 where it is not true, and every series of the result is an alert";
    let span = formula.word(&formula.expr.span, "bool");
    let found = rule.warn_in("A239", formula, &span, message).with_label("fires whatever the value");
    out.push(found.with_help("remove `bool`"));
}

fn yields_bool(expr: &Expr) -> bool {
    match &expr.inner().kind {
        ExprKind::Binary(binary) => binary.return_bool && expr.value_type() == crate::promql::ast::ValueType::Vector,
        _ => false,
    }
}
